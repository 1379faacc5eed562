"""A look at a few records that are there already, before the first of a new user is written.

They show which form of token the directory's other readers need, and whether the key is the right
one: what a wrong key encrypts, the right one can't decrypt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from .directory import Directory
from .errors import MoatError, NotFound, WrongKeyOrTampered
from .records import Envelope, Summary, TokenEncoding

# How many records are looked at, at most.
SAMPLE = 8


class Records(Protocol):
    """What a vault is asked here."""

    def inspect(self, user_id: str) -> Envelope: ...

    def users(self) -> Iterator[str]: ...

    def verify(self, user_ids: Iterable[str]) -> list[Summary | MoatError]: ...

    def configure(
        self, version: str | None = None, encoding: TokenEncoding | None = None
    ) -> bool: ...


def of(vault: Records, user_id: str) -> list[str]:
    """A few of the users who have a record, if this one has none."""
    try:
        vault.inspect(user_id)
    except NotFound:
        return list(islice(vault.users(), SAMPLE))
    except MoatError:
        pass  # Writing reports what is wrong with it.
    return []


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


def adopt_form(vault: Records, directory: Directory, users: Iterable[str]) -> None:
    """Sets the directory to the application's form of tokens, if it isn't set to any.

    Only where one of these users' records is the application's: that couldn't read another.
    """
    if any(_is_applications(vault, user_id) for user_id in users) and not _has_form(directory):
        vault.configure(encoding="app")


def _is_applications(vault: Records, user_id: str) -> bool:
    try:
        envelope = vault.inspect(user_id)
    except MoatError:
        return False
    if envelope.kind != "current":
        return True
    return envelope.version == "1.0" and envelope.encoding == "app"


def _has_form(directory: Directory) -> bool:
    settings = directory.read("moat.json")
    try:
        return settings is not None and "token_encoding" in json.loads(settings[0])
    except ValueError:
        return False  # The component complains of it.
