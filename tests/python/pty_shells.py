"""Ends, stops and resumes `moat put` while it asks, below an interactive shell at a pseudo-terminal.

    pty_shells.py PLACE MOAT SHELL [ARGUMENT]…

After each way the terminal has to be what it was before, for `stty -a`, and `$?` has to name the signal.
PLACE is a directory to make and write in; the key and the credentials directory are in the environment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from terminal import Terminal

PLACE = Path(sys.argv[1])
PUT = f"{sys.argv[2]} put anna --yes --username anna"
QUESTION = rb"password: "
KEYS = {signal.SIGINT: b"\x03", signal.SIGQUIT: b"\x1c", signal.SIGTSTP: b"\x1a"}
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


class Shell(Terminal):
    """A shell, and how the terminal was when it started."""

    def __init__(self, command: list[str]) -> None:
        super().__init__(command)
        self.settings = b""
        _, self.settings = self.state()

    def run(self, line: str) -> None:
        """Types a command once the shell has the terminal."""
        self.wait_for_prompt()
        self.send(line.encode() + b"\n")

    def ask(self, line: str) -> int:
        """Runs a command that asks for the password, and returns its process group."""
        self.run(line)
        self.wait_for(QUESTION)
        assert self.hides(), self.shown
        return self.foreground()

    def wait_for_prompt(self) -> None:
        """Waits until no job of the shell has the terminal."""

        def condition() -> bool:
            """the shell in the foreground"""
            return self.foreground() == self.pid

        self.wait_until(condition)

    def state(self) -> tuple[int, bytes]:
        """The exit status of the last command, and what `stty -a` says now."""
        self.run(f'echo "status=$?;"; stty -a > {PLACE}/stty; echo "state=$((6 * 7));"')
        status = int(self.wait_for(rb"status=(\d+);")[1])
        self.wait_for(rb"state=42;")
        return status, (PLACE / "stty").read_bytes()

    def expect(self, status: int | None, way: str) -> None:
        """Checks how the last command ended, and that the terminal is as it was."""
        found, settings = self.state()
        assert status in (None, found), f"{way}: status {found}, not {status}"
        assert settings == self.settings, f"{way}: {settings!r}, before: {self.settings!r}"

    def stop(self, job: int, by_key: bool) -> None:
        """Stops the job, and waits until all of it is stopped: the shell waits for its own child alone."""
        if by_key:
            self.send(KEYS[signal.SIGTSTP])
        else:
            os.killpg(job, signal.SIGTSTP)

        def condition() -> bool:
            """all of the job stopped"""
            return set(states(job)) == {"T"}

        self.wait_until(condition)

    def answer(self) -> None:
        """Gives the password at both questions."""
        self.send(b"canary\n")
        self.wait_for(rb"repeat password: ")
        self.send(b"canary\n")


def states(job: int) -> Iterator[str]:
    """The states of the processes of a process group, as proc(5) has them."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # It has ended.
            continue
        if int(group) == job:
            yield state


def ended(shell: Shell) -> None:
    """Ends the program by keys, and from outside."""
    for number in ENDS:
        job = shell.ask(PUT)
        shell.send(b"canary")
        os.killpg(job, number)
        shell.expect(128 + number, f"kill -{number.name}")
        if number in KEYS:
            shell.ask(PUT)
            shell.send(KEYS[number])
            shell.wait_for(rb"\r\n")
            shell.expect(128 + number, f"the key of {number.name}")
    shell.ask(PUT)
    shell.send(b"canary\n")
    shell.wait_for(rb"repeat password: ")
    shell.send(KEYS[signal.SIGINT])
    shell.expect(128 + signal.SIGINT, "the key of SIGINT at the second question")


def stopped(shell: Shell) -> None:
    """Stops and resumes the program."""
    for by_key in [True, False]:
        job = shell.ask(PUT)
        shell.send(b"cana")
        shell.stop(job, by_key)
        shell.expect(None, "SIGTSTP")
        shell.ask("fg")
        shell.answer()
        shell.expect(0, "resumed after SIGTSTP")

    # In the background it waits, and can be ended.
    job = shell.ask(PUT)
    shell.stop(job, by_key=True)
    shell.run("bg")
    shell.expect(None, "bg")
    shell.ask("fg")
    shell.stop(job, by_key=True)
    shell.run("bg")
    shell.run(f"kill {job}; kill -CONT {job}")

    def condition() -> bool:
        """ended in the background"""
        return not set(states(job)) - {"Z"}

    shell.wait_until(condition)
    shell.expect(None, "kill in the background")

    # Started in the background, it waits for the foreground, and the shell goes on.
    shell.run(f"{PUT} &")
    shell.run('echo "job=$!;"')
    started = int(shell.wait_for(rb"job=(\d+);")[1])

    def waiting() -> bool:
        """stopped in the background"""
        return set(states(started)) == {"T"}

    shell.wait_until(waiting)
    shell.expect(None, "started in the background")
    shell.ask("fg")
    shell.answer()
    shell.expect(0, "brought to the foreground")

    # What can't be caught: when it is resumed, it hides and asks again.
    job = shell.ask(PUT)
    os.killpg(job, signal.SIGSTOP)
    shell.ask("fg")
    shell.answer()
    shell.expect(0, "resumed after SIGSTOP")


def below_others(shell: Shell, shell_command: str) -> None:
    """The same below a script, below `timeout`, and where a signal is ignored."""
    script = PLACE / "script"
    script.write_text(f'trap "echo trapped" INT\n{PUT}\necho "inner=$?;"\n')
    shell.ask(f"{shell_command} {script}")
    shell.send(KEYS[signal.SIGINT])
    shell.wait_for(rb"inner=130;")
    shell.expect(0, "SIGINT below a script")

    shell.stop(shell.ask(f"{shell_command} {script}"), by_key=True)
    shell.expect(None, "SIGTSTP below a script")
    shell.ask("fg")
    shell.answer()
    shell.wait_for(rb"inner=0;")
    shell.expect(0, "a script resumed")

    shell.ask(f"timeout --foreground 0.5 {PUT}")
    shell.expect(124, "timeout")

    job = shell.ask(f'(trap "" HUP; exec {PUT})')
    os.killpg(job, signal.SIGHUP)
    shell.wait_for(QUESTION)
    shell.answer()
    shell.expect(0, "SIGHUP ignored")


def main() -> None:
    PLACE.mkdir()
    shell = Shell(sys.argv[3:])
    ended(shell)
    stopped(shell)
    below_others(shell, " ".join(sys.argv[3:]).removesuffix(" -i"))
    assert b"canary" not in shell.shown, shell.shown
    shell.run("exit")
    shell.finish()


if __name__ == "__main__":
    main()
