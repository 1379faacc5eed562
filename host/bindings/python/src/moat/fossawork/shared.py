"""What all managers of a process share between their calls: keys and derived keys, by directory.

The environment is read at each use: the variables, and the file, ring or credential that they name.
A key command is run when it, or a variable that it gets, has changed since, and again after five
minutes; one that failed at each use.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from dataclasses import dataclass

from .. import environment, fork_safe
from ..cache import KeyCache
from ..keys import KeyRing, MasterKey

# So many directories' keys are kept, and the rest derived anew.
MAX_DIRECTORIES = 128
# How long derived keys and the output of a key command are kept.
LIFETIME_SECONDS = 300.0


class SharedKeys:
    """The keys of a directory and what was derived from them; zeroed when nothing uses them."""

    def __init__(self, keys: list[MasterKey]) -> None:
        """Copies the keys."""
        self.ring = KeyRing(keys)
        self.cache = KeyCache(LIFETIME_SECONDS)

    def __del__(self) -> None:
        self.ring.wipe()
        self.cache.wipe()

    def are(self, keys: list[MasterKey]) -> bool:
        """Whether these are the keys."""
        return self.ring.copies() == [(key.id, key.material) for key in keys]


_by_directory: OrderedDict[str, SharedKeys] = OrderedDict()
_lock = fork_safe.lock()


def keys_of(directory: str) -> SharedKeys:
    """The keys that the environment names now. Raises `MasterKeyMissing`."""
    keys = environment_keys()
    path = os.path.abspath(directory)
    with _lock:
        shared = _by_directory.pop(path, None)
        if shared is None or not shared.are(keys):
            shared = SharedKeys(keys)
        _by_directory[path] = shared
        if len(_by_directory) > MAX_DIRECTORIES:
            _by_directory.popitem(last=False)
        return shared


def environment_keys() -> list[MasterKey]:
    """As `moat.environment_keys`, but a key command isn't run each time."""
    return environment.keys_by(_output)


@dataclass
class _Kept:
    asked: bytes
    output: bytearray
    end: float


_kept: _Kept | None = None
_command_lock = fork_safe.lock()


def _output(command: str) -> bytes:
    global _kept
    inherited = sorted(environment.command_environment().items())
    asked = hashlib.sha256(repr((command, inherited)).encode()).digest()
    with _command_lock:
        if _kept is None or _kept.asked != asked or _kept.end <= time.monotonic():
            if _kept is not None:
                _kept.output[:] = bytes(len(_kept.output))
                _kept = None
            output = bytearray(environment.run_command(command))
            _kept = _Kept(asked, output, time.monotonic() + LIFETIME_SECONDS)
        return bytes(_kept.output)
