"""Derived keys between calls."""

from __future__ import annotations

import time
from typing import NamedTuple

CAPACITY = 1024


class Slot(NamedTuple):
    """What names a derived key (`slot` in wit/key-cache.wit)."""

    ring_index: int
    version: str
    user_id: str
    parameters: str


class KeyCache:
    """Keeps at most 1,024 derived keys, each for a while, and zeroes those that go.

    A key whose time is over goes at the next use of the cache. Not safe for threads by itself.
    """

    def __init__(self, lifetime: float) -> None:
        """Keeps each key for so many seconds; with 0 none is kept."""
        self._lifetime = lifetime
        # In the order in which they came, with the time at which each goes.
        self._keys: dict[Slot, tuple[bytearray, float]] = {}

    def lookup(self, slot: Slot) -> bytes | None:
        """The key in this slot, if it is still there."""
        self._expire()
        kept = self._keys.get(slot)
        return bytes(kept[0]) if kept else None

    def remember(self, slot: Slot, material: bytes) -> None:
        """Keeps a copy of a key, in place of the oldest one if there are too many.

        What is in a slot stays: no later call puts another key there.
        """
        self._expire()
        if self._lifetime <= 0 or slot in self._keys:
            return
        if len(self._keys) >= CAPACITY:
            self._forget(next(iter(self._keys)))
        self._keys[slot] = (bytearray(material), time.monotonic() + self._lifetime)

    def wipe(self) -> None:
        """Forgets all keys."""
        for slot in list(self._keys):
            self._forget(slot)

    def _expire(self) -> None:
        now = time.monotonic()
        for slot in [slot for slot, (_, end) in self._keys.items() if end <= now]:
            self._forget(slot)

    def _forget(self, slot: Slot) -> None:
        material, _ = self._keys.pop(slot)
        material[:] = bytes(len(material))
