"""The master keys of a vault."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .errors import MasterKeyMissing

# What the keys begin with that `moat keygen` makes. The component checks the rest.
STRONG_PREFIX = b"MOAT-MASTER-KEY-1"


@dataclass(frozen=True)
class MasterKey:
    """A master key: any bytes, used exactly as given."""

    material: bytes = field(repr=False)
    id: str | None = None
    """A label, which stands in the clear in the records; never derived from the key."""

    def __post_init__(self) -> None:
        if not isinstance(self.material, bytes):
            raise TypeError("the material of a master key has to be bytes")
        if self.id is not None and not isinstance(self.id, str):
            raise TypeError("the id of a master key has to be a string or None")
        if self.id is not None:
            self.id.encode()


class KeyRing:
    """The keys as calls get them: copies, the first of which encrypts."""

    def __init__(
        self, keys: MasterKey | Iterable[MasterKey] | Callable[[], Iterable[MasterKey]]
    ) -> None:
        """A function is asked when the keys are first needed, and not again."""
        self._source: Callable[[], Iterable[MasterKey]] | None = None
        self._keys: list[tuple[str | None, bytearray]] = []
        if callable(keys):
            self._source = keys
        else:
            self._keys = _copies(keys)

    def copies(self) -> list[tuple[str | None, bytes]]:
        """The label and the material of each key; raises `MasterKeyMissing` when there is none."""
        if self._source is not None:
            self._keys = _copies(self._source())
            self._source = None
        if not self._keys:
            raise MasterKeyMissing("there is no master key")
        return [(label, bytes(material)) for label, material in self._keys]

    def labels(self) -> list[str]:
        """The labels of the keys that were given out."""
        return [label for label, _ in self._keys if label is not None]

    def is_strong(self) -> bool:
        """Whether the key that encrypts is one that `moat keygen` made, of 256 random bits."""
        _, primary = self.copies()[0]
        return primary.startswith(STRONG_PREFIX)

    def wipe(self) -> None:
        """Zeroes the copies; from then on there is no key."""
        for _, material in self._keys:
            material[:] = bytes(len(material))
        self._keys = []
        self._source = None


def _copies(keys: MasterKey | Iterable[MasterKey]) -> list[tuple[str | None, bytearray]]:
    if isinstance(keys, MasterKey):
        keys = [keys]
    elif not isinstance(keys, Iterable) or isinstance(keys, (str, bytes, bytearray)):
        raise TypeError(f"keys have to be moat.MasterKey objects, not {type(keys).__name__}")
    keys = list(keys)
    for key in keys:
        if not isinstance(key, MasterKey):
            raise TypeError(f"keys have to be moat.MasterKey objects, not {type(key).__name__}")
    return [(key.id, bytearray(key.material)) for key in keys]
