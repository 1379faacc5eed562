"""One call: its grant, and the component's five imports, which check it every time.

A failure that the component may handle is answered; an access beyond the grant aborts it.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from enum import Flag, auto
from typing import Any

from wasmtime import StoreContext
from wasmtime.component import Record, Variant

from .cache import KeyCache, Slot
from .directory import Directory
from .errors import MoatError, SandboxFailure, Unavailable
from .keys import KeyRing
from .values import members, record

SETTINGS = "moat.json"
MAX_RANDOM_BYTES = 1024
DERIVED_KEY_BYTES = 32
MAX_SLOT_CHARACTERS = 256

IMPORTS = {
    "fossawork:credentials/directory@1.0.0": ("read", "write", "remove", "names"),
    "fossawork:credentials/master-keys@1.0.0": ("ring",),
    "fossawork:credentials/key-cache@1.0.0": ("lookup", "remember"),
    "wasi:clocks/wall-clock@0.2.6": ("now",),
    "wasi:random/random@0.2.6": ("get-random-bytes",),
}
"""The functions that a component imports, by interface. `Call` has each, with `_` for `-`."""


class Access(Flag):
    """What a call is granted, for the users that it is about."""

    READ = auto()
    WRITE = auto()
    REMOVE = auto()
    REMOVE_BACKUP = auto()
    SETTINGS = auto()
    LIST = auto()
    KEYS = auto()
    OPEN = READ | KEYS
    REWRITE = OPEN | WRITE


ACCESS = {
    "put": Access.REWRITE | Access.SETTINGS,
    "reveal": Access.OPEN,
    "describe": Access.OPEN,
    "inspect": Access.READ,
    "mark-used": Access.REWRITE,
    "mark-validated": Access.REWRITE,
    "remove": Access.REMOVE,
    "users": Access.LIST,
    "verify": Access.OPEN,
    "migrate": Access.REWRITE | Access.SETTINGS,
    "rewrap": Access.REWRITE | Access.SETTINGS,
    "configure": Access.SETTINGS | Access.KEYS,
    "leftovers": Access.LIST,
    "remove-backup": Access.OPEN | Access.REMOVE_BACKUP,
}
"""What each function of the component needs, as `moat component` prints it of Moat's own host."""


def _answers_result(function: Callable[..., dict[str, Any]]) -> Callable[..., Variant]:
    """Turns what an import returns or raises into a WIT result."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Variant:
        try:
            return Variant("ok", record(**function(*args)))
        except SandboxFailure:
            raise
        except MoatError as error:
            return Variant("err", record(code=error.code, message=str(error)))

    return wrapper


class Call:
    """The state of one call of a function of the component."""

    def __init__(
        self,
        function: str,
        users: tuple[str, ...],
        backup: str | None,
        directory: Directory,
        keys: KeyRing,
        cache: KeyCache,
    ) -> None:
        """For these users; `backup` is the name of the one file that may be removed as a backup."""
        self.function = function
        self.users = users
        self._access = ACCESS[function]
        self._files = {f"{user}.cred" for user in users}
        self._backup = backup
        self._directory = directory
        self._keys = keys
        self._cache = cache

    @_answers_result
    def read(self, _store: StoreContext, name: str) -> dict[str, Any]:
        """Reads one of the users' files or the settings."""
        self._require_file(Access.READ, name, "read")
        found = self._directory.read(name)
        if found is None:
            return {"file": None}
        contents, revision = found
        return {"file": record(contents=contents, revision=revision)}

    @_answers_result
    def write(
        self, _store: StoreContext, name: str, contents: bytes, replaces: str | None
    ) -> dict[str, Any]:
        """Writes one of the users' files or the settings."""
        self._require_file(Access.WRITE, name, "write")
        return {"revision": self._directory.write(name, contents, replaces)}

    @_answers_result
    def remove(self, _store: StoreContext, name: str, expected: str | None) -> dict[str, Any]:
        """Removes the user's file, or the backup that the call is about."""
        is_backup = name == self._backup and Access.REMOVE_BACKUP in self._access
        is_own = name in self._files and Access.REMOVE in self._access
        self._require(is_backup or is_own, f"remove {name!r}")
        return {"existed": self._directory.remove(name, expected)}

    @_answers_result
    def names(self, _store: StoreContext, cursor: str | None, limit: int) -> dict[str, Any]:
        """Lists the directory."""
        self._require(Access.LIST in self._access, "list the directory")
        names, following = self._directory.names(cursor, limit)
        return {"names": names, "next": following}

    @_answers_result
    def ring(self, _store: StoreContext) -> dict[str, Any]:
        """Provides the master keys."""
        self._require(Access.KEYS in self._access, "get the master keys")
        copies = enumerate(self._keys.copies())
        keys = [record(id=label, primary=n == 0, material=key) for n, (label, key) in copies]
        return {"keys": keys}

    def lookup(self, _store: StoreContext, slot: Record) -> Record | None:
        """Provides a derived key that was kept."""
        material = self._cache.lookup(self._granted_slot(slot))
        return None if material is None else record(material=material)

    def remember(self, _store: StoreContext, slot: Record, key: Record) -> None:
        """Keeps a derived key."""
        granted = self._granted_slot(slot)
        material = members(key)["material"]
        # Otherwise a component could fill the memory, a little with each call.
        is_key = len(material) == DERIVED_KEY_BYTES
        is_small = len(granted.version) + len(granted.parameters) <= MAX_SLOT_CHARACTERS
        self._require(is_key and is_small, "keep what is no derived key")
        self._cache.remember(granted, material)

    def now(self, _store: StoreContext) -> Record:
        """The time since 1970."""
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        return record(seconds=seconds, nanoseconds=nanoseconds)

    def get_random_bytes(self, _store: StoreContext, length: int) -> bytes:
        """Random bytes from the system."""
        self._require(length <= MAX_RANDOM_BYTES, "get that many random bytes")
        try:
            return os.urandom(length)
        except OSError as error:
            raise Unavailable("the system gives no random bytes") from error

    def _require_file(self, access: Access, name: str, verb: str) -> None:
        granted = Access.SETTINGS in self._access or (
            access is Access.READ and Access.OPEN in self._access
        )
        is_settings = name == SETTINGS and granted
        is_own = name in self._files and access in self._access
        self._require(is_settings or is_own, f"{verb} {name!r}")

    def _granted_slot(self, slot: Record) -> Slot:
        named = Slot(**members(slot))
        is_own = named.user_id is None or named.user_id in self.users
        self._require(is_own and Access.KEYS in self._access, "use this derived key")
        return named

    def _require(self, granted: bool, asked: str) -> None:
        if not granted:
            asked = f"it asked to {asked}, which it was not granted"
            raise SandboxFailure(f"the component was aborted during {self.function}: {asked}")
