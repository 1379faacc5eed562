"""What python-dotenv reads from files as an application loads them.

Takes a JSON list of texts, and prints a list with what each makes of FOSSAWORK_CREDENTIALS_DIR: its
value, or null where it isn't set.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path

from dotenv import dotenv_values

logging.disable()
with tempfile.TemporaryDirectory() as directory:
    path = Path(directory, ".env")
    values = []
    for text in json.load(sys.stdin):
        path.write_bytes(text.encode())
        values.append(dotenv_values(path).get("FOSSAWORK_CREDENTIALS_DIR"))
print(json.dumps(values))
