"""One call: its grant, and the component's five imports, which check it every time.

A failure that the component may handle is answered; an access beyond the grant aborts it. What
exactly it asked for is not repeated: the component chose it, and it may know a key.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from enum import Flag, auto
from typing import Any, Protocol

from wasmtime import StoreContext
from wasmtime.component import Record, Variant

from . import write_policy
from .cache import KeyCache, Slot
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
    "change": Access.REWRITE,
    "copy": Access.REWRITE | Access.SETTINGS,
    "history": Access.OPEN,
    "restore": Access.REWRITE,
    "reveal": Access.OPEN,
    "reveal-version": Access.OPEN,
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


class Files(Protocol):
    """What a call asks of a directory."""

    def read(self, name: str) -> tuple[bytes, str] | None:
        """A whole file and its revision."""

    def write(self, name: str, contents: bytes, replaces: str | None) -> str:
        """Replaces the file of this revision, and returns the new one."""

    def remove(self, name: str, expected: str | None) -> bool:
        """Removes the file of this revision, and returns whether there was one."""

    def names(self, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        """Some names after the cursor, and the next cursor."""


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
        directory: Files,
        keys: KeyRing,
        cache: KeyCache,
    ) -> None:
        """For these users; `backup` is the name of the one file that may be removed as a backup.

        Of the two of a copy only the first one's file may be written.
        """
        self.function = function
        self.users = users
        self._access = ACCESS[function]
        self._files = {f"{user}.cred": user for user in users}
        self._written = {f"{user}.cred" for user in (users[:1] if function == "copy" else users)}
        self._backup = backup
        self._directory = directory
        self._keys = keys
        self._cache = cache
        # The files as last read or written, and their revisions: what a write may replace.
        self._seen: dict[str, tuple[bytes, str]] = {}

    def may_write(self) -> bool:
        """Whether it may write files."""
        return bool(self._access & (Access.WRITE | Access.SETTINGS))

    @_answers_result
    def read(self, _store: StoreContext, name: str) -> dict[str, Any]:
        """Reads one of the users' files or the settings."""
        self._require_file(Access.READ, name, "read this file")
        found = self._directory.read(name)
        if found is None:
            self._seen.pop(name, None)
            return {"file": None}
        self._seen[name] = found
        contents, revision = found
        return {"file": record(contents=contents, revision=revision)}

    @_answers_result
    def write(
        self, _store: StoreContext, name: str, contents: bytes, replaces: str | None
    ) -> dict[str, Any]:
        """Writes one of the users' files or the settings."""
        self._require_file(Access.WRITE, name, "write this file")
        self._check_write(name, contents, replaces)
        revision = self._directory.write(name, contents, replaces)
        self._seen[name] = (contents, revision)
        return {"revision": revision}

    @_answers_result
    def remove(self, _store: StoreContext, name: str, expected: str | None) -> dict[str, Any]:
        """Removes the user's file, or the backup that the call is about."""
        is_backup = name == self._backup and Access.REMOVE_BACKUP in self._access
        is_own = name in self._files and Access.REMOVE in self._access
        self._require(is_backup or is_own, "remove this file")
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
        granted = self._granted_slot(slot)
        material = None if granted is None else self._cache.lookup(granted)
        return None if material is None else record(material=material)

    def remember(self, _store: StoreContext, slot: Record, key: Record) -> None:
        """Keeps a derived key."""
        granted = self._granted_slot(slot)
        if granted is None:
            return
        material = members(key)["material"]
        # Otherwise a component could fill the memory, a little with each call.
        is_key = len(material) == DERIVED_KEY_BYTES
        is_small = len(granted.version) + len(granted.parameters) <= MAX_SLOT_CHARACTERS
        if not (is_key and is_small):
            raise self._aborted("it offered something that is not a derived key")
        self._cache.remember(granted, material)

    def now(self, _store: StoreContext) -> Record:
        """The time since 1970."""
        seconds, nanoseconds = divmod(self.clock(), 1_000_000_000)
        return record(seconds=seconds, nanoseconds=nanoseconds)

    def get_random_bytes(self, _store: StoreContext, length: int) -> bytes:
        """Random bytes from the system."""
        if length > MAX_RANDOM_BYTES:
            raise self._aborted("it asked for too many random bytes at once")
        try:
            return os.urandom(length)
        except OSError as error:
            raise Unavailable("the system gives no random bytes") from error

    def clock(self) -> int:
        """Nanoseconds since 1970."""
        return time.time_ns()

    def _require_file(self, access: Access, name: str, asked: str) -> None:
        granted = Access.SETTINGS in self._access or (
            access is Access.READ and Access.OPEN in self._access
        )
        is_settings = name == SETTINGS and granted
        own = self._written if access is Access.WRITE else self._files
        is_own = name in own and access in self._access
        self._require(is_settings or is_own, asked)

    def _check_write(self, name: str, contents: bytes, replaces: str | None) -> None:
        """Aborts the component unless this is what its call may write."""
        seen, revision = self._seen.get(name, (None, None))
        if replaces is not None and replaces != revision:
            raise self._aborted("it tried to replace a file that was not read")
        old = None if replaces is None else seen
        labels = self._keys.labels()
        try:
            if name == SETTINGS:
                write_policy.check_settings(contents, old, labels)
            else:
                settings, _ = self._seen.get(SETTINGS, (None, None))
                now = self.clock() // 1_000_000_000
                user = self._files[name]
                write_policy.check_record(contents, old, settings, user, labels, now)
        except write_policy.Rejected as reason:
            tried = "it tried to write something that is not a record of this user"
            raise self._aborted(f"{tried}: {reason}") from None

    def _granted_slot(self, slot: Record) -> Slot | None:
        """The slot of a user that this call is for.

        None: it is for all users. What is in such a slot would come from any call and go to any
        other, so nothing is.
        """
        named = members(slot)
        is_own = named["user_id"] is None or named["user_id"] in self.users
        self._require(is_own and Access.KEYS in self._access, "use this derived key")
        return None if named["user_id"] is None else Slot(**named)

    def _require(self, granted: bool, asked: str) -> None:
        if not granted:
            raise self._aborted(f"it asked to {asked}, which it was not granted")

    def _aborted(self, why: str) -> SandboxFailure:
        return SandboxFailure(f"the component was aborted during {self.function}: {why}")
