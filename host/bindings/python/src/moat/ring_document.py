"""A key ring as a JSON document (host/docs/keys.md): all keys of a directory with their history."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from .keys import MasterKey
from .times import parsed

VERSION = 1
MAX_ID_BYTES = 64

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class NotARing(Exception):
    """Why a text is no key ring; it quotes nothing of it."""


def is_meant(text: bytes) -> bool:
    """Whether it is meant to be a ring, even a damaged one; a master key hardly is by chance."""
    return text.lstrip(b" \t\n\f\r").startswith(b"{") and b'"moat_keyring"' in text


def parse(text: bytes) -> list[MasterKey]:
    """The keys that are in use: the primary one, then the others from the newest to the oldest.

    Raises `NotARing`.
    """
    document = _json(text)
    _require(document is not None, "it is not JSON, or has a member twice")
    _check_members(document, {"moat_keyring": int, "primary": str, "keys": list}, {})
    _require(document["moat_keyring"] == VERSION, "its version is unknown")
    primary = document["primary"]
    others: list[MasterKey] = []
    first: list[MasterKey] = []
    ids: set[str] = set()
    materials: set[bytes] = set()
    for entry in document["keys"]:
        key = _key(entry)
        _require(key.id not in ids, "two keys have the same id")
        _require(key.material not in materials, "it has the same key twice")
        ids.add(str(key.id))
        materials.add(key.material)
        is_retired = entry.get("retired", False)
        if key.id == primary:
            _require(not is_retired, "the primary key is retired")
            first.append(key)
        elif not is_retired:
            others.append(key)
    _require(len(first) == 1, "no key has the id that `primary` names")
    return first + others[::-1]


def _key(entry: Any) -> MasterKey:
    optional = {"superseded": bool, "retired": bool, "key": str, "key_base64": str}
    _check_members(entry, {"id": str, "added_at": str}, optional)
    label = entry["id"]
    is_label = 0 < len(label.encode("utf-8", "replace")) <= MAX_ID_BYTES
    _require(is_label and not _CONTROL.search(label), "an id has 1 to 64 bytes, without controls")
    _require(_is_time(entry["added_at"]), "an `added_at` is not an RFC 3339 time")
    _require(
        ("key" in entry) != ("key_base64" in entry), "a key needs either `key` or `key_base64`"
    )
    if "key" in entry:
        is_plain = not re.search(r'["\\]', entry["key"]) and not _CONTROL.search(entry["key"])
        _require(is_plain, "a key that needs escapes has to be in base64")
        material = entry["key"].encode("utf-8", "replace")
    else:
        material = _base64(entry["key_base64"])
    _require(material != b"", "a key is empty")
    return MasterKey(material, label)


def _check_members(members: Any, needed: dict[str, type], others: dict[str, type]) -> None:
    known = needed | others
    is_sound = (
        isinstance(members, dict)
        and members.keys() >= needed.keys()
        # Not `isinstance`: True would be an integer.
        and all(type(value) is known.get(name) for name, value in members.items())
    )
    _require(is_sound, "a member is missing, unknown, or not of its type")


def _json(text: bytes) -> Any:
    """What stands in JSON; None if it doesn't, without an error that would hold the keys."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members


def _is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text)) and parsed(text) is not None


def _base64(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        decoded = b""
    is_usual = base64.b64encode(decoded) == text.encode("utf-8", "replace")
    _require(is_usual, "a `key_base64` is not base64")
    return decoded


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise NotARing(otherwise)
