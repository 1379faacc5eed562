"""The credentials directory, by the rules that all hosts keep (host/docs/format.md).

A file is replaced whole: written under a temporary name, synced, renamed, and the directory synced.
Writers hold a lock; readers need none, since a rename shows them the old file or the new one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import heapq
import os
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Optional

from . import unlocked
from .errors import Conflict, Denied, DirectoryFailure, Locked, TooLarge

MAX_FILE_BYTES = 64 * 1024
MAX_NAMES = 4096

RECORD = ".cred"
LOCK = ".moat.lock"
# How the names of all temporary files begin; this host has one at a time.
TEMPORARY = ".moat.tmp"
RETRY_SECONDS = 0.005

UNSYNCED = "the file system can't sync a directory: the last changes may be lost in a crash"

# Without following a link, and without waiting for a FIFO's other end.
IN_PLACE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


# A file that is replaced, opened, and what was in it; None: there was none.
Before = Optional[tuple[int, bytes]]


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
        file = _plain(name)

        def found() -> tuple[bytes, float] | None:
            with self._reading(file, name) as opened:
                if opened is None:
                    return None
                return _contents(opened, name), time.time() - os.fstat(opened).st_mtime

        contents = unlocked.read_whole(found)
        return None if contents is None else (contents, revision_of(contents))

    def write(self, name: str, contents: bytes, replaces: str | None) -> str:
        """Replaces the file of this revision (None: there must be none); returns the new one."""
        file = _plain(name)
        if len(contents) > MAX_FILE_BYTES:
            raise _too_large(name)
        with self._locked():
            with self._expected(file, name, replaces):
                pass
            if replaces is None and self._status(file) is not None:
                message = f"the file system doesn't distinguish {name!r} from a file that exists"
                raise Conflict(message)
            with _failing(f"writing {name!r}"):
                self._replace(file, name, contents, self._expected(file, name, replaces))
        return revision_of(contents)

    def overwrite(self, name: str, contents: bytes) -> str:
        """Replaces whatever has this name, readable or not; returns the new revision."""
        file = _plain(name)
        if len(contents) > MAX_FILE_BYTES:
            raise _too_large(name)
        with self._locked(), _failing(f"writing {name!r}"):
            if not self._is_named(file):
                raise _changed(name)
            self._replace(file, name, contents, nullcontext())
        return revision_of(contents)

    def remove(self, name: str, expected: str | None) -> bool:
        """Removes the file of this revision (None: of any); returns whether there was one."""
        file = _plain(name)
        with self._locked(), ExitStack() as kept:
            if expected is not None:
                before = kept.enter_context(self._expected(file, name, expected))
            with _failing(f"removing {name!r}"):
                if not self._is_named(file):
                    return False
                try:
                    os.unlink(file, dir_fd=self._handle)
                except FileNotFoundError:
                    return False
                self._sync()
                if expected is not None and self._put_back(file, name, before, None):
                    raise _changed(name)
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
            raise DirectoryFailure(f"others can write to the directory (mode {mode:04o})")

    def _open(self, file: str, flags: int) -> int:
        """An `opener` for the files of this directory."""
        return os.open(file, flags | IN_PLACE, 0o600, dir_fd=self._handle)

    @contextmanager
    def _reading(self, file: str, name: str) -> Iterator[int | None]:
        """The file, opened; None when there is none."""
        with ExitStack() as opened:
            with _failing(f"reading {name!r}"):
                handle = self._opened(file, name)
                if handle is not None:
                    opened.callback(os.close, handle)
                    if not self._is_named(file):
                        handle = None
                    else:
                        _check_file(os.fstat(handle), name)
                        if not self._is_nowhere_else(file, handle):
                            raise _changed(name)
            yield handle

    def _opened(self, file: str, name: str) -> int | None:
        try:
            return self._open(file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                message = f"{name!r} is not a regular file, but a symbolic link"
                raise DirectoryFailure(message) from error
            # A socket.
            if error.errno == errno.ENXIO:
                raise DirectoryFailure(f"{name!r} is not a regular file") from error
            raise

    @contextmanager
    def _expected(self, file: str, name: str, revision: str | None) -> Iterator[Before]:
        """The file of this revision (None: there must be none), opened, and what is in it."""
        with self._reading(file, name) as opened:
            contents = None if opened is None else _contents(opened, name)
            if (None if contents is None else revision_of(contents)) != revision:
                raise _changed(name)
            yield None if opened is None or contents is None else (opened, contents)

    def _put_back(self, file: str, name: str, before: Before, ours: str | None) -> bool:
        """Puts back what a program that takes no lock has saved in the moment of its replacement.

        That was by the revision `ours` (None: by none). Returns whether there was something.
        """
        if before is None:
            return False
        opened, contents = before
        saved = unlocked.saved_since(contents, lambda: _contents(opened, name))
        if saved is None:
            return False
        # Whatever is newer even than that is to stay.
        with suppress(Conflict):
            self._replace(file, name, saved, self._expected(file, name, ours))
        return True

    def _is_nowhere_else(self, file: str, opened: int) -> bool:
        """Whether what was opened is this directory's alone.

        Its number of links doesn't show that: the name may have been a hard link to a file
        elsewhere, and be gone since.
        """
        named = self._status(file)
        if named is not None and os.path.samestat(named, os.fstat(opened)):
            return named.st_nlink <= 1
        # A writer was faster: what was opened is whole, and has no name left.
        return os.fstat(opened).st_nlink == 0

    def _replace(
        self, file: str, name: str, contents: bytes, expected: AbstractContextManager[Before]
    ) -> None:
        with ExitStack() as kept:
            try:
                with open(TEMPORARY, "xb", opener=self._open) as temporary:
                    temporary.write(contents)
                    temporary.flush()
                    os.fsync(temporary.fileno())
                    # Again: a program that takes no lock may have written while the disk was
                    # waited for.
                    before = kept.enter_context(expected)
                    if not self._has_name(TEMPORARY, temporary.fileno()):
                        raise _changed(name)
                os.rename(TEMPORARY, file, src_dir_fd=self._handle, dst_dir_fd=self._handle)
            except BaseException:
                # The first error is the one to report; what is left the next writer removes.
                with suppress(OSError):
                    self._remove_temporaries()
                raise
            # First, since who has opened a file before it lost its name may take as long to write.
            self._sync()
            if self._put_back(file, name, before, revision_of(contents)):
                raise _changed(name)

    def _sync(self) -> None:
        """Makes changes to names durable, if the file system can do that to a directory."""
        try:
            os.fsync(self._handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise
            warnings.warn(UNSYNCED, RuntimeWarning, stacklevel=2)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """As the only writer, after clearing away what a writer that crashed left behind.

        A lock file can be deleted or replaced while it is locked. So the directory itself is locked
        too, which all writers have in common whatever becomes of its files.
        """
        end = time.monotonic() + self._lock_timeout
        with ExitStack() as held:
            for name, flags in ((LOCK, os.O_WRONLY | os.O_CREAT), (".", os.O_RDONLY)):
                held.callback(os.close, self._lock(name, flags, end))
            if self._status(TEMPORARY) is not None:
                with _failing("removing what a crash left behind"):
                    self._remove_temporaries()
            yield

    def _lock(self, name: str, flags: int, end: float) -> int:
        while (locked := self._try_lock(name, flags)) is None:
            if time.monotonic() >= end:
                waited = f"{self._lock_timeout:g} s"
                raise Locked(f"another process holds the directory's lock (waited {waited})")
            time.sleep(RETRY_SECONDS)
        return locked

    def _try_lock(self, name: str, flags: int) -> int | None:
        """The opened file; None while another has its lock, or if it has lost its name since."""
        with _failing("locking the directory"), ExitStack() as opened:
            file = self._open(name, flags)
            opened.callback(os.close, file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            if not self._has_name(name, file):
                return None
            opened.pop_all()
            return file

    def _remove_temporaries(self) -> None:
        """The first one goes last, since it is the one that the next writer looks for."""
        names = (name for name in os.listdir(self._handle) if name.startswith(TEMPORARY))
        for file in sorted(names, reverse=True):
            os.unlink(file, dir_fd=self._handle)

    def _is_named(self, file: str) -> bool:
        """Whether the directory has this very name.

        If not, its file system takes another user's, in other case, for the same.
        """
        in_other_case = "".join(c.swapcase() if c.isascii() else c for c in file)
        return self._status(in_other_case) is None or file in os.listdir(self._handle)

    def _has_name(self, file: str, opened: int) -> bool:
        """Whether this is the name of the very file that was opened."""
        named = self._status(file)
        return named is not None and os.path.samestat(named, os.fstat(opened))

    def _status(self, file: str) -> os.stat_result | None:
        try:
            return os.stat(file, dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return None


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


def _contents(opened: int, name: str) -> bytes:
    """All that is in a file now."""
    contents = b""
    with _failing(f"reading {name!r}"):
        while len(contents) <= MAX_FILE_BYTES:
            more = os.pread(opened, MAX_FILE_BYTES + 1 - len(contents), len(contents))
            if not more:
                return contents
            contents += more
    raise _too_large(name)


def _check_file(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DirectoryFailure(f"{name!r} is not a regular file")
    if status.st_nlink > 1:
        raise DirectoryFailure(f"{name!r} has a second name (hard link)")
    if status.st_uid != os.geteuid():
        raise DirectoryFailure(f"{name!r} belongs to another user")


def _changed(name: str) -> Conflict:
    return Conflict(f"{name!r} was changed by somebody else in between")


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
