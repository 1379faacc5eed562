"""Runs a command at a pseudo-terminal and answers its questions the instant that they are shown.

    pty_prompt.py COMMAND [ARGUMENT]… < ANSWERS

An answer is a line of hexadecimal digits, for all that is typed, Enter included. Prints what the
terminal showed, line ends as the terminal got them (`\r\n`), other bytes than UTF-8 as U+FFFD, and
exits with the command's exit code (128 + n when signal n ended it).
"""

from __future__ import annotations

import sys

from terminal import Terminal

answers = [bytes.fromhex(line) for line in sys.stdin]
terminal = Terminal(sys.argv[1:])
for answer in answers:
    terminal.wait_for(rb"(: |\] |Ctrl-D\r\n)\Z")
    terminal.send(answer)
code = terminal.finish()
sys.stdout.buffer.write(terminal.shown.decode(errors="replace").encode())
sys.exit(code)
