"""Threads and locks that survive a fork, whose child has only the thread that forked."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .errors import Unavailable

T = TypeVar("T")


def lock() -> threading.Lock:
    """A lock for the whole process, which a fork waits for, and which is free in the child."""
    made = threading.Lock()
    os.register_at_fork(
        before=made.acquire, after_in_parent=made.release, after_in_child=made.release
    )
    return made


class Worker:
    """A thread for the whole process; started when it is first needed, in the child anew."""

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._lock = lock()
        self._executor: ThreadPoolExecutor | None = None
        os.register_at_fork(after_in_child=self._forget)

    def submit(self, work: Callable[..., T], *args: object) -> Future[T]:
        """Has it done. Raises `Unavailable` when the system gives no thread."""
        try:
            return self._started().submit(work, *args)
        except RuntimeError as error:
            raise Unavailable("no thread can be started for the call") from error

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                executor = ThreadPoolExecutor(1)
                # Work for which no thread can be started stays in the queue, and would be done with
                # the next, after its failure was reported. So the first has nothing to do.
                executor.submit(lambda: None)
                self._executor = executor
            return self._executor

    def _forget(self) -> None:
        self._executor = None
