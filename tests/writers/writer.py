"""The Python package's directory: `read NAME`, or `write NAME FILE REVISION`."""

import sys
from pathlib import Path

from moat import MoatError
from moat.directory import Directory

directory = Directory("credentials", 10)
try:
    match sys.argv[1:]:
        case ["read", name]:
            file = directory.read(name)
            print("none" if file is None else file[0].decode())
        case ["write", name, source, revision]:
            directory.write(name, Path(source).read_bytes(), revision)
            print("done")
except MoatError as error:
    print(error.code)
