"""Runs a command that opens an editor at a pseudo-terminal, and types into the editor.

    pty_editor.py KEYS COMMAND [ARGUMENT]…

Types as soon as the editor shows the text. Prints what the terminal showed, and exits with the command's exit code.
"""

from __future__ import annotations

import sys

from terminal import Terminal

keys, *command = sys.argv[1:]
terminal = Terminal(command)
terminal.wait_for(b"password")
terminal.send(keys.encode())
code = terminal.finish()
sys.stdout.buffer.write(terminal.shown.decode(errors="replace").encode())
sys.exit(code)
