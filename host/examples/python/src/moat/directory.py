"""The credentials directory, by the rules that all hosts of the component keep (wit/directory.wit).

A file is replaced whole: written under a temporary name, synced, renamed, and the directory synced.
Writers take turns by a lock file; readers need none, since a rename shows them the old or the new.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import heapq
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count, takewhile

from .errors import Conflict, Denied, DirectoryFailure, Locked, TooLarge

MAX_FILE_BYTES = 64 * 1024
MAX_NAMES = 4096

RECORD = ".cred"
LOCK = ".moat.lock"
TEMPORARY = ".moat.tmp"
RETRY_SECONDS = 0.005

# Without following a link, and without waiting for a FIFO's other end.
IN_PLACE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Directory:
    """A directory that belongs to the caller and in which nobody else can write, opened once."""

    def __init__(self, path: str | os.PathLike[str], lock_timeout: float) -> None:
        """Opens it; a write waits for other writers so many seconds. Raises `DirectoryFailure`."""
        self._lock_timeout = lock_timeout
        with _failing("opening the directory"):
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the directory back; whatever is asked of it from now on fails."""
        # Another file may get its number.
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def read(self, name: str) -> tuple[bytes, str] | None:
        """A whole file and its revision; None when there is none.

        Raises `DirectoryFailure` for what is not a regular file of this user's with one name,
        `TooLarge` beyond 64 KiB.
        """
        contents = self._contents(_plain(name), name)
        return None if contents is None else (contents, revision_of(contents))

    def write(self, name: str, contents: bytes, replaces: str | None) -> str:
        """Replaces the file of this revision (None: there must be none); returns the new one."""
        file = _plain(name)
        if len(contents) > MAX_FILE_BYTES:
            raise _too_large(name)
        with self._turn():
            self._expect(file, name, replaces)
            with _failing(f"writing {name!r}"):
                self._replace(file, contents)
        return revision_of(contents)

    def remove(self, name: str, expected: str | None) -> bool:
        """Removes the file of this revision (None: of any); tells whether there was one."""
        file = _plain(name)
        with self._turn():
            if expected is not None:
                self._expect(file, name, expected)
            with _failing(f"removing {name!r}"):
                try:
                    os.unlink(file, dir_fd=self._handle)
                except FileNotFoundError:
                    return False
                os.fsync(self._handle)
        return True

    def names(self, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        """The first `limit` names after `cursor` in the contract's order, and the next cursor.

        At most 4,096. Names that are not UTF-8 are left out.
        """
        limit = min(max(limit, 1), MAX_NAMES)
        with _failing("listing the directory"):
            names = (_decoded(os.fsencode(name)) for name in os.listdir(self._handle))
        begin = None if cursor is None else _place(cursor)
        after = (n for n in names if n is not None and (begin is None or _place(n) > begin))
        page = heapq.nsmallest(limit + 1, after, key=_place)
        more = len(page) > limit
        return page[:limit], page[limit - 1] if more else None

    def _check(self) -> None:
        status = os.fstat(self._handle)
        if status.st_uid != os.geteuid():
            raise DirectoryFailure(
                f"the directory belongs to uid {status.st_uid}, not to uid {os.geteuid()}"
            )
        if status.st_mode & 0o022:
            mode = stat.S_IMODE(status.st_mode)
            raise DirectoryFailure(f"others can write in the directory (mode {mode:04o})")

    def _open(self, file: str, flags: int) -> int:
        """An `opener` for the files of this directory."""
        return os.open(file, flags | IN_PLACE, 0o600, dir_fd=self._handle)

    def _contents(self, file: str, name: str) -> bytes | None:
        with _failing(f"reading {name!r}"):
            try:
                with open(file, "rb", opener=self._open) as opened:
                    _check_file(os.fstat(opened.fileno()), name)
                    contents: bytes = opened.read(MAX_FILE_BYTES + 1)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno == errno.ELOOP:
                    message = f"{name!r} is not a regular file, but a symbolic link"
                    raise DirectoryFailure(message) from error
                # A socket, a directory.
                if error.errno in (errno.ENXIO, errno.EISDIR):
                    raise DirectoryFailure(f"{name!r} is not a regular file") from error
                raise
        if len(contents) > MAX_FILE_BYTES:
            raise _too_large(name)
        return contents

    def _expect(self, file: str, name: str, revision: str | None) -> None:
        contents = self._contents(file, name)
        if (None if contents is None else revision_of(contents)) != revision:
            raise Conflict(f"{name!r} was changed by somebody else in between")

    def _replace(self, file: str, contents: bytes) -> None:
        try:
            with open(TEMPORARY, "xb", opener=self._open) as temporary:
                temporary.write(contents)
                temporary.flush()
                os.fsync(temporary.fileno())
            os.rename(TEMPORARY, file, src_dir_fd=self._handle, dst_dir_fd=self._handle)
        except BaseException:
            # The first error is the one to report; what is left the next writer removes.
            with suppress(OSError):
                self._remove_temporaries()
            raise
        os.fsync(self._handle)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """As the only writer, after clearing away what a writer that crashed left behind."""
        with _failing("locking the directory"):
            lock = self._open(LOCK, os.O_WRONLY | os.O_CREAT)
        try:
            self._wait_for(lock)
            with _failing("removing what a crash left behind"):
                self._remove_temporaries()
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        end = time.monotonic() + self._lock_timeout
        while not _is_locked(lock):
            if time.monotonic() >= end:
                waited = f"{self._lock_timeout:g} s"
                raise Locked(f"another process holds the directory's lock (waited {waited})")
            time.sleep(RETRY_SECONDS)

    def _remove_temporaries(self) -> None:
        """Moat's own host writes many files at once, and numbers them without a gap."""
        numbered = (f"{TEMPORARY}.{number}" for number in count(1))
        left = list(takewhile(self._exists, chain([TEMPORARY], numbered)))
        for file in reversed(left):
            os.unlink(file, dir_fd=self._handle)

    def _exists(self, file: str) -> bool:
        try:
            os.stat(file, dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


def revision_of(contents: bytes) -> str:
    """The first half of the SHA-256 in hexadecimal, as in Moat's own host."""
    return hashlib.sha256(contents).hexdigest()[:32]


def _plain(name: str) -> str:
    """The name as the system's functions take it, whatever the locale: UTF-8 on the disk.

    The component is not trusted to name only files of this directory.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Denied(f"{name!r} is not one plain file name")
    return os.fsdecode(name.encode())


def _is_locked(lock: int) -> bool:
    with _failing("locking the directory"):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _check_file(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DirectoryFailure(f"{name!r} is not a regular file")
    if status.st_nlink > 1:
        raise DirectoryFailure(f"{name!r} has a second name (hard link)")
    if status.st_uid != os.geteuid():
        raise DirectoryFailure(f"{name!r} belongs to another user")


def _too_large(name: str) -> TooLarge:
    return TooLarge(f"{name!r} has more than the {MAX_FILE_BYTES} bytes allowed")


def _place(name: str) -> tuple[str, bool]:
    """Where a name stands in the contract's order, in which records are in the order of users.

    Code points sort as their UTF-8 does.
    """
    return name.removesuffix(RECORD), name.endswith(RECORD)


def _decoded(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


@contextmanager
def _failing(doing: str) -> Iterator[None]:
    """Turns what the system refuses into the contract's failure."""
    try:
        yield
    except OSError as error:
        raise DirectoryFailure(f"{doing}: {error.strerror}") from error
