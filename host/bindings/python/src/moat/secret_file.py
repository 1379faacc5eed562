"""Files that hold a key: who may have read them, and what an editor appends to them."""

from __future__ import annotations

import os
import stat
from typing import Protocol

from .errors import MasterKeyMissing
from .private_file import is_private

MAX_BYTES = 64 * 1024


class Readable(Protocol):
    """What a secret is read from."""

    def read(self, size: int, /) -> bytes | None:
        """At most so many bytes; none at the end."""


def read_secret_file(path: str | os.PathLike[str]) -> bytes:
    """A file of this user or root that nobody else can access, as it is.

    Raises `MasterKeyMissing`, whose message begins with the path.
    """
    shown = os.fspath(path)
    try:
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            mode = stat.S_IMODE(status.st_mode)
            if not is_private(path, status):
                raise MasterKeyMissing(
                    f"{shown}: others can read it (mode {mode & 0o777:04o}); run: chmod 600 {shown}"
                )
            if status.st_uid not in (0, os.geteuid()):
                raise MasterKeyMissing(
                    f"{shown}: it belongs to uid {status.st_uid}, not to you or root"
                )
            return read_limited(shown, file)
    except OSError as error:
        raise MasterKeyMissing(f"{shown}: {error.strerror}") from error


def read_limited(what: str, file: Readable) -> bytes:
    """All that a file or a command has to say, if that can be a secret."""
    contents = bytearray()
    while part := file.read(MAX_BYTES + 1 - len(contents)):
        contents += part
    if len(contents) > MAX_BYTES:
        raise MasterKeyMissing(f"{what}: too large for a secret")
    return bytes(contents)


def without_line_break(text: bytes) -> bytes:
    r"""Without one `\n` or `\r\n` at its end, as left by editors and `echo`."""
    return text[:-1].removesuffix(b"\r") if text.endswith(b"\n") else text
