"""Saves a credential as the FossaWork application does: in place, without a lock, in local time.

    application.py DIRECTORY USER SAVES

Between its saves it reads the record, which only it gives passwords, and counts those that somebody
else has undone. Prints the counts as JSON. The master key is FOSSAWORK_MASTER_KEY.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from pathlib import Path

from exchange import new_record, user_cipher

directory, user, saves = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
path = directory / f"{user}.cred"
cipher = user_cipher(user)


def save(password: str) -> None:
    """The record as a whole, written over the one before."""
    record = new_record(cipher, user, user, password, "app")
    with open(path, "w") as file:
        json.dump(record, file)


def stands(password: str) -> bool:
    """Whether this is the password that is stored."""
    record = json.loads(path.read_text())
    token = base64.b64decode(record["encrypted_data"], validate=True)
    return json.loads(cipher.decrypt(token))["password"] == password


undone = late = 0
for number in range(saves):
    save(f"password {number}")
    time.sleep(random.uniform(0, 0.003))
    if not stands(f"password {number}"):
        # It may be on its way back into its place.
        end = time.monotonic() + 10
        while not (back := stands(f"password {number}")) and time.monotonic() < end:
            time.sleep(0.01)
        late += back
        undone += not back
print(json.dumps({"saves": saves, "undone": undone, "late": late}))
