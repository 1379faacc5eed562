"""Goes through every method of `moat.fossawork.CredentialManager` as a web service would.

Prints what it saw, and ends with 1 at the first deviation. It needs no key and no directory.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import moat
from moat.fossawork import CredentialManager

KEY = b"dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0"
USER, PASSWORD = "anna@example.com", "pässwörd \"'\\ \U0001f511"
PLAIN = {
    "username": "carl",
    "password": "battery staple",
    "created_at": "2025-01-14T10:00:00",
    "last_used": None,
    "is_valid": True,
    "validation_attempts": 1,
}
SECRETS = (PASSWORD, "battery staple", KEY.decode())


class Logged(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line."""
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def expect(what: str, seen: Any, expected: Any) -> None:
    """Unlike `assert`, not switched off by `python -O`."""
    if seen != expected:
        sys.exit(f"{what}: expected {expected!r}, saw {seen!r}")
    print(f"{what}: {seen!r}")


def refused(what: str, error: type[moat.MoatError], call: Callable[[], object]) -> None:
    """Expects a failure of exactly this kind, whose message holds no secret."""
    try:
        returned = call()
    except moat.MoatError as raised:
        expect(what, type(raised).__name__, error.__name__)
        keep_secret(what, repr(raised))
    else:
        sys.exit(f"{what}: expected {error.__name__}, it returned {returned!r}")


def keep_secret(what: str, text: str) -> None:
    """Expects that no secret of this run stands in a text."""
    if any(secret in text for secret in SECRETS):
        sys.exit(f"{what} shows a secret")


def legacy_record(user_id: str) -> bytes:
    """A record of the application's old fallback, which is not encrypted."""
    data = base64.b64encode(json.dumps(PLAIN).encode()).decode()
    record = {"user_id": user_id, "encrypted_data": data, "crypto_available": False}
    return json.dumps(record).encode()


def try_life(manager: CredentialManager, directory: Path) -> None:
    """Stores a credential, uses it and replaces it."""
    expect("nobody yet", manager.list_stored_users(), [])
    expect("retrieve nobody", manager.retrieve_credentials(USER), None)
    expect("validate nobody", manager.validate_credentials(USER), False)
    expect("update nobody", manager.update_last_used(USER), False)
    expect("delete nobody", manager.delete_credentials(USER), False)

    started = now()
    expect("store", manager.store_credentials(USER, "anna", PASSWORD), True)
    record = json.loads((directory / f"{USER}.cred").read_bytes())
    expect("its token is the application's", record["encrypted_data"][:9], "Z0FBQUFBQ")
    found = retrieved(manager)
    expect("it was made now", started <= found.pop("created_at") <= now(), True)
    rest = {"last_used": None, "is_valid": False, "validation_attempts": 0}
    expect("retrieve", found, {"username": "anna", "password": PASSWORD, **rest})

    expect("validate", manager.validate_credentials(USER), True)
    expect("validate as invalid", manager.validate_credentials(USER, is_valid=False), True)
    found = retrieved(manager)
    expect("attempts", (found["is_valid"], found["validation_attempts"]), (False, 2))
    expect("update", manager.update_last_used(USER), True)
    expect("it was used now", started <= retrieved(manager)["last_used"] <= now(), True)

    expect("store again", manager.store_credentials(USER, "anna", "other"), True)
    expect("the other password", retrieved(manager)["password"], "other")


def try_threads(manager: CredentialManager) -> None:
    """Counts attempts from several threads, none of which gets lost."""
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: manager.validate_credentials(USER), range(40)))
    expect("all threads counted", all(done), True)
    expect("no attempt got lost", retrieved(manager)["validation_attempts"], 40)


