"""Calls as the application's manager has them: a failure is logged, and a value is returned."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from .. import fork_safe
from ..errors import Conflict, InvalidUserId, Locked, MoatError, NotFound
from .operations import WRITERS, logger
from .place import Place

T = TypeVar("T")

# Between two attempts to write.
PAUSE_SECONDS = 0.03
MAX_SHOWN = 100

# Those who write take turns in a process: in an update, no other comes between reading and writing.
_writing = fork_safe.lock()

# Until when the directory of a path, which was locked, isn't tried again. Of many that wait, one at
# a time tries, so that they don't keep those waiting who read.
_locked_until: dict[str, float] = {}


class Call(Generic[T]):
    """A call, which is attempted until nobody else writes, or the time is over."""

    def __init__(
        self, path: str, lock_timeout: float, failure: T, work: Callable[..., T], *args: Any
    ) -> None:
        """Of a function of `operations`, whose first argument is a user id if it has any."""
        self.result = failure
        """What it returns once it has ended."""
        self._place = Place(path)
        self._timeout = lock_timeout
        self._end = time.monotonic() + lock_timeout
        self._work = work
        self._writes = work in WRITERS
        self._args = args

    def attempt(self) -> bool:
        """Does it once, and returns whether it has ended; raises nothing."""
        path = self._place.path
        try:
            self._check_user_id()
            with _writing if self._writes else nullcontext():
                self.result = self._work(self._place, *self._args)
        except (Locked, Conflict) as error:
            now = time.monotonic()
            if now < self._end:
                if isinstance(error, Locked):
                    _locked_until[path] = now + PAUSE_SECONDS
                return False
            self.fail(type(error)(f"others were writing for {self._timeout:g} s"))
        except Exception as error:
            self.fail(error)
        if self._writes:
            _locked_until.pop(path, None)
        return True

    def may_attempt(self) -> bool:
        """Whether it is this one's turn, of all that wait for the same directory."""
        until = _locked_until.get(self._place.path) if self._writes else None
        now = time.monotonic()
        if until is None or now >= self._end:
            return True
        if now < until:
            return False
        _locked_until[self._place.path] = now + PAUSE_SECONDS
        return True

    def _check_user_id(self) -> None:
        if self._args and not isinstance(self._args[0], str):
            kind = type(self._args[0]).__name__
            raise InvalidUserId(f"the user id is not a string, but {kind}")

    def fail(self, error: Exception) -> None:
        """Logs a failure, without what may quote a secret."""
        user = f" of {_shown(self._args[0])}" if self._args else ""
        what = f"{self._work.__name__}{user} in {self._place.path!r}"
        if isinstance(error, NotFound):
            logger.info("%s: %s: %s", what, error.code, error.args[0])
        elif isinstance(error, MoatError):
            logger.error("%s: %s: %s", what, error.code, error.args[0])
        else:
            logger.error("%s: %s", what, type(error).__name__)


def _shown(user_id: Any) -> str:
    return repr(user_id[:MAX_SHOWN]) if isinstance(user_id, str) else type(user_id).__name__
