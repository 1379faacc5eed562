"""Validates the document on standard input: `export_schema.py SCHEMA`; exits with 1 unless it is as the schema says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema

schema = json.loads(Path(sys.argv[1]).read_text())
jsonschema.Draft202012Validator.check_schema(schema)
errors = list(jsonschema.Draft202012Validator(schema).iter_errors(json.load(sys.stdin)))
for error in errors:
    print(error.message, file=sys.stderr)
sys.exit(1 if errors else 0)
