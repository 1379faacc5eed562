"""Compares a warm `retrieve_credentials` with the application's way, which derives for every call.

Needs the package `cryptography`. Both read the same record; they take turns, so that what else the
machine does meets both. Prints the medians in milliseconds and their ratio.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from moat.fossawork import CredentialManager, WorkFossaCredentials

ROUNDS = 50
USER = "anna@example.com"


def the_way_of_the_application(directory: Path, key: str) -> dict[str, object]:
    """As tests/python/fossawork_way.py has it."""
    record = json.loads((directory / f"{USER}.cred").read_text(encoding="utf-8"))
    salt = hashlib.sha256(USER.encode()).digest()[:16]
    kdf = PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=salt, iterations=100_000)
    cipher = Fernet(base64.urlsafe_b64encode(kdf.derive(key.encode())))
    credential: dict[str, object] = json.loads(
        cipher.decrypt(base64.b64decode(record["encrypted_data"]))
    )
    return credential


def milliseconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    """Measures both."""
    key = secrets.token_urlsafe(32)
    os.environ["FOSSAWORK_MASTER_KEY"] = key
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        manager = CredentialManager(temporary)
        manager.store_credentials(WorkFossaCredentials("anna", "correct horse", USER))
        # This also derives the key, so that what is measured is warm.
        found = manager.retrieve_credentials(USER)
        read = the_way_of_the_application(directory, key)
        if found is None or found.password != read["password"]:
            sys.exit("the two don't read the same")
        moat, application = [], []
        for _ in range(ROUNDS):
            moat.append(milliseconds(lambda: manager.retrieve_credentials(USER)))
            application.append(milliseconds(lambda: the_way_of_the_application(directory, key)))
    warm, derived = statistics.median(moat), statistics.median(application)
    print(f"retrieve_credentials, warm    {warm:8.2f} ms")
    print(f"deriving for every call       {derived:8.2f} ms")
    print(f"ratio                         {derived / warm:8.1f}")


if __name__ == "__main__":
    main()
