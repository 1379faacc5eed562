"""What the component may write, checked before it replaces a file.

The host can't tell whether a token can be decrypted. But it can tell that the bytes are one record
of the user that the call is for, that a Fernet token of now is where the secret belongs, and that
nothing else in it could be one.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

# How far a token's time may be from the clock: as long as a call can take.
MAX_AGE_SECONDS = 60 * 60

MEMBERS = {"user_id", "encrypted_data", "encryption_version", "created_at", "key_id"}
MEMBERS_OF_2 = {"kdf", "write_counter"}
DERIVATIONS = (("name", "hkdf-sha256"), ("name", "pbkdf2-hmac-sha256"))
MAX_HISTORY = 100
TIME = re.compile(r"[0-9T:.+Z -]{1,40}")


class Rejected(Exception):
    """Why the bytes are not written."""


@dataclass(frozen=True)
class _Number:
    """As it is written: to Python, 1, 1.0 and true are the same."""

    text: str


def check_record(
    contents: bytes,
    old: bytes | None,
    settings: bytes | None,
    user: str,
    labels: Collection[str],
    now: int,
) -> None:
    """Checks a record that is to replace `old`, where these are the settings. Raises `Rejected`."""
    record, before = _object(contents), _known(old)
    version = record.get("encryption_version")
    _require(version in ("1.0", "2.0"), "its version may not be written")
    _require(record.get("user_id") == user, "it names another user")
    token, old_token = (_token(one.get("encrypted_data")) for one in (record, before))
    if token is None:
        raise Rejected("what should be encrypted is not a Fernet token")
    (time, iv), (_, old_iv) = token, old_token or (0, None)
    _require(abs(time - now) <= MAX_AGE_SECONDS, "its token's time is not now")
    _require(iv != old_iv, "its token repeats the IV of the record before")
    if version == "2.0":
        _check_version_2(record, before, _known(settings))
    known = MEMBERS | MEMBERS_OF_2 if version == "2.0" else MEMBERS
    for name, value in record.items():
        is_sound = name in known
        if name == "created_at":
            is_sound = isinstance(value, str) and TIME.fullmatch(value) is not None
        elif name == "key_id":
            is_sound = value in labels
        is_as_before = name in before and before[name] == value
        _require(is_sound or is_as_before, "it has a member that no record has")


def _check_version_2(
    record: dict[str, Any], before: dict[str, Any], settings: dict[str, Any]
) -> None:
    # Other parameters than those that are there already could carry out 16 bytes as a salt.
    known = (one["kdf"] for one in (before, settings) if isinstance(one.get("kdf"), tuple))
    kdf = record.get("kdf")
    is_known = isinstance(kdf, tuple) and any(
        all(part in one or part in DERIVATIONS for part in kdf) for one in known
    )
    _require(is_known, "its `kdf` is neither the directory's nor that of the record before")
    counter = before.get("write_counter")
    following = int(counter.text) + 1 if isinstance(counter, _Number) else 1
    is_next = record.get("write_counter") == _Number(str(following))
    _require(is_next, "its `write_counter` doesn't count on")


def check_settings(contents: bytes, old: bytes | None, labels: Collection[str]) -> None:
    """Checks settings that are to replace `old`. The derivation is set once. Raises `Rejected`."""
    settings, before = _object(contents), _known(old)
    is_sound = "kdf" in settings or "kdf" not in before
    for name, value in settings.items():
        is_as_before = name in before and before[name] == value
        is_new_kdf = name == "kdf" and "kdf" not in before
        is_sound &= is_as_before or (
            _is_kdf(value) if is_new_kdf else _is_setting(name, value, labels)
        )
    _require(is_sound, "it is not the settings of a directory")


def _is_kdf(value: Any) -> bool:
    if not (isinstance(value, tuple) and [name for name, _ in value] == ["salt", "rounds"]):
        return False
    (_, salt), (_, rounds) = value
    return _is_base64(salt, 16) and rounds == _Number("600000")


def _is_setting(name: str, value: Any, labels: Collection[str]) -> bool:
    if name == "record_version":
        return value in ("1.0", "2.0")
    if name == "token_encoding":
        return value in ("documented", "app")
    if name == "history":
        text = value.text if isinstance(value, _Number) else ""
        return text.isascii() and text.isdigit() and int(text) <= MAX_HISTORY
    if name == "mac" and isinstance(value, tuple):
        parts = dict(value)
        label, tag = parts.get("key_id"), parts.get("tag")
        names = [part for part, _ in value]
        is_known = label is None or label in labels
        return names == ["key_id", "tag"] and is_known and _is_base64(tag, 32)
    return False


def _token(encrypted_data: Any) -> tuple[int, bytes] | None:
    """The time and the IV of a Fernet token, which may be encoded twice."""
    token = _base64(encrypted_data)
    if token is not None and not token.startswith(b"\x80"):
        token = _base64(token.decode("latin-1"))
    # A version, the time, the IV, blocks of 16 bytes and at least one, the HMAC.
    if token is None or token[:1] != b"\x80" or len(token) < 73 or len(token) % 16 != 9:
        return None
    return int.from_bytes(token[1:9], "big"), token[9:25]


def _is_base64(text: Any, size: int) -> bool:
    decoded = _base64(text)
    return decoded is not None and len(decoded) == size


def _base64(text: Any) -> bytes | None:
    """The bytes of URL-safe base64; None for any other text, and if it is not the usual one."""
    try:
        decoded = base64.urlsafe_b64decode(text)
    except (TypeError, ValueError):
        return None
    return decoded if base64.urlsafe_b64encode(decoded).decode() == text else None


def _object(contents: bytes) -> dict[str, Any]:
    """The members of the one object that this is; objects in it are tuples of pairs."""
    try:
        pairs = json.loads(
            contents.decode(),
            object_pairs_hook=tuple,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        raise Rejected("it is not JSON") from None
    members = dict(pairs) if isinstance(pairs, tuple) else None
    if members is None or len(members) < len(pairs):
        raise Rejected("it is not one JSON object with each member once")
    return members


def _known(contents: bytes | None) -> dict[str, Any]:
    """The members of what was there; none if that is no object."""
    try:
        return {} if contents is None else _object(contents)
    except Rejected:
        return {}


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Rejected(otherwise)
