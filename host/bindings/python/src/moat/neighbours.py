"""A look at a few records that are there already, before the first of a new user is written.

They show which form of token the directory's other readers need, and whether the key is the right
one: what a wrong key encrypts, the right one can't decrypt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, Protocol

from .directory import Directory
from .errors import Malformed, MoatError, NotFound, WrongKeyOrTampered
from .keys import KeyRing
from .records import Envelope, Summary, TokenEncoding

# How many records are looked at, at most.
SAMPLE = 8


class Records(Protocol):
    """What a vault is asked here."""

    def inspect(self, user_id: str) -> Envelope:
        """The envelope of a record."""

    def users(self) -> Iterator[str]:
        """All users."""

    def verify(self, user_ids: Iterable[str]) -> list[Summary | MoatError]:
        """What each record says, or why it can't be decrypted."""

    def configure(
        self,
        version: str | None = None,
        encoding: TokenEncoding | None = None,
        *,
        allow_new_key: bool = False,
    ) -> bool:
        """Sets how new records are written."""


def prepare(
    vault: Records,
    directory: Directory,
    keys: KeyRing,
    user_id: str,
    version: str | None,
    encoding: TokenEncoding | None,
    allow_new_key: bool,
) -> bool:
    """Makes sure that the first record of this user may be written beside the others.

    Returns whether others were looked at.
    """
    try:
        vault.inspect(user_id)
        return False
    except NotFound:
        others = some(vault)
    except MoatError:
        return False  # Writing reports what is wrong with it.
    settings = _settings(directory)
    if not others:
        is_free = version is None and encoding != "app"
        if settings is None and is_free and keys.is_strong():
            vault.configure("2.0")
        elif settings is not None and "kdf" in settings:
            _authenticate_anew(vault, settings)
        return False

    @cache
    def envelopes() -> list[Envelope]:
        return [envelope for user in others if (envelope := _envelope(vault, user)) is not None]

    # Settings with a salt are authenticated by the keys, which the component checks.
    if settings is not None and "kdf" in settings:
        if allow_new_key:
            _authenticate_anew(vault, settings)
    elif not allow_new_key:
        _check_settings_exist(envelopes())
        check_keys(vault, others)
    # The application couldn't read another form than its own.
    lacks_form = encoding is None and "token_encoding" not in (settings or {})
    if lacks_form and any(map(_is_applications, envelopes())):
        vault.configure(encoding="app")
    return True


def some(vault: Records) -> list[str]:
    """A few of the users who have a record."""
    return list(islice(vault.users(), SAMPLE))


def _settings(directory: Directory) -> dict[str, Any] | None:
    """What the settings say; those that can't be read the component complains about."""
    found = directory.read("moat.json")
    if found is None:
        return None
    try:
        settings = json.loads(found[0])
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) else {}


def _authenticate_anew(vault: Records, settings: dict[str, Any]) -> None:
    version = settings.get("record_version", "1.0")
    vault.configure(version if isinstance(version, str) else "1.0", allow_new_key=True)


def _check_settings_exist(envelopes: Iterable[Envelope]) -> None:
    """Refuses to begin with other settings beside records of version 2.0, whose own are lost."""
    if any(envelope.version == "2.0" for envelope in envelopes):
        raise Malformed(
            "moat.json is missing or has no `kdf`, although there are records of version 2.0"
        )


def check_keys(vault: Records, users: Iterable[str]) -> None:
    """Refuses keys that decrypt none of these users' records, unless none of them shows that."""
    refused = False
    for user_id in users:
        (outcome,) = vault.verify([user_id])
        if not isinstance(outcome, MoatError):
            return
        refused = refused or isinstance(outcome, WrongKeyOrTampered)
    if refused:
        raise WrongKeyOrTampered("no master key decrypts the existing records")


def _is_applications(envelope: Envelope) -> bool:
    if envelope.kind != "current":
        return True
    return envelope.version == "1.0" and envelope.encoding == "app"


def _envelope(vault: Records, user_id: str) -> Envelope | None:
    try:
        return vault.inspect(user_id)
    except MoatError:
        return None
