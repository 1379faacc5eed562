"""What the Python package makes of what a component writes: a file of cases."""

import json
import sys

from moat import write_policy

for case in json.load(open(sys.argv[1], encoding="utf-8")):
    contents, old, settings = (
        None if case[name] is None else case[name].encode() for name in ("new", "old", "settings")
    )
    try:
        if case["of"] == "settings":
            write_policy.check_settings(contents, old, ["main"])
        else:
            write_policy.check_record(contents, old, settings, "anna", ["main"], case["now"])
        print("true")
    except write_policy.Rejected:
        print("false")
