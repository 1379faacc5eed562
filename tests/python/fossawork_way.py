"""Credentials the way the Python application gets them, each time from nothing: the peer in a benchmark.

    FOSSAWORK_MASTER_KEY=… fossawork_way.py DIRECTORY USER…

A service of a web application: it works on paths, logs, and looks whether the credential is due for
renewal; the interpreter and these imports are part of what a process of it costs.
"""

import base64
import hashlib
import json
import logging
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

logger = logging.getLogger(__name__)


def user_key(master_key: str, user_id: str) -> bytes:
    kdf = PBKDF2HMAC(
        algorithm=hashes.SHA256(),
        length=32,
        salt=hashlib.sha256(user_id.encode()).digest()[:16],
        iterations=100_000,
    )
    return base64.urlsafe_b64encode(kdf.derive(master_key.encode()))


def retrieve(directory: Path, user_id: str) -> dict[str, object]:
    record = json.loads((directory / f"{user_id}.cred").read_text(encoding="utf-8"))
    cipher = Fernet(user_key(os.environ["FOSSAWORK_MASTER_KEY"], user_id))
    credential = json.loads(cipher.decrypt(base64.b64decode(record["encrypted_data"])))
    if datetime.now() - datetime.fromisoformat(credential["created_at"]) > timedelta(days=30):
        logger.warning("the credential is due for renewal")
    return credential


for user in sys.argv[2:]:
    print(retrieve(Path(sys.argv[1]), user)["password"])
