"""The records of the contract (wit/types.wit, wit/vault.wit, wit/reveal.wit).

Their representations show no password and no value of a field. Times are texts, UTC without a zone:
`2025-01-14T10:00:00`; what ends with `_utc` is the same as a `datetime` with the zone UTC, or None
where the record has none or another text than a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from .times import parsed

RecordKind = Literal["current", "legacy-plaintext", "legacy-encrypted"]
"""What a file holds: a record; plain text in base64; what was encrypted before versions."""

TokenEncoding = Literal["documented", "app"]
"""How a token is encoded: as it is, or in base64 once more, as the FossaWork application does."""

KeyWeakness = Literal["too-short", "published-default"]
"""Why a key must not encrypt: fewer than 16 bytes, or the application's published default."""


@dataclass(frozen=True)
class Field:
    """A further value of a credential, as secret as the password."""

    name: str
    """Neither empty nor the name of a part of the credential; no control characters."""
    value: str = field(repr=False)


@dataclass(frozen=True, init=False)
class Credential:
    """The secret part of a record."""

    username: str
    password: str = field(repr=False)
    fields: tuple[Field, ...]
    """Further values, each name once."""
    created_at: str | None
    """When it was made; `put` takes None for now."""
    last_used: str | None
    """When it was last used; None: never."""
    is_valid: bool
    """Whether the last login attempt with it succeeded."""
    validation_attempts: int
    """How many login attempts were reported, from 0 to 2**32 - 1."""
    expires: str | None
    """When it expires: a time, or an age in days counted from `created_at` (`90d`); None: never."""

    def __init__(
        self,
        username: str,
        password: str,
        fields: Mapping[str, str] | Iterable[Field] = (),
        created_at: str | None = None,
        last_used: str | None = None,
        is_valid: bool = False,
        validation_attempts: int = 0,
        expires: str | None = None,
    ) -> None:
        """`fields` may be a mapping of their names to their values."""
        given = {
            "username": username,
            "password": password,
            "fields": field_tuple(fields),
            "created_at": created_at,
            "last_used": last_used,
            "is_valid": is_valid,
            "validation_attempts": validation_attempts,
            "expires": expires,
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def field(self, name: str) -> str | None:
        """The value of a further field; None: there is no such field."""
        return next((field.value for field in self.fields if field.name == name), None)

    @property
    def created_at_utc(self) -> datetime | None:
        """When it was made."""
        return _utc(self.created_at)

    @property
    def last_used_utc(self) -> datetime | None:
        """When it was last used."""
        return _utc(self.last_used)


@dataclass(frozen=True)
class KeyInfo:
    """A master key without its material."""

    id: str | None
    """The operator's label."""
    primary: bool
    """Whether this key encrypts."""
    weakness: KeyWeakness | None
    """Why it ought to be replaced; None: it is sound."""


@dataclass(frozen=True)
class Envelope:
    """What can be seen of a record without any key. None of it is authenticated."""

    kind: RecordKind
    version: str | None
    """1.0 or 2.0; None for legacy records."""
    encoding: TokenEncoding | None
    """How the token is encoded; None: there is no token."""
    key_id: str | None
    """The label of the key that it says it was encrypted with."""
    created_at: str | None
    encrypted_at: str | None
    """The time inside the token."""
    write_counter: int | None
    """How often the record was written; None before version 2.0."""
    size: int
    """The size of the file in bytes."""
    revision: str
    """For a conditional `put` or `remove`; changes with the contents."""

    @property
    def created_at_utc(self) -> datetime | None:
        """When the record says that it was made."""
        return _utc(self.created_at)

    @property
    def encrypted_at_utc(self) -> datetime | None:
        """The time inside the token."""
        return _utc(self.encrypted_at)


@dataclass(frozen=True)
class Summary:
    """Everything of a record but the password and the values of fields."""

    user_id: str
    username: str
    field_names: tuple[str, ...]
    created_at: str | None
    last_used: str | None
    is_valid: bool
    validation_attempts: int
    expires: str | None
    """When it expires: a time, or an age in days counted from `created_at` (`90d`); None: never."""
    expires_at: str | None
    """The time at which it expires; None: never, or not to be told from what it says."""
    earlier_versions: int
    """How many earlier versions of it are kept."""
    key: KeyInfo
    """The key that the record is encrypted with."""
    envelope: Envelope

    @property
    def created_at_utc(self) -> datetime | None:
        """When the credential was made."""
        return _utc(self.created_at)

    @property
    def last_used_utc(self) -> datetime | None:
        """When the credential was last used."""
        return _utc(self.last_used)

    @property
    def expires_at_utc(self) -> datetime | None:
        """When the credential expires."""
        return _utc(self.expires_at)


@dataclass(frozen=True)
class Revealed:
    """An opened record."""

    credential: Credential
    summary: Summary


@dataclass(frozen=True)
class EarlierVersion:
    """An earlier version of a credential, without its secrets."""

    number: int
    """By which it can be restored; later ones have greater numbers."""
    username: str
    field_names: tuple[str, ...]
    created_at: str | None
    replaced_at: str
    """When another took its place."""

    @property
    def created_at_utc(self) -> datetime | None:
        """When it was made."""
        return _utc(self.created_at)

    @property
    def replaced_at_utc(self) -> datetime | None:
        """When another took its place."""
        return _utc(self.replaced_at)


@dataclass(frozen=True)
class VersionHistory:
    """What a credential was before."""

    summary: Summary
    """The credential as it is now."""
    versions: tuple[EarlierVersion, ...]
    """Those that are kept, the latest first."""


@dataclass(frozen=True)
class Stored:
    """What `put` did."""

    summary: Summary
    """The record as it stands now."""
    replaced: bool
    """Whether there was one before."""
    dropped_fields: tuple[str, ...]
    """Names of fields of the record before that the new one doesn't have."""


@dataclass(frozen=True)
class Rewritten:
    """What became of a record that was to be migrated or re-encrypted."""

    user_id: str
    before: Envelope
    """The envelope of the record as it was found."""
    key: KeyInfo | None
    """The key that it was encrypted with; None: it was not encrypted."""
    changed: bool
    """Whether it was rewritten; in a dry run, whether it would be."""


@dataclass(frozen=True)
class Leftover:
    """A file that is neither a record nor Moat's own."""

    name: str
    backup_of: str | None
    """Whose record it is a copy of, as the application's old migration left them: in the clear."""


def field_tuple(fields: Mapping[str, str] | Iterable[Field]) -> tuple[Field, ...]:
    """Fields, of which a mapping has the names and values."""
    if isinstance(fields, Mapping):
        return tuple(Field(name, value) for name, value in fields.items())
    given = tuple(fields) if isinstance(fields, Iterable) else (fields,)
    if not all(isinstance(one, Field) for one in given):
        raise TypeError("fields are neither a mapping of names to values nor moat.Field objects")
    return given


def _utc(text: str | None) -> datetime | None:
    """The time in a text, which the component hands out as it stands."""
    time = None if text is None else parsed(text)
    if time is None:
        return None
    return time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)
