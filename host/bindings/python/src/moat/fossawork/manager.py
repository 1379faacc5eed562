"""The application's `CredentialManager`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from .. import values
from ..errors import DirectoryFailure
from . import operations
from .calls import PAUSE_SECONDS, Call
from .credentials import WorkFossaCredentials
from .operations import logger
from .place import Place

T = TypeVar("T")

DIRECTORY_VARIABLE = "FOSSAWORK_CREDENTIALS_DIR"
DEFAULT_PATH = "data/credentials"


class Settings:
    """Where a manager works, and how long it waits."""

    storage_path: str
    """The path of the directory."""
    lock_timeout: float
    """How many seconds a call waits for writers in other processes before it fails."""

    def __init__(self, storage_path: str | None = None, *, lock_timeout: float = 2.0) -> None:
        """Makes the directory, for this user alone; one that is there gets mode 0700.

        Needs no key. By default the directory is FOSSAWORK_CREDENTIALS_DIR, or else
        `data/credentials` below the working directory, as they are now. If it can't be made, that
        is logged, and tried again by each call.
        """
        self.storage_path = os.fsdecode(storage_path) if storage_path else _default_path()
        self.lock_timeout = values.seconds("lock_timeout", lock_timeout)
        try:
            Place(self.storage_path).prepare()
        except DirectoryFailure as error:
            logger.error("%r: %s: %s", self.storage_path, error.code, error.args[0])


class CredentialManager(Settings):
    """Stores credentials where and as the application does, so that both can share a directory.

    The environment's keys are read at each call. No call raises for what it finds or is given:
    a failure is logged, and None, False or an empty list is returned. Several threads may share a
    manager, and a process may fork. It holds nothing, and has no close.
    """

    def store_credentials(self, credentials: WorkFossaCredentials) -> bool:
        """Stores them, in place of whatever is there; returns whether they are stored."""
        user_id = getattr(credentials, "user_id", None)
        return self._call(False, operations.store, user_id, credentials)

    def retrieve_credentials(self, user_id: str) -> WorkFossaCredentials | None:
        """The credentials; None: there are none that can be read."""
        return self._call(None, operations.retrieve, user_id)

    def validate_credentials(self, user_id: str) -> bool:
        """Whether they can be read, are complete, and younger than 30 days; changes nothing."""
        return self._call(False, operations.validate, user_id)

    def update_last_used(self, user_id: str) -> bool:
        """Sets `last_used` to the local time; returns whether that was done."""
        return self._call(False, operations.update_last_used, user_id)

    def delete_credentials(self, user_id: str) -> bool:
        """Deletes the record, readable or not; returns whether there was one."""
        return self._call(False, operations.delete, user_id)

    def list_stored_users(self) -> list[str]:
        """All users who have a record, readable or not; needs no key."""
        return self._call([], operations.list_users)

    def get_security_info(self) -> dict[str, Any]:
        """`encryption_enabled`, `storage_path`, `encryption_method`, `key_derivation`.

        And `master_key_set`, whether the environment names a key now, and `stored_users_count`.
        """
        unknown = operations.about(self.storage_path, False, 0)
        return self._call(unknown, operations.security_info)

    def _get_encryption_key(self, user_id: str) -> NoReturn:
        """Raises `ValueError` without a key, and else `NotImplementedError`."""
        operations.require_master_key()
        raise NotImplementedError("a user's key doesn't leave the sandbox that derives it")

    def _encrypt_data(self, *args: object, **named: object) -> NoReturn:
        """Raises `ValueError` without a key, and else `NotImplementedError`."""
        operations.require_master_key()
        raise NotImplementedError("only whole records are encrypted: use store_credentials")

    def _call(self, failure: T, work: Callable[..., T], *args: Any) -> T:
        call = Call(self.storage_path, self.lock_timeout, failure, work, *args)
        while not (call.may_attempt() and call.attempt()):
            time.sleep(PAUSE_SECONDS)
        return call.result


def _default_path() -> str:
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named:
        return named
    try:
        return os.path.abspath(DEFAULT_PATH)
    except FileNotFoundError:  # There is no working directory.
        return DEFAULT_PATH
