"""Calls as the application's manager has them: a failure is logged, and a value is returned."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..errors import InvalidUserId, Locked, MoatError, NotFound
from .operations import logger
from .place import Place

T = TypeVar("T")

# Between two attempts to get the directory's lock.
PAUSE_SECONDS = 0.01
MAX_SHOWN = 100


class Call(Generic[T]):
    """A call, which is attempted until the directory's lock is free, or the time is over."""

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
        self._args = args

    def attempt(self) -> bool:
        """Does it once, and returns whether it has ended; raises nothing."""
        try:
            if self._args:
                user_id, *others = self._args
                self.result = self._work(self._place, _plain(user_id), *others)
            else:
                self.result = self._work(self._place)
        except Locked:
            if time.monotonic() < self._end:
                return False
            self.fail(Locked(f"another process held the directory's lock for {self._timeout:g} s"))
        except Exception as error:
            self.fail(error)
        return True

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


def _plain(user_id: Any) -> str:
    if not isinstance(user_id, str):
        raise InvalidUserId(f"the user id is not a string, but {type(user_id).__name__}")
    # Of a subclass, such as an enum, f-strings would make another text.
    return str.__str__(user_id)


def _shown(user_id: Any) -> str:
    return repr(user_id[:MAX_SHOWN]) if isinstance(user_id, str) else type(user_id).__name__
