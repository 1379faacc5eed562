"""A drop-in for the `CredentialManager` of the FossaWork application.

These signatures were chosen after the names of its methods and what its records hold, and were not
compared with its source:

    CredentialManager(storage_path=None)
    store_credentials(user_id, username, password) -> bool
    retrieve_credentials(user_id) -> dict | None
    validate_credentials(user_id, is_valid=True) -> bool
    update_last_used(user_id) -> bool
    delete_credentials(user_id) -> bool
    list_stored_users() -> list[str]
    get_security_info() -> dict
"""

from __future__ import annotations

import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .environment import environment_keys
from .errors import MoatError, NotFound
from .keys import MasterKey
from .records import Credential
from .vault import Vault

logger = logging.getLogger(__name__)

RENEWAL_AGE = timedelta(days=30)


class CredentialManager:
    """Stores credentials where and as the application does, so that both can share a directory.

    None, False and an empty list mean that there is none, and nothing else. All else is raised,
    unlike in the application: `moat.WrongKeyOrTampered`, `moat.Malformed`, `moat.NeedsMigration`
    and the other subclasses of `moat.MoatError`. Nothing is ever stored unencrypted.
    """

    def __init__(
        self,
        storage_path: str | os.PathLike[str] | None = None,
        *,
        keys: MasterKey | Iterable[MasterKey] | None = None,
        component: str | os.PathLike[str] | None = None,
        component_digest: str | None = None,
    ) -> None:
        """Opens the directory, which is made for this user alone if it isn't there.

        By default it is the `moat` program's: FOSSAWORK_CREDENTIALS_DIR, or else
        `moat/credentials` in the user's data directory (XDG Base Directory Specification).
        The rest is as for `moat.Vault`, but the environment is read now: raises
        `moat.MasterKeyMissing` when there is no master key in it.
        """
        if keys is None:
            keys = environment_keys()
        self._path = _default_path() if storage_path is None else Path(storage_path)
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._vault = Vault(
            self._path, keys=keys, component=component, component_digest=component_digest
        )

    def close(self) -> None:
        """Zeroes the keys and closes the directory."""
        self._vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def store_credentials(self, user_id: str, username: str, password: str) -> bool:
        """Stores a new credential in place of the one before; True."""
        credential = Credential(username, password)
        stored = self._vault.put(user_id, credential, encoding="app")
        if stored.dropped_fields:
            count = len(stored.dropped_fields)
            logger.warning("further fields of %r were dropped: %d", user_id, count)
        logger.info("stored the credential of %r", user_id)
        return True

    def retrieve_credentials(self, user_id: str) -> dict[str, Any] | None:
        """The credential; None: there is none.

        With the keys `username`, `password`, `created_at`, `last_used` (times in UTC as text, or
        None), `is_valid` and `validation_attempts`. One that is older than 30 days is logged.
        """
        try:
            credential = self._vault.reveal(user_id).credential
        except NotFound:
            return None
        made = credential.created_at_utc
        if made is not None and (age := datetime.now(UTC) - made) > RENEWAL_AGE:
            logger.warning("the credential of %r is %d days old", user_id, age.days)
        return {
            "username": credential.username,
            "password": credential.password,
            "created_at": credential.created_at,
            "last_used": credential.last_used,
            "is_valid": credential.is_valid,
            "validation_attempts": credential.validation_attempts,
        }

    def validate_credentials(self, user_id: str, is_valid: bool = True) -> bool:
        """Counts a login attempt, and notes whether it succeeded; False: there is no credential."""
        try:
            self._vault.mark_validated(user_id, is_valid)
        except NotFound:
            return False
        return True

    def update_last_used(self, user_id: str) -> bool:
        """Notes that the credential is used now; False: there is none."""
        try:
            self._vault.mark_used(user_id)
        except NotFound:
            return False
        return True

    def delete_credentials(self, user_id: str) -> bool:
        """Deletes the credential, readable or not; False: there was none."""
        existed = self._vault.remove(user_id)
        if existed:
            logger.info("deleted the credential of %r", user_id)
        return existed

    def list_stored_users(self) -> list[str]:
        """The users who have a credential, in ascending order of their ids' bytes."""
        return list(self._vault.users())

    def get_security_info(self) -> dict[str, Any]:
        """What can be seen of the directory without a key; it looks at every record, 1 ms each.

        `storage_path`; `directory_mode`, such as `0700`; `stored_users`, how many; `records`, how
        many of each kind (`current`, `legacy-plaintext`, `legacy-encrypted`, or the code of the
        error, such as `malformed`); `needs_migration`, whether some record is of a legacy kind.
        """
        kinds = Counter(self._kind(user_id) for user_id in self._vault.users())
        return {
            "storage_path": str(self._path),
            "directory_mode": f"{stat.S_IMODE(self._path.stat().st_mode):04o}",
            "stored_users": kinds.total(),
            "records": dict(kinds),
            "needs_migration": any(kind.startswith("legacy-") for kind in kinds),
        }

    def _kind(self, user_id: str) -> str:
        try:
            return self._vault.inspect(user_id).kind
        except MoatError as error:
            return error.code


def _default_path() -> Path:
    named = os.environ.get("FOSSAWORK_CREDENTIALS_DIR")
    if named:
        return Path(named)
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path.home() / ".local/share") / "moat/credentials"
