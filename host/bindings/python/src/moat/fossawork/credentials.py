"""The application's credentials, with times as it has them: naive and local."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Optional

from ..errors import InvalidCredential, Malformed
from ..records import Credential
from ..times import parsed

MAX_AGE = timedelta(days=30)


@dataclass
class WorkFossaCredentials:
    """A user's login, as the application's own class of this name has it."""

    username: str
    password: str = field(repr=False)
    user_id: str
    created_at: datetime = None  # type: ignore[assignment]
    """When it was made, by the local clock; None: now."""
    last_used: Optional[datetime] = None  # noqa: UP045 (who evaluates it may be Python 3.9)
    """When it was last used, by the local clock; None: never."""
    is_valid: bool = False
    validation_attempts: int = 0

    def __post_init__(self) -> None:
        if self.created_at is None:
            self.created_at = datetime.now()


def to_record(given: WorkFossaCredentials) -> Credential:
    """What is to be stored. Raises `InvalidCredential`, which shows no value."""
    for name in ("username", "password"):
        if not isinstance(getattr(given, name, None), str):
            raise InvalidCredential(f"the {name} is not a string")
    attempts = given.validation_attempts
    if not isinstance(attempts, int):
        raise InvalidCredential("validation_attempts is not an integer")
    return Credential(
        given.username,
        given.password,
        created_at=_to_text("created_at", given.created_at) or local_now(),
        last_used=_to_text("last_used", given.last_used),
        is_valid=bool(given.is_valid),
        validation_attempts=int(attempts),
    )


def from_record(user_id: str, stored: Credential) -> WorkFossaCredentials:
    """What was stored. Raises `Malformed` when a time in it is none."""
    return WorkFossaCredentials(
        stored.username,
        stored.password,
        user_id,
        _from_text("created_at", stored.created_at),
        _from_text("last_used", stored.last_used) if stored.last_used else None,
        stored.is_valid,
        stored.validation_attempts,
    )


def is_usable(credentials: WorkFossaCredentials) -> bool:
    """Whether it is complete, and younger than 30 days."""
    is_complete = bool(credentials.username and credentials.password)
    return is_complete and datetime.now() - credentials.created_at < MAX_AGE


def local_now() -> str:
    """The time by the local clock, as the application writes it."""
    return datetime.now().isoformat()


def _to_text(what: str, time: datetime | None) -> str | None:
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise InvalidCredential(f"{what} is not a datetime")
    return _local(time).isoformat()


def _from_text(what: str, text: str | None) -> datetime:
    time = None if text is None else parsed(text)
    if time is None:
        raise Malformed(f"{what} is not a time")
    return _local(time)


def _local(time: datetime) -> datetime:
    return time.astimezone().replace(tzinfo=None) if time.tzinfo else time
