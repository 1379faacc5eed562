"""Types command lines with tabs into an interactive shell at a pseudo-terminal.

    pty_completion.py KEYS… -- SHELL [ARGUMENT]…

The shell is set up with the commands in $RC first. Prints the words that `moat` was called with each time, as JSON: what is
typed is led to a script that notes them, by Ctrl-A and `./note `, which is typed after the tabs.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

from terminal import Terminal

split = sys.argv.index("--")
lines, command = sys.argv[1:split], sys.argv[split + 1 :]

note = Path("note")
note.write_text(f"#!{sys.executable}\nimport json, sys\nopen('noted', 'w').write(json.dumps(sys.argv[2:], ensure_ascii=False))\n")
note.chmod(stat.S_IRWXU)

terminal = Terminal(command, 200)
terminal.send(os.environ["RC"].encode() + b"\n")
for line in lines:
    terminal.wait_for(rb"ready> ")
    Path("noted").unlink(missing_ok=True)
    terminal.send(line.encode())
    terminal.send(b"\x01./note \n")

    def noted() -> bool:
        """the words noted"""
        return Path("noted").exists() and Path("noted").read_text() != ""

    terminal.wait_until(noted)
    print(Path("noted").read_text())
terminal.wait_for(rb"ready> ")
terminal.send(b"exit\n")
terminal.finish()
