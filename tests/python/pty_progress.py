"""Runs a command at a pseudo-terminal with so many columns, and ends it early.

    pty_progress.py COLUMNS KEY|SIGNAL|- COMMAND [ARGUMENT]…

As soon as it shows that a record is done, presses the key (`^C`) or sends the signal (`SIGTERM`). Prints
what the terminal showed, line ends as the terminal got them (`\r\n`), and exits with the command's exit
code (128 + n when signal n ended it).
"""

from __future__ import annotations

import os
import signal
import sys

from terminal import Terminal

columns, how, *command = sys.argv[1:]
terminal = Terminal(command, int(columns))
if how != "-":
    terminal.wait_for(rb"ing [1-9]\d* of ")
    if how.startswith("^"):
        terminal.send(bytes([ord(how[1]) - ord("@")]))
    else:
        os.kill(terminal.pid, signal.Signals[how])
code = terminal.finish()
sys.stdout.buffer.write(terminal.shown)
sys.exit(code)
