"""What the managers do, each in one attempt; failures are raised."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from ..errors import (
    DirectoryFailure,
    Malformed,
    MasterKeyMissing,
    NeedsMigration,
    TooLarge,
    UnsupportedVersion,
    WrongKeyOrTampered,
)
from . import shared
from .credentials import WorkFossaCredentials, from_record, is_usable, local_now, to_record
from .place import Place

logger = logging.getLogger("moat.fossawork")

# What is wrong with a record that `store` replaces all the same.
UNREADABLE = (
    Malformed,
    NeedsMigration,
    TooLarge,
    UnsupportedVersion,
    WrongKeyOrTampered,
)


def store(place: Place, user_id: str, given: WorkFossaCredentials) -> bool:
    """Stores it in the application's form, in place of whatever is there.

    A record that can't be read is replaced in one step, so that it is still there when the new one
    can't be written. Further fields of one that can be read are kept.
    """
    credential = to_record(given)
    try:
        with place.open() as vault:
            vault.put(user_id, credential, version="1.0", encoding="app", keep_fields=True)
    except (*UNREADABLE, DirectoryFailure) as error:
        # Otherwise it may be readable the next time.
        if isinstance(error, DirectoryFailure) and not place.has_foreign(user_id):
            raise
        with place.open(overwritten=user_id) as vault:
            vault.put(user_id, credential, version="1.0", encoding="app", allow_new_key=True)
        what = "stored the credential of %r in place of one that can't be read, or beside such"
        logger.warning(f"{what}: %s: %s", user_id, error.code, error.args[0])
    return True


def retrieve(place: Place, user_id: str) -> WorkFossaCredentials:
    """The credential; raises `NotFound`, too."""
    with place.open() as vault:
        return from_record(user_id, vault.reveal(user_id).credential)


def validate(place: Place, user_id: str) -> bool:
    """Whether it is complete and not too old; changes nothing."""
    return is_usable(retrieve(place, user_id))


def update_last_used(place: Place, user_id: str) -> bool:
    """Sets `last_used` to the local time, and keeps all else."""
    with place.open() as vault:
        revealed = vault.reveal(user_id)
        used = replace(revealed.credential, last_used=local_now())
        revision = revealed.summary.envelope.revision
        vault.put(user_id, used, expected_revision=revision, keep_fields=True)
    return True


def delete(place: Place, user_id: str) -> bool:
    """Removes the record, readable or not, and returns whether there was one."""
    with place.open_without_keys() as vault:
        return vault.remove(user_id)


WRITERS = (store, update_last_used, delete)


def list_users(place: Place) -> list[str]:
    """All who have a record."""
    with place.open_without_keys() as vault:
        return list(vault.users())


def security_info(place: Place) -> dict[str, Any]:
    """The application's six facts about its storage."""
    try:
        has_key = bool(shared.environment_keys())
    except MasterKeyMissing:
        has_key = False
    return about(place.path, has_key, len(list_users(place)))


def about(storage_path: str, has_key: bool, users: int) -> dict[str, Any]:
    """The six facts about a directory with so many users."""
    return {
        "encryption_enabled": True,
        "storage_path": storage_path,
        "encryption_method": "Fernet (AES-128-CBC and HMAC-SHA256)",
        "key_derivation": "PBKDF2-HMAC-SHA256, 100,000 iterations",
        "master_key_set": has_key,
        "stored_users_count": users,
    }


def require_master_key() -> None:
    """Raises `ValueError`, as the application does, when the environment names no usable key."""
    try:
        shared.environment_keys()
    except MasterKeyMissing as error:
        raise ValueError(f"FOSSAWORK_MASTER_KEY is not set: {error}") from None
