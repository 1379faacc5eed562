"""Runs a command at a pseudo-terminal and answers its prompts, as a person would.

    MOAT_TEST_ANSWERS=$'first\nsecond' pty_prompt.py COMMAND [ARGUMENT]…

Prints what the terminal showed, line ends as the terminal got them (`\r\n`), and exits with the
command's exit code (128 + n when signal n ended it, 124 after TIMEOUT).
"""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
from types import FrameType

TIMEOUT = 20
"""Seconds for all of it: a prompt that nobody answers must not hang the tests."""

QUIET = 0.1
"""Seconds of silence that tell a prompt from text on its way. By then the command has switched the
echo off, too: an answer that comes sooner could be shown, or thrown away."""


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Gets out of whatever the alarm finds this waiting in."""
    raise TimeoutError


def spawn(command: list[str]) -> tuple[int, int]:
    """Starts the command at a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)
    return pid, terminal


def is_prompt(transcript: bytearray) -> bool:
    """Whether the cursor stands behind a question."""
    return transcript.endswith((b": ", b"] "))


def converse(terminal: int, answers: list[str], transcript: bytearray) -> None:
    """Collects what the terminal shows until the command closes it; answers each prompt once."""
    answered = 0
    while True:
        waiting = bool(answers) and is_prompt(transcript) and len(transcript) > answered
        if not select.select([terminal], [], [], QUIET if waiting else None)[0]:
            answered = len(transcript)
            os.write(terminal, f"{answers.pop(0)}\n".encode())
            continue
        try:
            shown = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other side is closed
            return
        if not shown:
            return
        transcript += shown


def main() -> int:
    given = os.environ.pop("MOAT_TEST_ANSWERS", None)  # the command doesn't get to see them
    answers = [] if given is None else given.split("\n")
    pid, terminal = spawn(sys.argv[1:])
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIMEOUT)
    transcript = bytearray()
    try:
        converse(terminal, answers, transcript)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except TimeoutError:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print(f"no end after {TIMEOUT} s", file=sys.stderr)
        code = 124
    sys.stdout.buffer.write(transcript)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
