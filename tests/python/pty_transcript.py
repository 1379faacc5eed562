"""Runs the commands of a transcript at a pseudo-terminal, and prints what is seen on its screen.

    pty_transcript.py COLUMNS < TRANSCRIPT

A line that begins with `$ ` is a command; the terminal has all of its output, and wraps it. At a question for a password,
PASSWORD is typed; at one that ends with `] `, what follows it in the transcript. A line that begins with `~ ` is a line of the
screen while the command runs. All the rest is what the screen shows at the end, without what stands for passwords.
"""

from __future__ import annotations

import re
import sys

import pyte
from terminal import Terminal

PASSWORD = b"correct horse"


def seen(columns: int, shown: bytes) -> list[str]:
    """The lines of a screen that is never full."""
    screen = pyte.Screen(columns, 200)
    pyte.ByteStream(screen).feed(shown)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def meanwhile(columns: int, shown: bytes, wanted: list[str]) -> list[str]:
    """Those of the wanted lines that the screen had at some time, between any two writes of the program."""
    pieces = re.split(rb"(?=\r\x1b\[K)", shown)
    times = ["\n".join(seen(columns, b"".join(pieces[:end]))) for end in range(1, len(pieces) + 1)]
    had = "\n".join(times)
    return [line for line in wanted if re.search(pattern(line), had, re.MULTILINE)]


def pattern(line: str) -> str:
    return "^" + ".*".join(re.escape(part) for part in line.split("[..]")) + "$"


def run(columns: int, command: str, lines: list[str]) -> None:
    answers = [match[1] for line in lines if (match := re.search(r"\[(?:y/N|Y/n)\] (.*)", line))]
    # It says when it has ended, with a character that no command shows.
    terminal = Terminal(["sh", "-c", f"{command}\ncode=$?; printf '\\004'; exit $code"], columns)
    question = rb"(password: |\[[yY]/[nN]\] )\Z"
    while (match := terminal.wait_for(question + rb"|\x04\Z"))[0] != b"\x04":
        answer = PASSWORD if match[0].endswith(b": ") else answers.pop(0).encode()
        terminal.send(answer + b"\n")
    code = terminal.finish()
    shown = terminal.shown.replace(b"\x04", b"")
    print(f"$ {command}")
    wanted = [line.removeprefix("~ ") for line in lines if line.startswith("~ ")]
    for line in meanwhile(columns, shown, wanted):
        print(f"~ {line}")
    print("\n".join(seen(columns, shown)))
    if code:
        print(f"? {code}")


columns = int(sys.argv[1])
commands: list[tuple[str, list[str]]] = []
for line in sys.stdin.read().splitlines():
    if line.startswith("$ "):
        commands.append((line.removeprefix("$ "), []))
    else:
        commands[-1][1].append(line)
for command, lines in commands:
    run(columns, command, lines)