def try_errors(manager: CredentialManager, directory: Path) -> None:
    """Whatever is not just "there is none" is raised."""
    store, retrieve = manager.store_credentials, manager.retrieve_credentials
    refused("store ../anna", moat.InvalidUserId, partial(store, "../anna", "anna", PASSWORD))
    refused("retrieve ../anna", moat.InvalidUserId, partial(retrieve, "../anna"))
    half = f"{PASSWORD}\udd11"
    refused("half a character", moat.InvalidCredential, partial(store, "x", "x", half))
    refused("70,000 bytes", moat.TooLarge, partial(store, "x", "x", PASSWORD * 3_500))

    with CredentialManager(directory, keys=moat.MasterKey(b"another key of this service")) as other:
        wrong = moat.WrongKeyOrTampered
        refused("retrieve with another key", wrong, partial(other.retrieve_credentials, USER))
        refused("validate with another key", wrong, partial(other.validate_credentials, USER))
        replace = partial(other.store_credentials, USER, "anna", PASSWORD)
        refused("store with another key", wrong, replace)
    expect("it is as it was", retrieved(manager)["password"], "other")
    with CredentialManager(directory.parent / "new", keys=moat.MasterKey(b"short")) as weak:
        store = weak.store_credentials
        refused("a short key", moat.MasterKeyRefused, partial(store, "x", "x", PASSWORD))

    write_private(directory / "torn.cred", b'{"user_id": "torn", "encr')
    write_private(directory / "carl.cred", legacy_record("carl"))
    (directory / "link.cred").symlink_to(directory / f"{USER}.cred")
    bad = {"torn": moat.Malformed, "link": moat.DirectoryFailure, "carl": moat.NeedsMigration}
    for user_id, error in bad.items():
        refused(f"retrieve {user_id}", error, partial(manager.retrieve_credentials, user_id))
        refused(f"update {user_id}", error, partial(manager.update_last_used, user_id))


def try_directory(manager: CredentialManager, directory: Path) -> None:
    """What stands in the directory, and how it goes."""
    expect("list", manager.list_stored_users(), [USER, "carl", "link", "torn"])
    info = {
        "storage_path": str(directory),
        "directory_mode": "0700",
        "stored_users": 4,
        "records": {"current": 1, "legacy-plaintext": 1, "directory": 1, "malformed": 1},
        "needs_migration": True,
    }
    expect("info", manager.get_security_info(), info)
    for user_id in manager.list_stored_users():
        expect(f"delete {user_id}", manager.delete_credentials(user_id), True)
    expect("nobody left", manager.list_stored_users(), [])
    directory.chmod(0o770)
    refused("others can write", moat.DirectoryFailure, partial(CredentialManager, directory))
    directory.chmod(0o700)


def try_renewal(manager: CredentialManager, directory: Path, logged: Logged) -> None:
    """A credential of last year is logged; a service that lost its key is not made."""
    with moat.Vault(directory) as vault:
        field = moat.Field("totp", "JBSWY3DPEHPK3PXP")
        old = moat.Credential("anna", PASSWORD, (field,), created_at="2025-01-14T10:00:00")
        vault.put(USER, old)
    logged.lines.clear()
    retrieved(manager)
    days = (datetime.now(UTC) - datetime(2025, 1, 14, 10, tzinfo=UTC)).days
    expect("old", logged.lines, [f"WARNING the credential of {USER!r} is {days} days old"])
    manager.store_credentials(USER, "anna", PASSWORD)
    expect("dropped", logged.lines[1], f"WARNING further fields of {USER!r} were dropped: 1")

    del os.environb[b"FOSSAWORK_MASTER_KEY"]
    refused("no master key", moat.MasterKeyMissing, partial(CredentialManager, directory))


def retrieved(manager: CredentialManager) -> dict[str, Any]:
    """USER's credential, which has to be there."""
    found = manager.retrieve_credentials(USER)
    if found is None:
        sys.exit("the credential is gone")
    return found


def now() -> str:
    """As records have it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0).isoformat()


def write_private(path: Path, contents: bytes) -> None:
    """Writes a file of mode 0600."""
    path.touch(0o600)
    path.write_bytes(contents)


def main() -> None:
    """Tries all of it in a directory that goes afterwards."""
    os.environb[b"FOSSAWORK_MASTER_KEY"] = KEY
    os.environb.pop(b"FOSSAWORK_MASTER_KEY_PREVIOUS", None)
    logged = Logged()
    logger = logging.getLogger("moat")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(logged)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary, "service", "credentials")
        with CredentialManager(directory) as manager:
            try_life(manager, directory)
            try_threads(manager)
            try_errors(manager, directory)
            try_directory(manager, directory)
            keep_secret("the log", "\n".join(logged.lines))
            try_renewal(manager, directory, logged)
    print("all as expected")


if __name__ == "__main__":
    main()
