"""A directory of credentials, opened for each call."""

from __future__ import annotations

import os
import stat

from ..cache import KeyCache
from ..directory import Directory
from ..errors import DirectoryFailure
from ..keys import KeyRing
from ..sandbox import call_lock, load
from ..vault import Vault
from . import shared

# A call that waits would keep those of other threads waiting.
LOCK_SECONDS = 0.0


class Place:
    """A path of a directory, which is opened for each call and closed after it.

    So managers need no descriptor between their calls, and the directory may be made anew.
    """

    def __init__(self, path: str) -> None:
        """Does nothing yet."""
        self.path = path

    def prepare(self) -> None:
        """Makes the directory, for this user alone. Raises `DirectoryFailure`."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            # A file system may be read-only.
            if stat.S_IMODE(os.stat(self.path).st_mode) != 0o700:
                os.chmod(self.path, 0o700)
        except OSError as error:
            raise DirectoryFailure(f"making the directory: {error.strerror}") from error
        except ValueError as error:
            raise DirectoryFailure("making the directory: its path is not one") from error

    def open(self, *, overwritten: str | None = None) -> Vault:
        """A vault with the environment's keys as they are now; it is to be closed.

        It doesn't see the record of the user `overwritten`, and replaces it whatever it is. Raises
        `MasterKeyMissing`, `DirectoryFailure`.
        """
        keys = shared.keys_of(self.path)
        return _Opened(self, overwritten, keys.ring, keys.cache)

    def has_foreign(self, user_id: str) -> bool:
        """Whether a link, or what isn't this user's file, is in place of the user's record."""
        try:
            found = os.lstat(os.path.join(self.path, f"{user_id}.cred"))
        except OSError:
            return False
        is_own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        return not is_own or found.st_nlink > 1

    def open_without_keys(self) -> Vault:
        """A vault for what needs no key; it is to be closed. Raises `DirectoryFailure`."""
        return _Opened(self, None, KeyRing([]), KeyCache(0))


class _Opened(Vault):
    """A vault that leaves the keys, which are shared, as they are."""

    def __init__(
        self, place: Place, overwritten: str | None, keys: KeyRing, cache: KeyCache
    ) -> None:
        self._path = place.path
        sandbox = load(None, None)
        try:
            directory = _Directory(place.path, overwritten)
        except DirectoryFailure:
            place.prepare()
            directory = _Directory(place.path, overwritten)
        self._begin(sandbox, directory, keys, cache)

    def close(self) -> None:
        with call_lock:
            self._is_open = False
            self._directory.close()


class _Directory(Directory):
    """Without the record of one user, who may have none; what is written there replaces any."""

    def __init__(self, path: str, overwritten: str | None) -> None:
        super().__init__(path, LOCK_SECONDS)
        self._overwritten = None if overwritten is None else f"{overwritten}.cred"

    def read(self, name: str) -> tuple[bytes, str] | None:
        return None if name == self._overwritten else super().read(name)

    def write(self, name: str, contents: bytes, replaces: str | None) -> str:
        if name == self._overwritten:
            return self.overwrite(name, contents)
        return super().write(name, contents, replaces)
