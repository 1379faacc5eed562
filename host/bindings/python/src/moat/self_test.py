"""A known-answer test of the component, before it gets near a file.

Whether it encrypts and decrypts as the format says shows in the sandbox over one file in memory,
with a known clock, key and random bytes. The key comes from the cache, so that it need not be
derived; whether derivation is right shows when an existing record is decrypted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasmtime import StoreContext
from wasmtime.component import Record

from . import values
from .cache import KeyCache
from .call import Call
from .errors import MoatError, SandboxFailure
from .keys import KeyRing, MasterKey
from .records import Credential, Field

USER = "self-test"
KEY = b"a known key: not a secret at all"
# 2025-01-14T10:00:00Z.
NOW = 1_736_848_800

# The record that has to come out, made with `cryptography`.
KNOWN = (
    b'{"user_id":"self-test","encrypted_data":"'
    b"gAAAAABnhjWgWlpaWlpaWlpaWlpaWlpaWl4xG3R5qLSeR2G1Z0cdZTv__nO2cV6PHajeg6fEKB6Pn_wEvq4obqMF"
    b"9smedy7NcNdBdni48E7sDDeY22rvrW8G2N__K6jnbK1ZUfGARs3oZQF06AWd3KYRJwSseVjvZ7kEQ5AG9DgAIcj6"
    b"Pab5D74HlLdWtSfSGmXpjakYxuA12AZ16VdqmviqjBgbGv7boAn4lYQLvgsfnef1kE6bJhv9NMauUaqlxGSNHYWn"
    b"K_3WFW2wM4rjLSwBzrbSf72UOdAFtaGJYa3zoAvIy4Ygg5s="
    b'","created_at":"2025-01-14T10:00:00","encryption_version":"1.0"}'
)


def run(enter: Callable[..., Any]) -> None:
    """Encrypts what is known and compares the record, then decrypts that and compares it.

    `enter` makes a call of the component. Raises `SandboxFailure` for another answer.
    """
    file = _File()
    known = Credential("known", "correct horse", (Field("site", "é"),))
    options = values.record(
        create_only=True,
        expected_revision=None,
        version=None,
        encoding=None,
        keep_fields=False,
    )
    enter(_KnownCall("put", file), USER, values.lower_credential(known), options)
    try:
        opened = values.revealed(values.payload(enter(_KnownCall("reveal", file), USER))).credential
    except MoatError as error:
        raise SandboxFailure("the component failed its self-test") from error
    told = (opened.username, opened.password, opened.fields)
    if told != (known.username, known.password, known.fields) or file.contents != KNOWN:
        raise SandboxFailure("the component failed its self-test")


class _KnownCall(Call):
    """A call in which everything is known."""

    def __init__(self, function: str, file: _File) -> None:
        super().__init__(function, (USER,), None, file, KeyRing(MasterKey(KEY)), KeyCache(0))

    def lookup(self, _store: StoreContext, slot: Record) -> Record | None:
        return values.record(material=KEY)

    def get_random_bytes(self, _store: StoreContext, length: int) -> bytes:
        return b"Z" * length

    def clock(self) -> int:
        return NOW * 1_000_000_000


class _File:
    """The user's file, under a revision that never changes; there is no other."""

    def __init__(self) -> None:
        self.contents: bytes | None = None

    def read(self, name: str) -> tuple[bytes, str] | None:
        return (self.contents, "") if name == f"{USER}.cred" and self.contents else None

    def write(self, name: str, contents: bytes, replaces: str | None) -> str:
        self.contents = contents
        return ""

    def remove(self, name: str, expected: str | None) -> bool:
        return False

    def names(self, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        return [], None
