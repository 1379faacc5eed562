"""Opens a record of version 2.0 by the steps of host/docs/format.md, with nothing but `cryptography`.

    FOSSAWORK_MASTER_KEY=… read_2_0.py FILE

Prints the decrypted JSON.
"""

import base64
import hmac
import json
import os
import sys
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

path = Path(sys.argv[1])
record = json.loads(path.read_text())
assert record["encryption_version"] == "2.0"
assert path.name == record["user_id"] + ".cred"
kdf = record["kdf"]
salt = base64.urlsafe_b64decode(kdf["salt"])
assert len(salt) == 16

master_key = os.environ["FOSSAWORK_MASTER_KEY"].encode()
salt = b"moat 2.0 root\0" + salt
if kdf["name"] == "hkdf-sha256":
    assert master_key.startswith(b"MOAT-MASTER-KEY-1")
    root = hmac.digest(salt, master_key, "sha256")
else:
    assert kdf["name"] == "pbkdf2-hmac-sha256"
    assert 600_000 <= kdf["rounds"] <= 2_000_000
    root = PBKDF2HMAC(SHA256(), 32, salt, kdf["rounds"]).derive(master_key)
info = b"user\0" + record["user_id"].encode()
key = HKDFExpand(SHA256(), 32, info).derive(root)

token = record["encrypted_data"].encode()
if not token.startswith(b"gAAAA"):
    token = base64.urlsafe_b64decode(token)
inside = json.loads(Fernet(base64.urlsafe_b64encode(key)).decrypt(token))
outside = {name: record.get(name) for name in ("user_id", "key_id", "write_counter")}
assert inside["record"] == outside, "the outside was altered"
print(json.dumps(inside))
