"""The credentials of one directory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from wasmtime.component import Record

from . import neighbours, values
from .cache import KeyCache
from .call import Call
from .directory import Directory
from .environment import environment_keys
from .errors import InvalidUserId, MoatError, SandboxFailure
from .keys import KeyRing, MasterKey
from .records import (
    Credential,
    Envelope,
    Field,
    Leftover,
    Revealed,
    Rewritten,
    Stored,
    Summary,
    TokenEncoding,
    VersionHistory,
)
from .sandbox import Sandbox, call_lock, load

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

# The name of a backup of a user's record.
BACKUP = re.compile(r"(.+)\.cred\.backup_[0-9]{8}_[0-9]{6}", re.DOTALL)

# How many names of the directory one call looks at.
PAGE = 4096


class Vault:
    """The credentials of one directory; every call runs in a new instance of the component.

    Several threads may share a vault. Calls take turns in a process, 1 ms to 2 ms each. Deriving
    a key takes 30 ms to 50 ms; for records of version 2.0 six times as long, unless the key is a
    strong one. A user's derived key is kept for `cache_lifetime` seconds, what version 2.0 derives
    for all users only for the call.

    Failures are raised as subclasses of `MoatError`, with the user and the directory that they are
    about; values of a wrong type are a `TypeError`. Calls block: asynchronous code makes them with
    `asyncio.to_thread`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keys: MasterKey | Iterable[MasterKey] | None = None,
        component: str | os.PathLike[str] | None = None,
        component_digest: str | None = None,
        lock_timeout: float = 10.0,
        cache_lifetime: float = 300.0,
    ) -> None:
        """Opens a directory that belongs to this user and in which nobody else can write.

        The first of `keys` encrypts, all decrypt. None: those of `environment_keys`, which is asked
        when a call first needs them. `component` is the file of
        the component; another one than the package's own needs its SHA-256 in hexadecimal as
        `component_digest`. A write waits for writers in other processes `lock_timeout` seconds.
        Raises `DirectoryFailure`, `SandboxFailure`, and `ValueError` for a digest without a file.
        """
        values.optional_text("component_digest", component_digest)
        if component is None and component_digest is not None:
            raise ValueError("component_digest is for another component: name its file, too")
        self._path = os.fsdecode(directory)
        ring = KeyRing(environment_keys if keys is None else keys)
        cache = KeyCache(values.seconds("cache_lifetime", cache_lifetime))
        sandbox = load(component, component_digest)
        with self._about(None):
            opened = Directory(directory, values.seconds("lock_timeout", lock_timeout))
        self._begin(sandbox, opened, ring, cache)

    def _begin(
        self, sandbox: Sandbox, directory: Directory, keys: KeyRing, cache: KeyCache
    ) -> None:
        self._sandbox = sandbox
        self._directory = directory
        self._keys = keys
        self._cache = cache
        # Whether the records were looked at, and a new one may be written beside them.
        self._knows_neighbours = False
        self._is_open = True

    def close(self) -> None:
        """Zeroes the keys and closes the directory; the vault can't be used any more."""
        with call_lock:
            self._is_open = False
            self._keys.wipe()
            self._cache.wipe()
            self._directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put(
        self,
        user_id: str,
        credential: Credential,
        *,
        create_only: bool = False,
        expected_revision: str | None = None,
        version: str | None = None,
        encoding: TokenEncoding | None = None,
        keep_fields: bool = False,
        allow_new_key: bool = False,
    ) -> Stored:
        """Stores a credential in place of the one before.

        One of the keys must decrypt what is there, unless it is of a legacy kind that anyone can
        read: a mistyped key replaces nothing. Raises `Conflict` when `create_only` and there is
        one, or when it isn't the one of `expected_revision`. `version` and `encoding` are by
        default those of the record that is replaced, or of the directory. `keep_fields` keeps the
        fields of the one before that the new one doesn't name.

        Nor is a new user's credential stored when the first few records of others can't be
        decrypted: that raises `WrongKeyOrTampered`, unless `allow_new_key` says that it is meant.
        """
        options = values.record(
            create_only=values.flag("create_only", create_only),
            expected_revision=values.optional_text("expected_revision", expected_revision),
            version=values.optional_text("version", version),
            encoding=_encoding(encoding),
            keep_fields=values.flag("keep_fields", keep_fields),
        )
        lowered = values.lower_credential(credential)
        allow_new_key = values.flag("allow_new_key", allow_new_key)
        with self._about(user_id):
            others_known = self._knows_neighbours or neighbours.prepare(
                self, self._directory, self._keys, user_id, version, encoding, allow_new_key
            )
        stored = values.stored(self._call("put", user_id, lowered, options))
        self._knows_neighbours |= others_known and encoding is None
        return stored

    def change(
        self,
        user_id: str,
        *,
        username: str | None = None,
        password: str | None = None,
        fields: Mapping[str, str] | Iterable[Field] = (),
        removed_fields: Iterable[str] = (),
        expires: str | None = None,
        forget_history: bool = False,
        expected_revision: str | None = None,
    ) -> Summary:
        """Changes a part of a credential and keeps everything else.

        `fields` are added, or replace those of their names; they may be a mapping of names to
        values. `removed_fields` are names. `expires` is a time, an age in days (`90d`), or
        `never`. A new password restarts the credential's age: `created_at` becomes now. With
        another username or password, no login attempt has been reported yet. `forget_history`
        removes all earlier versions, and keeps none of what is replaced now. Raises
        `InvalidCredential` when a field to remove isn't there, and `Conflict` when the record isn't
        the one of `expected_revision`.
        """
        changes = values.lower_changes(
            username, password, fields, removed_fields, expires, forget_history
        )
        expected = values.optional_text("expected_revision", expected_revision)
        return values.summary(self._call("change", user_id, changes, expected))

    def copy(self, user_id: str, source: str) -> Summary:
        """Stores the credential of the user `source` for this one, with all that belongs to it.

        That is when it was used, when it expires, and its earlier versions. Raises `Conflict` when
        this user has a credential already.
        """
        with self._about(user_id):
            users = (
                values.text("the user id", user_id, InvalidUserId),
                values.text("the source", source, InvalidUserId),
            )
            return values.summary(self._answer("copy", users, None, *users))

    def history(self, user_id: str) -> VersionHistory:
        """Returns which earlier versions of a credential are kept, without their secrets."""
        return values.version_history(self._call("history", user_id))

    def restore(
        self, user_id: str, number: int, *, expected_revision: str | None = None
    ) -> Summary:
        """Puts an earlier version in the place of the credential.

        That becomes the latest of the earlier ones. Raises `NotFound` when there is none of this
        number, and `Conflict` when the record isn't the one of `expected_revision`.
        """
        number = values.number("number", number)
        expected = values.optional_text("expected_revision", expected_revision)
        return values.summary(self._call("restore", user_id, number, expected))

    def reveal_version(self, user_id: str, number: int) -> Revealed:
        """Decrypts a record and returns an earlier version of its credential.

        Raises `NotFound` when there is none of this number.
        """
        number = values.number("number", number)
        return values.revealed(self._call("reveal-version", user_id, number))

    def reveal(self, user_id: str) -> Revealed:
        """Decrypts a record and returns all of it."""
        return values.revealed(self._call("reveal", user_id))

    def describe(self, user_id: str) -> Summary:
        """Decrypts a record and returns all but its secrets."""
        return values.summary(self._call("describe", user_id))

    def inspect(self, user_id: str) -> Envelope:
        """Returns the envelope of a record; needs no key."""
        return values.envelope(self._call("inspect", user_id))

    def mark_used(self, user_id: str) -> Summary:
        """Sets `last_used` to now."""
        return values.summary(self._call("mark-used", user_id))

    def mark_validated(self, user_id: str, valid: bool) -> Summary:
        """Counts a login attempt, and notes whether it succeeded."""
        return values.summary(self._call("mark-validated", user_id, values.flag("valid", valid)))

    def remove(self, user_id: str, expected_revision: str | None = None) -> bool:
        """Removes a record, readable or not, and returns whether there was one.

        Raises `Conflict` when it isn't the one of `expected_revision`.
        """
        expected = values.optional_text("expected_revision", expected_revision)
        return bool(values.members(self._call("remove", user_id, expected))["existed"])

    def users(self) -> Iterator[str]:
        """All users, in ascending order of their ids' bytes; needs no key."""
        for page in self._pages("users"):
            yield from page["user_ids"]

    def verify(self, user_ids: Iterable[str]) -> list[Summary | MoatError]:
        """Decrypts each record; for a few users at a time.

        Returns all but the secrets of each, or why it can't be decrypted, in the order asked.
        """
        return self._batch(values.summary, "verify", user_ids)

    def migrate(
        self,
        user_ids: Iterable[str],
        *,
        dry_run: bool = False,
        accept_default_key: bool = False,
        accept_plaintext: bool = False,
        version: str | None = None,
        encoding: TokenEncoding | None = None,
    ) -> list[Rewritten | MoatError]:
        """Encrypts records of legacy kinds with the first key, or brings all to another form.

        For a few users at a time; returns an outcome for each in the order asked.
        `accept_default_key` accepts records encrypted with the application's published key, and
        `accept_plaintext` those that are not encrypted, though anyone who could write to the
        directory may have made them; without these their outcome is `NeedsMigration`. `version` and
        `encoding` (of records of version 1.0) are the form to convert to.
        """
        options = values.record(
            dry_run=values.flag("dry_run", dry_run),
            accept_default_key=values.flag("accept_default_key", accept_default_key),
            accept_plaintext=values.flag("accept_plaintext", accept_plaintext),
            version=values.optional_text("version", version),
            encoding=_encoding(encoding),
        )
        return self._batch(values.rewritten, "migrate", user_ids, options)

    def rewrap(
        self, user_ids: Iterable[str], *, dry_run: bool = False
    ) -> list[Rewritten | MoatError]:
        """Encrypts records with the first key that were encrypted with another.

        For a few users at a time; returns an outcome for each in the order asked.
        """
        return self._batch(values.rewritten, "rewrap", user_ids, values.flag("dry_run", dry_run))

    def configure(
        self,
        version: str | None = None,
        encoding: TokenEncoding | None = None,
        *,
        history: int | None = None,
        allow_new_key: bool = False,
    ) -> bool:
        """Sets the version, 1.0 or 2.0, and the token encoding of new records in this directory.

        `history` is how many earlier versions of each credential are kept, at most 100. What is
        None stays as it is. Returns whether something changed. With a version, settings
        that were altered, or that another key authenticates, are taken over. That raises
        `WrongKeyOrTampered` when the keys decrypt none of the first few records, unless
        `allow_new_key` says that it is meant.
        """
        version = values.optional_text("version", version)
        allow_new_key = values.flag("allow_new_key", allow_new_key)
        if version is not None and not allow_new_key:
            with self._about(None):
                neighbours.check_keys(self, neighbours.some(self))
        history = None if history is None else values.number("history", history)
        answer = self._answer("configure", (), None, version, _encoding(encoding), history)
        return bool(values.members(answer)["changed"])

    def leftovers(self) -> Iterator[Leftover]:
        """The files that are neither records nor Moat's own, in the order of the directory.

        Names that are not UTF-8 are left out.
        """
        for page in self._pages("leftovers"):
            yield from map(values.leftover, page["leftovers"])

    def remove_backup(self, name: str) -> bool:
        """Removes a backup of this name, and returns whether there was one.

        The credential that it is a copy of has to be readable.
        """
        values.text("name", name)
        backup = BACKUP.fullmatch(name)
        users = (backup[1],) if backup else ()
        with self._about(backup and backup[1]):
            answer = self._answer("remove-backup", users, name if backup else None, name)
        return bool(values.members(answer)["existed"])

    def _call(self, function: str, user_id: str, *args: Any) -> Record:
        """Calls a function that is about one user."""
        with self._about(user_id):
            user_id = values.text("the user id", user_id, InvalidUserId)
            return self._answer(function, (user_id,), None, user_id, *args)

    def _batch(
        self, lift: Callable[[Record], T], function: str, user_ids: Iterable[str], *args: Any
    ) -> list[T | MoatError]:
        """Calls a function that answers for each of some users."""
        if isinstance(user_ids, str) or not isinstance(user_ids, Iterable):
            raise TypeError(f"user_ids is not a list of user ids, but {type(user_ids).__name__}")
        with self._about(None):
            users = [values.text("a user id", user_id, InvalidUserId) for user_id in user_ids]
            found = list(
                map(values.outcome, self._enter(function, tuple(users), None, users, *args))
            )
            if len(found) != len(users):
                raise SandboxFailure("the component answered for others than it was asked about")
        for user_id, one in zip(users, found):
            if isinstance(one, MoatError):
                one.user_id, one.directory = user_id, self._path
        return [one if isinstance(one, MoatError) else lift(one) for one in found]

    def _pages(self, function: str) -> Iterator[dict[str, Any]]:
        """Calls a function that answers in pages, until the last."""
        cursor = None
        while True:
            page = values.members(self._answer(function, (), None, cursor, PAGE))
            yield page
            cursor = page["next"]
            if cursor is None:
                return

    def _answer(
        self, function: str, users: tuple[str, ...], backup: str | None, *args: Any
    ) -> Record:
        """Calls a function that answers once."""
        with self._about(None):
            return values.payload(self._enter(function, users, backup, *args))

    def _enter(self, function: str, users: tuple[str, ...], backup: str | None, *args: Any) -> Any:
        """Calls a function of the component, granted what it needs for these users."""
        call = Call(function, users, backup, self._directory, self._keys, self._cache)
        if not self._is_open:
            raise ValueError("the vault is closed")
        return self._sandbox.call(call, *args)

    @contextmanager
    def _about(self, user_id: str | None) -> Iterator[None]:
        """Tells a failure which directory it is about, and which user."""
        try:
            yield
        except MoatError as error:
            error.user_id = error.user_id or user_id
            error.directory = self._path
            raise


def _encoding(encoding: TokenEncoding | None) -> str | None:
    return values.choice("encoding", encoding, get_args(TokenEncoding))
