"""The contract's values, from Python's records and back.

What goes to the component is checked here: wasmtime cuts numbers to size without a word, and frees
memory that it never set after a value of another type in the midst of a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from wasmtime.component import Record, Variant

from .errors import BY_CODE, InvalidCredential, MoatError
from .records import (
    Credential,
    EarlierVersion,
    Envelope,
    Field,
    KeyInfo,
    Leftover,
    Revealed,
    Rewritten,
    Stored,
    Summary,
    VersionHistory,
    field_tuple,
)

U32_MAX = 2**32 - 1


def record(**fields: Any) -> Record:
    """A record with WIT's names, which can't be keywords: `_` stands for `-`."""
    made = Record()
    vars(made).update({name.replace("_", "-"): part for name, part in fields.items()})
    return made


def members(lifted: Record) -> dict[str, Any]:
    """The members of a record by Python's names."""
    return {name.replace("-", "_"): part for name, part in vars(lifted).items()}


def text(what: str, value: str, refusal: type[Exception] = ValueError) -> str:
    """Unicode text; the error for what is none shows nothing of it."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is not a string")
    # An `encode` that fails would carry the text in its error.
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise refusal(f"{what} is not Unicode: it has half of a surrogate pair")
    return value


def optional_text(
    what: str, value: str | None, refusal: type[Exception] = ValueError
) -> str | None:
    """Unicode text or None."""
    return None if value is None else text(what, value, refusal)


def choice(what: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    """A case of an enum, or None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{what} is not a string")
    if value is not None and value not in choices:
        raise ValueError(f"{what} is none of {', '.join(choices)}")
    return value


def flag(what: str, value: bool) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{what} is neither True nor False")
    return value


def seconds(what: str, value: float) -> float:
    """A number of seconds."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{what} is not a number of seconds")
    return value


def number(what: str, value: int) -> int:
    """A whole number that fits into the contract's."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} is not an integer")
    if not 0 <= value <= U32_MAX:
        raise ValueError(f"{what} is not from 0 to {U32_MAX}")
    return value


def lower_credential(credential: Credential) -> Record:
    """A credential as the component takes it. Raises `InvalidCredential`, `TypeError`."""
    if not isinstance(credential, Credential):
        raise TypeError(f"the credential is not a moat.Credential, but {type(credential).__name__}")
    attempts = credential.validation_attempts
    if not isinstance(attempts, int) or isinstance(attempts, bool):
        raise TypeError("validation_attempts is not an integer")
    if not 0 <= attempts <= U32_MAX:
        raise InvalidCredential(f"validation_attempts is not from 0 to {U32_MAX}")
    return record(
        username=text("the username", credential.username, InvalidCredential),
        password=text("the password", credential.password, InvalidCredential),
        fields=[_lower_field(field) for field in credential.fields],
        created_at=optional_text("created_at", credential.created_at, InvalidCredential),
        last_used=optional_text("last_used", credential.last_used, InvalidCredential),
        is_valid=flag("is_valid", credential.is_valid),
        validation_attempts=attempts,
        expires=optional_text("expires", credential.expires, InvalidCredential),
    )


def lower_changes(
    username: str | None,
    password: str | None,
    fields: Mapping[str, str] | Iterable[Field],
    removed: Iterable[str],
    expires: str | None,
    forget_history: bool,
) -> Record:
    """Changes as the component takes them. Raises `InvalidCredential`, `TypeError`."""
    if isinstance(removed, str):
        raise TypeError("removed_fields is one string, not several")
    return record(
        username=optional_text("the username", username, InvalidCredential),
        password=optional_text("the password", password, InvalidCredential),
        fields=[_lower_field(field) for field in field_tuple(fields)],
        removed_fields=[text("the name of a field", name, InvalidCredential) for name in removed],
        expires=optional_text("expires", expires, InvalidCredential),
        forget_history=flag("forget_history", forget_history),
    )


def _lower_field(field: Field) -> Record:
    return record(
        name=text("the name of a field", field.name, InvalidCredential),
        value=text("the value of a field", field.value, InvalidCredential),
    )


def outcome(result: Variant) -> Record | MoatError:
    """What a call gave: a record, or the exception for an error of the contract."""
    lifted = cast(Record, result.payload)
    if result.tag == "ok":
        return lifted
    parts = members(lifted)
    return BY_CODE[parts["code"]](parts["message"])


def payload(result: Variant) -> Record:
    """The record that a call gave; its error is raised."""
    found = outcome(result)
    if isinstance(found, MoatError):
        raise found
    return found


def envelope(lifted: Record) -> Envelope:
    """The envelope of a record."""
    return Envelope(**members(lifted))


def key_info(lifted: Record) -> KeyInfo:
    """A key without its material."""
    return KeyInfo(**members(lifted))


def summary(lifted: Record) -> Summary:
    """All but the secrets."""
    parts = members(lifted)
    parts["field_names"] = tuple(parts["field_names"])
    parts["key"] = key_info(parts["key"])
    parts["envelope"] = envelope(parts["envelope"])
    return Summary(**parts)


def revealed(lifted: Record) -> Revealed:
    """An opened record."""
    parts = members(lifted)
    credential = members(parts["credential"])
    credential["fields"] = tuple(Field(**members(field)) for field in credential["fields"])
    return Revealed(Credential(**credential), summary(parts["summary"]))


def version_history(lifted: Record) -> VersionHistory:
    """What a credential was before."""
    parts = members(lifted)
    versions = []
    for version in map(members, parts["versions"]):
        version["field_names"] = tuple(version["field_names"])
        versions.append(EarlierVersion(**version))
    return VersionHistory(summary(parts["summary"]), tuple(versions))


def stored(lifted: Record) -> Stored:
    """What `put` did."""
    parts = members(lifted)
    dropped = tuple(parts["dropped_fields"])
    return Stored(summary(parts["summary"]), parts["replaced"], dropped)


def rewritten(lifted: Record) -> Rewritten:
    """What became of a record."""
    parts = members(lifted)
    parts["before"] = envelope(parts["before"])
    parts["key"] = parts["key"] and key_info(parts["key"])
    return Rewritten(**parts)


def leftover(lifted: Record) -> Leftover:
    """A file that is no record."""
    return Leftover(**members(lifted))
