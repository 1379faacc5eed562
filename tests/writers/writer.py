"""The Python package's directory: `read NAME`, or `write NAME FILE REVISION`."""

import sys
from pathlib import Path

from moat import MoatError
from moat.directory import Directory

try:
    directory = Directory("credentials", 10)
    match sys.argv[1:]:
        case ["read", name]:
            print("not-found" if directory.read(name) is None else "read")
        case ["write", name, source, revision]:
            directory.write(name, Path(source).read_bytes(), revision)
            print("done")
except MoatError as error:
    print(error.code)
