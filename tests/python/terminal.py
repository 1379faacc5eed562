"""A pseudo-terminal with a command at it, and what a person or `expect` does there.

Nothing here waits for a time to pass, only for what the terminal shows or does; TIMEOUT is for the case
that it never comes.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import termios
import time
from collections.abc import Callable

TIMEOUT = 60
"""Seconds to wait for anything."""


class Terminal:
    """A terminal and the command that was started at it, in a session of its own."""

    def __init__(self, command: list[str], columns: int = 80) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # As a login has them, even if the tests run below nohup or in a script's background.
            for number in [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]:
                signal.signal(number, signal.SIG_DFL)
            termios.tcsetwinsize(0, (24, columns))
            try:
                os.execvp(command[0], command)
            except OSError as error:
                os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            finally:
                os._exit(127)
        self.shown = b""
        """All that the terminal has shown."""
        self.seen = 0
        """How much of it was waited for."""

    def send(self, keys: bytes) -> None:
        """Types, and reads meanwhile: a terminal takes no more than it can show."""
        while keys:
            readable, writable, _ = select.select([self.fd], [self.fd], [], TIMEOUT)
            assert readable or writable, f"the terminal takes no more: {self.shown!r}"
            if readable and not self._read():
                return
            if writable:
                keys = keys[os.write(self.fd, keys[:512]) :]

    def wait_for(self, pattern: bytes) -> re.Match[bytes]:
        """Waits until this regular expression is shown, after what was waited for before."""
        end = time.monotonic() + TIMEOUT
        while not (match := re.compile(pattern, re.DOTALL).search(self.shown, self.seen)):
            ready = select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]
            assert ready and self._read(), f"no {pattern!r} after {self.shown!r}"
        self.seen = match.end()
        return match

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Waits until this is true."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, f"not {condition.__doc__}: {self.shown!r}"
            if select.select([self.fd], [], [], 0.002)[0]:
                self._read()

    def finish(self) -> int:
        """Reads until nobody has the terminal open, and returns the exit code: 128 + n for signal n."""
        while True:
            assert select.select([self.fd], [], [], TIMEOUT)[0], f"no end: {self.shown!r}"
            if not self._read():
                break
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code if code >= 0 else 128 - code

    def foreground(self) -> int:
        """The process group that has the terminal."""
        return os.tcgetpgrp(self.fd)

    def hides(self) -> bool:
        """Whether the terminal shows nothing of what is typed."""
        return not termios.tcgetattr(self.fd)[3] & termios.ECHO

    def _read(self) -> bool:
        try:
            shown = os.read(self.fd, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        self.shown += shown
        return bool(shown)
