"""Writes and reads version 1.0 records as the FossaWork application does, without Moat's code.

What Moat exchanges with the application is tested against this: it is made from the format's facts
alone, with the library that the application uses. The master key is FOSSAWORK_MASTER_KEY.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

FORMS = ("documented", "app")


def user_cipher(user_id: str) -> Fernet:
    """The cipher of one user: the salt comes from the user id, so each has a key of their own."""
    master_key = os.fsencode(os.environ["FOSSAWORK_MASTER_KEY"])
    salt = hashlib.sha256(user_id.encode()).digest()[:16]
    kdf = PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=salt, iterations=100_000)
    return Fernet(base64.urlsafe_b64encode(kdf.derive(master_key)))


def new_record(
    cipher: Fernet, user_id: str, username: str, password: str, form: str
) -> dict[str, str]:
    """A record of a credential that is made now, by the local clock."""
    created_at = datetime.now().isoformat()
    plaintext = {
        "username": username,
        "password": password,
        "created_at": created_at,
        "last_used": None,
        "is_valid": True,
        "validation_attempts": 0,
    }
    token = cipher.encrypt(json.dumps(plaintext).encode())
    return {
        "user_id": user_id,
        "encrypted_data": (base64.b64encode(token) if form == "app" else token).decode(),
        "created_at": created_at,
        "encryption_version": "1.0",
    }


def write(directory: Path, user_id: str, username: str, password: str, form: str) -> None:
    """Writes a new record, never readable by others, not even for a moment."""
    record = new_record(user_cipher(user_id), user_id, username, password, form)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{user_id}.cred"
    path.unlink(missing_ok=True)
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(record, file)


def read(directory: Path, user_id: str, form: str) -> str:
    """The inner JSON of a record in exactly this form: the application reads none but its own."""
    record = json.loads((directory / f"{user_id}.cred").read_bytes())
    stated = (record["user_id"], record["encryption_version"])
    if stated != (user_id, "1.0"):
        raise ValueError(f"the record states {stated}")
    token = record["encrypted_data"].encode()
    if form == "app":
        token = base64.b64decode(token, validate=True)
    return user_cipher(user_id).decrypt(token).decode()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, further in (("write", ("username", "password")), ("read", ())):
        subparser = commands.add_parser(command)
        subparser.add_argument("directory", type=Path)
        for name in ("user_id", *further):
            subparser.add_argument(name)
        subparser.add_argument("--form", choices=FORMS, required=True)
    return parser.parse_args()


def main() -> None:
    given = parse_arguments()
    if given.command == "write":
        write(given.directory, given.user_id, given.username, given.password, given.form)
        return
    try:
        print(read(given.directory, given.user_id, given.form))
    except (InvalidToken, OSError, ValueError, KeyError) as error:
        sys.exit(f"no record that opens in this form: {error!r}")


if __name__ == "__main__":
    main()
