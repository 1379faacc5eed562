"""The master keys of a vault."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import MasterKeyMissing

VARIABLE = b"FOSSAWORK_MASTER_KEY"
PREVIOUS_VARIABLE = b"FOSSAWORK_MASTER_KEY_PREVIOUS"

# What the keys begin with that `moat keygen` makes. The component checks the rest.
STRONG_PREFIX = b"MOAT-MASTER-KEY-1"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key: any bytes, used exactly as given."""

    material: bytes = field(repr=False)
    id: str | None = None
    """A label, which stands in the clear in the records; never derived from the key."""

    def __post_init__(self) -> None:
        if not isinstance(self.material, bytes):
            raise TypeError("the material of a master key has to be bytes")
        if self.id is not None:
            self.id.encode()


def environment_keys() -> list[MasterKey]:
    """The key in FOSSAWORK_MASTER_KEY, and those in FOSSAWORK_MASTER_KEY_PREVIOUS, one a line.

    Raises `MasterKeyMissing` when the first is unset or empty.
    """
    primary = os.environb.get(VARIABLE, b"")
    if not primary:
        raise MasterKeyMissing(f"{VARIABLE.decode()} is not set")
    lines = os.environb.get(PREVIOUS_VARIABLE, b"").split(b"\n")
    previous = [line.removesuffix(b"\r") for line in lines]
    return [MasterKey(key) for key in (primary, *previous) if key]


class KeyRing:
    """The keys as calls get them: copies, the first of which encrypts."""

    def __init__(self, keys: MasterKey | Iterable[MasterKey] | None) -> None:
        """With None the environment is read when the keys are first needed, and not again."""
        if isinstance(keys, MasterKey):
            keys = [keys]
        self._keys = None if keys is None else _copies(keys)

    def copies(self) -> list[tuple[str | None, bytes]]:
        """The label and the material of each key; raises `MasterKeyMissing` when there is none."""
        if self._keys is None:
            self._keys = _copies(environment_keys())
        if not self._keys:
            raise MasterKeyMissing("there is no master key")
        return [(label, bytes(material)) for label, material in self._keys]

    def labels(self) -> list[str]:
        """The labels of the keys that were given out."""
        return [label for label, _ in self._keys or () if label is not None]

    def is_strong(self) -> bool:
        """Whether the key that encrypts is one that `moat keygen` made, of 256 random bits."""
        _, primary = self.copies()[0]
        return primary.startswith(STRONG_PREFIX)

    def wipe(self) -> None:
        """Zeroes the copies; from then on there is no key."""
        for _, material in self._keys or ():
            material[:] = bytes(len(material))
        self._keys = []


def _copies(keys: Iterable[MasterKey]) -> list[tuple[str | None, bytearray]]:
    return [(key.id, bytearray(key.material)) for key in keys]
