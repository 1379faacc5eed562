"""Validates JSON with the definitions of a JSON Schema.

    validate.py SCHEMA < PAIRS

Each line of PAIRS is an array of a definition's name and a value. Prints what doesn't fit, and exits with 1 if anything doesn't.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

schema = json.loads(Path(sys.argv[1]).read_text())
Draft202012Validator.check_schema(schema)
ok = True
for line in sys.stdin:
    name, value = json.loads(line)
    validator = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
    for error in validator.iter_errors(value):
        ok = False
        print(f"{name}: {error.json_path}: {error.message} in {json.dumps(value)}")
        for deeper in error.context or []:
            print(f"    {deeper.json_path}: {deeper.message}")
sys.exit(0 if ok else 1)
