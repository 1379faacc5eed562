"""Master keys as the `moat` program reads them: files, rings, variables (host/docs/keys.md)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import ring_document
from .errors import MasterKeyMissing
from .keys import MasterKey
from .ring_document import NotARing
from .secret_file import read_limited, read_secret_file, without_line_break

VARIABLE = "FOSSAWORK_MASTER_KEY"
RING_VARIABLE = "FOSSAWORK_KEYRING"
FILE_VARIABLE = "FOSSAWORK_MASTER_KEY_FILE"
COMMAND_VARIABLE = "FOSSAWORK_MASTER_KEY_COMMAND"
PREVIOUS_VARIABLE = "FOSSAWORK_MASTER_KEY_PREVIOUS"
SYSTEMD_CREDENTIAL = "fossawork-master-key"

SOURCES = (VARIABLE, RING_VARIABLE, FILE_VARIABLE, COMMAND_VARIABLE)
# What no command inherits.
KEY_VARIABLES = (*SOURCES, PREVIOUS_VARIABLE, "FOSSAWORK_AUDIT_KEY_FILE")


def read_master_key(path: str | os.PathLike[str]) -> MasterKey:
    r"""The key in a file, without one line break at its end, `\n` or `\r\n`.

    The file has to belong to this user or root, and nobody else may access it. Raises
    `MasterKeyMissing`, also when the file is empty or a key ring.
    """
    text = read_secret_file(path)
    if ring_document.is_meant(text):
        raise MasterKeyMissing(f"{os.fspath(path)} contains a key ring, not a key")
    return _single(os.fspath(path), text)


def read_key_ring(path: str | os.PathLike[str]) -> list[MasterKey]:
    """The keys in use of a ring that `moat keys` wrote, the primary one first.

    The rules for the file are those of `read_master_key`. Raises `MasterKeyMissing`.
    """
    return _ring(os.fspath(path), read_secret_file(path))


def environment_keys() -> list[MasterKey]:
    """The keys that the environment names, as for the `moat` program; the first encrypts.

    From one of FOSSAWORK_MASTER_KEY (the key itself), FOSSAWORK_KEYRING and
    FOSSAWORK_MASTER_KEY_FILE (paths) and FOSSAWORK_MASTER_KEY_COMMAND (for the shell; it prints a
    key or a ring); without any of these, the systemd credential `fossawork-master-key`.
    FOSSAWORK_MASTER_KEY_PREVIOUS adds older keys to a single one, one a line.
    Raises `MasterKeyMissing` when there is none, when there are two, and when one can't be used.
    """
    return keys_by(run_command)


def keys_by(run: Callable[[str], bytes]) -> list[MasterKey]:
    """As `environment_keys`, with what `run` returns for the key command."""
    given = [name for name in SOURCES if os.environb.get(name.encode())]
    if len(given) > 1:
        raise MasterKeyMissing(f"the master key has more than one source: {' and '.join(given)}")
    name = given[0] if given else None
    if name == VARIABLE:
        return [MasterKey(os.environb[VARIABLE.encode()]), *_previous()]
    if name == RING_VARIABLE:
        return _without_previous(read_key_ring(os.environ[RING_VARIABLE]))
    if name == FILE_VARIABLE:
        return [read_master_key(os.environ[FILE_VARIABLE]), *_previous()]
    if name == COMMAND_VARIABLE:
        return _key_or_ring("the master key command", run(os.environ[COMMAND_VARIABLE]))
    return _key_or_ring(f"the systemd credential {SYSTEMD_CREDENTIAL}", _from_systemd())


def _key_or_ring(place: str, text: bytes) -> list[MasterKey]:
    if ring_document.is_meant(text):
        return _without_previous(_ring(place, text))
    return [_single(place, text), *_previous()]


def _ring(place: str, text: bytes) -> list[MasterKey]:
    try:
        return ring_document.parse(text)
    except NotARing as reason:
        raise MasterKeyMissing(f"{place}: it is not a key ring: {reason}") from None


def _single(place: str, text: bytes) -> MasterKey:
    key = without_line_break(text)
    if not key:
        raise MasterKeyMissing(f"{place} contains no key")
    return MasterKey(key)


def _previous() -> list[MasterKey]:
    lines = os.environb.get(PREVIOUS_VARIABLE.encode(), b"").split(b"\n")
    keys = [line.removesuffix(b"\r") for line in lines]
    return [MasterKey(key) for key in keys if key]


def _without_previous(ring: list[MasterKey]) -> list[MasterKey]:
    if os.environb.get(PREVIOUS_VARIABLE.encode()):
        raise MasterKeyMissing(f"{PREVIOUS_VARIABLE} can't be used with a key ring")
    return ring


def command_environment() -> dict[str, str]:
    """The variables that a key command gets."""
    return {name: value for name, value in os.environ.items() if name not in KEY_VARIABLES}


def run_command(command: str) -> bytes:
    """What a key command prints. It gets no input, and its standard error is this process's."""
    what = "the master key command"
    try:
        with subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=command_environment(),
        ) as process:
            assert process.stdout is not None
            output = read_limited(what, process.stdout)
    except OSError as error:
        raise MasterKeyMissing(f"{what}: {error.strerror}") from error
    if process.returncode != 0:
        raise MasterKeyMissing(f"{what}: it failed with exit status {process.returncode}")
    return output


def _from_systemd() -> bytes:
    """Its mode isn't checked: it shows an access control list, in a directory that is closed."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    what = f"the systemd credential {SYSTEMD_CREDENTIAL}"
    if directory is not None:
        try:
            with open(Path(directory, SYSTEMD_CREDENTIAL), "rb", buffering=0) as file:
                return read_limited(what, file)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise MasterKeyMissing(f"{what}: {error.strerror}") from error
    raise MasterKeyMissing(f"there is no master key: none of {', '.join(SOURCES)} is set")
