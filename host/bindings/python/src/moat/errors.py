"""The failures of the contract (`error-code` in wit/types.wit), an exception each."""

from __future__ import annotations

from typing import ClassVar


class MoatError(Exception):
    """A failure: decide by its class or its code; the message is for people and holds no secret."""

    code: ClassVar[str]
    """The contract's name for it, such as `not-found`."""

    user_id: str | None = None
    """The user that the call was about, if it was one."""

    directory: str | None = None
    """The path of the vault's directory."""

    def __str__(self) -> str:
        """The message, and what it is about."""
        about = {"user": self.user_id, "directory": self.directory}
        known = [f"{what} {name!r}" for what, name in about.items() if name is not None]
        return super().__str__() + (f" ({', '.join(known)})" if known else "")


class NotFound(MoatError):
    """There is no credential of this user."""

    code = "not-found"


class InvalidUserId(MoatError):
    """The user id is not one plain file name, or longer than 250 bytes."""

    code = "invalid-user-id"


class InvalidCredential(MoatError):
    """A field's name is reserved, empty or given twice, or some text is not Unicode."""

    code = "invalid-credential"


class MasterKeyMissing(MoatError):
    """There is no master key."""

    code = "master-key-missing"


class MasterKeyRefused(MoatError):
    """The primary key must not encrypt: it has fewer than 16 bytes, or is the published default."""

    code = "master-key-refused"


class WrongKeyOrTampered(MoatError):
    """No key decrypts the record: it was encrypted with another key, or altered."""

    code = "wrong-key-or-tampered"


class Malformed(MoatError):
    """The file is not a credential record."""

    code = "malformed"


class UnsupportedVersion(MoatError):
    """The record, or what was asked for, is of a version that the component does not know."""

    code = "unsupported-version"


class NeedsMigration(MoatError):
    """A legacy record that anyone who could write to the directory may have made.

    `Vault.migrate` takes it for genuine only with `accept_plaintext` or `accept_default_key`.
    """

    code = "needs-migration"


class Conflict(MoatError):
    """Somebody else wrote in between, or the credential already exists."""

    code = "conflict"


class Locked(MoatError):
    """Another process held the directory's lock for longer than the vault waits."""

    code = "locked"


class Denied(MoatError):
    """Outside of what the call was granted."""

    code = "denied"


class TooLarge(MoatError):
    """Over a limit, such as the 64 KiB of a record."""

    code = "too-large"


class DirectoryFailure(MoatError):
    """The directory or a file in it can't be used: I/O, owner, links, permissions, no space."""

    code = "directory"


class RateLimited(MoatError):
    """Too many calls in too short a time."""

    code = "rate-limited"


class AuditFailure(MoatError):
    """The audit log can't be written, so nothing was released."""

    code = "audit"


class SandboxFailure(MoatError):
    """The component was refused or aborted: a trap, a limit, or an access beyond the grant."""

    code = "sandbox"


class Unavailable(MoatError):
    """The system gave no random bytes, thread or memory."""

    code = "unavailable"


BY_CODE: dict[str, type[MoatError]] = {error.code: error for error in MoatError.__subclasses__()}
"""All of them, by their codes."""
