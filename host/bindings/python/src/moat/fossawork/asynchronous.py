"""The manager for asynchronous code."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, TypeVar

from .. import fork_safe
from ..errors import Unavailable
from . import operations
from .calls import PAUSE_SECONDS, Call
from .credentials import WorkFossaCredentials
from .manager import Settings

T = TypeVar("T")

_worker = fork_safe.Worker()
"""Makes the calls, which take turns anyway; the application's executor is left alone."""


class AsyncCredentialManager(Settings):
    """A `CredentialManager` whose calls are awaited, and never block the event loop.

    A call that waits for another process holds no thread. One that is canceled has either been
    made when `CancelledError` is raised, or never will be.
    """

    async def store_credentials(self, credentials: WorkFossaCredentials) -> bool:
        """Stores them, in place of whatever is there; returns whether they are stored."""
        user_id = getattr(credentials, "user_id", None)
        if is_dataclass(credentials):
            # The caller may change its own meanwhile.
            credentials = copy.copy(credentials)
        return await self._call(False, operations.store, user_id, credentials)

    async def retrieve_credentials(self, user_id: str) -> WorkFossaCredentials | None:
        """The credentials; None: there are none that can be read."""
        return await self._call(None, operations.retrieve, user_id)

    async def validate_credentials(self, user_id: str) -> bool:
        """Whether they can be read, are complete, and younger than 30 days; changes nothing."""
        return await self._call(False, operations.validate, user_id)

    async def update_last_used(self, user_id: str) -> bool:
        """Sets `last_used` to the local time; returns whether that was done."""
        return await self._call(False, operations.update_last_used, user_id)

    async def delete_credentials(self, user_id: str) -> bool:
        """Deletes the record, readable or not; returns whether there was one."""
        return await self._call(False, operations.delete, user_id)

    async def list_stored_users(self) -> list[str]:
        """All users who have a record, readable or not; needs no key."""
        return await self._call([], operations.list_users)

    async def get_security_info(self) -> dict[str, Any]:
        """What `CredentialManager.get_security_info` returns."""
        unknown = operations.about(self.storage_path, False, 0)
        return await self._call(unknown, operations.security_info)

    async def _call(self, failure: T, work: Callable[..., T], *args: Any) -> T:
        call = Call(self.storage_path, self.lock_timeout, failure, work, *args)
        try:
            while not (call.may_attempt() and await _done(call.attempt)):
                await asyncio.sleep(PAUSE_SECONDS)
        except Unavailable as error:
            call.fail(error)
        return call.result


async def _done(work: Callable[[], T]) -> T:
    """What the work returns. When this is canceled, the work has ended, or never begins."""
    submitted = _worker.submit(work)
    result = asyncio.wrap_future(submitted)
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        if not submitted.cancel():
            await asyncio.wait([result])
        raise
