"""A host in Python: calls the component over the PyPI package `wasmtime` and checks every answer.

It proves that the contract in `wit/` carries to a language that knows nothing of Moat's own host.
It meets every import itself, so the component gets nothing but what stands here. Usage:

    FOSSAWORK_MASTER_KEY=… stub_caller.py COMPONENT DIRECTORY

Prints one JSON object of what it saw. USER and OTHER must not be in the directory before; USER
stays in it, for others to read. Its other users are left alone.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wasmtime import Engine, Store, StoreContext
from wasmtime.component import Component, ComponentInstanceType, FuncType, Linker, Record, Variant

PACKAGE = "fossawork:credentials/{}@1.0.0"
TYPES = PACKAGE.format("types")
DIRECTORY = PACKAGE.format("directory")
MASTER_KEYS = PACKAGE.format("master-keys")
KEY_CACHE = PACKAGE.format("key-cache")
WALL_CLOCK = "wasi:clocks/wall-clock@0.2.6"
RANDOM = "wasi:random/random@0.2.6"

MAX_FILE = 64 * 1024
USER = "anna@example.com"
OTHER = "bob"
PASSWORD = "pässwörd \"'\\ \U0001f511"
FIELDS = [{"name": "totp", "value": "JBSWY3DPEHPK3PXP"}, {"name": "notiz", "value": "für später"}]


class Refusal(Exception):
    """An import's failure, in the contract's one shape."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def to_record(fields: dict[str, Any]) -> Record:
    """A record whose fields have WIT's names, which no keyword argument can spell."""
    made = Record()
    vars(made).update(fields)
    return made


def to_plain(value: Any) -> Any:
    """What a call answered, as values that compare and print."""
    if isinstance(value, Record):
        return {name: to_plain(part) for name, part in vars(value).items()}
    if isinstance(value, list):
        return [to_plain(part) for part in value]
    if isinstance(value, Variant):
        return {value.tag: to_plain(value.payload)}
    return value


def answers_result(function: Callable[..., dict[str, Any]]) -> Callable[..., Variant]:
    """Turns what an import returns or raises into a WIT result; a bug still stops the component."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Variant:
        try:
            return Variant("ok", to_record(function(*args)))
        except Refusal as refusal:
            code, message = refusal.code, str(refusal)
        except OSError as error:
            code, message = "directory", f"the directory failed: {error.strerror}"
        return Variant("err", to_record({"code": code, "message": message}))

    return wrapper


class Directory:
    """The interface `directory` over plain files; a revision is the SHA-256 of the contents."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @answers_result
    def read(self, _store: StoreContext, name: str) -> dict[str, Any]:
        contents = self._contents(name)
        if contents is None:
            return {"file": None}
        return {"file": to_record({"contents": contents, "revision": revision_of(contents)})}

    @answers_result
    def write(
        self, _store: StoreContext, name: str, contents: bytes, replaces: str | None
    ) -> dict[str, Any]:
        with self._lock():
            self._expect(name, replaces)
            self._replace(name, contents)
        return {"revision": revision_of(contents)}

    @answers_result
    def remove(self, _store: StoreContext, name: str, expected: str | None) -> dict[str, Any]:
        with self._lock():
            existed = self._contents(name) is not None
            if existed:
                if expected is not None:
                    self._expect(name, expected)
                self._file(name).unlink()
                self._sync()
        return {"existed": existed}

    @answers_result
    def names(self, _store: StoreContext, cursor: str | None, limit: int) -> dict[str, Any]:
        names = sorted(name for name in os.listdir(os.fsencode(self.path)) if is_utf8(name))
        if cursor is not None:
            names = [name for name in names if name > cursor.encode()]
        page = [name.decode() for name in names[:limit]]
        return {"names": page, "next": page[-1] if len(names) > limit else None}

    def _file(self, name: str) -> Path:
        """The component is not trusted to name only files of this directory."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise Refusal("denied", "not a plain file name")
        return self.path / name

    def _contents(self, name: str) -> bytes | None:
        try:
            with self._file(name).open("rb") as file:
                contents = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            return None
        if len(contents) > MAX_FILE:
            raise Refusal("too-large", "the file has more than 64 KiB")
        return contents

    def _expect(self, name: str, revision: str | None) -> None:
        contents = self._contents(name)
        if (None if contents is None else revision_of(contents)) != revision:
            raise Refusal("conflict", "somebody else wrote in between")

    def _replace(self, name: str, contents: bytes) -> None:
        """Writes beside the file and renames: a crash leaves either the old or the new one."""
        handle, temporary = tempfile.mkstemp(dir=self.path, prefix=".stub-")
        try:
            with open(handle, "wb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._file(name))
        except BaseException:
            os.unlink(temporary)
            raise
        self._sync()

    def _sync(self) -> None:
        """A rename or removal is durable only once the directory itself is."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """The lock that Moat's own host takes, so that both may write one directory."""
        handle = os.open(self.path / ".moat.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class KeyCache:
    """The interface `key-cache` over a dict; it counts, to show that keys come back from it."""

    def __init__(self) -> None:
        self.keys: dict[tuple[Any, ...], bytes] = {}
        self.hits = 0

    def lookup(self, _store: StoreContext, slot: Record) -> Record | None:
        material = self.keys.get(tuple(vars(slot).values()))
        if material is None:
            return None
        self.hits += 1
        return to_record({"material": material})

    def remember(self, _store: StoreContext, slot: Record, key: Record) -> None:
        self.keys[tuple(vars(slot).values())] = vars(key)["material"]


@answers_result
def ring(_store: StoreContext) -> dict[str, Any]:
    """A ring of the one key in the environment, byte for byte as it is there."""
    material = os.fsencode(os.environ.get("FOSSAWORK_MASTER_KEY", ""))
    if not material:
        raise Refusal("master-key-missing", "FOSSAWORK_MASTER_KEY is not set")
    return {"keys": [to_record({"id": None, "primary": True, "material": material})]}


def now(_store: StoreContext) -> Record:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return to_record({"seconds": seconds, "nanoseconds": nanoseconds})


def random_bytes(_store: StoreContext, length: int) -> bytes:
    return os.urandom(length)


class Host:
    """The component with all its imports met."""

    def __init__(self, component: Path, directory: Path) -> None:
        self.engine = Engine()
        self.component = Component.from_file(self.engine, component)
        self.linker = Linker(self.engine)
        self.cache = KeyCache()
        files = Directory(directory)
        self.imports: dict[str, dict[str, Callable[..., Any]]] = {
            DIRECTORY: {
                "read": files.read,
                "write": files.write,
                "remove": files.remove,
                "names": files.names,
            },
            MASTER_KEYS: {"ring": ring},
            KEY_CACHE: {"lookup": self.cache.lookup, "remember": self.cache.remember},
            WALL_CLOCK: {"now": now},
            RANDOM: {"get-random-bytes": random_bytes},
        }
        with self.linker.root() as root:
            for interface, functions in self.imports.items():
                with root.add_instance(interface) as instance:
                    for name, function in functions.items():
                        instance.add_func(name, function)

    def asked_for(self) -> dict[str, set[str]]:
        """The functions that the component imports, by interface."""
        asked_for: dict[str, set[str]] = {}
        for interface, extern in self.component.type.imports(self.engine).items():
            if not isinstance(extern.ty, ComponentInstanceType):
                sys.exit(f"the component imports {interface}, which is no interface")
            items = extern.ty.exports(self.engine).items()
            asked_for[interface] = {name for name, item in items if isinstance(item.ty, FuncType)}
        return asked_for

    def call(self, interface: str, function: str, *args: Any) -> Any:
        """Calls an export in a fresh instance, so that nothing outlives the call."""
        store = Store(self.engine)
        instance = self.linker.instantiate(store, self.component)
        outer = instance.get_export_index(store, PACKAGE.format(interface))
        index = outer and instance.get_export_index(store, function, outer)
        export = instance.get_func(store, index) if index else None
        if export is None:
            sys.exit(f"the component has no {interface}.{function}")
        return to_plain(export(store, *args))


def revision_of(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def expect(what: str, seen: Any, expected: Any) -> None:
    """Unlike `assert`, not switched off by `python -O`."""
    if seen != expected:
        sys.exit(f"{what}: expected {expected!r}, saw {seen!r}")


def succeeded(what: str, answer: Any) -> Any:
    """What a call gave; its error ends the run in its own words."""
    if "err" in answer:
        sys.exit(f"{what}: {answer['err']['code']}: {answer['err']['message']}")
    return answer["ok"]


def credential(username: str, password: str, fields: list[dict[str, str]]) -> dict[str, Any]:
    """What `put` takes and, but for the times, `reveal` gives."""
    return {
        "username": username,
        "password": password,
        "fields": fields,
        "created-at": "2025-01-14T10:00:00",
        "last-used": None,
        "is-valid": False,
        "validation-attempts": 0,
    }


def put(host: Host, user_id: str, stored: dict[str, Any]) -> Any:
    """Stores a credential that must not exist."""
    fields = [to_record(field) for field in stored["fields"]]
    options = {
        "create-only": True,
        "expected-revision": None,
        "version": None,
        "encoding": None,
    }
    argument = to_record({**stored, "fields": fields})
    return host.call("vault", "put", user_id, argument, to_record(options))


def expected_summary(
    user_id: str, stored: dict[str, Any], directory: Path, encrypted_at: str
) -> dict[str, Any]:
    """What must be told of a credential, from what was stored and from its file."""
    contents = (directory / f"{user_id}.cred").read_bytes()
    shown = {name: part for name, part in stored.items() if name not in ("password", "fields")}
    return {
        **shown,
        "user-id": user_id,
        "field-names": [field["name"] for field in stored["fields"]],
        "key": {"id": None, "primary": True, "weakness": None},
        "envelope": {
            "kind": "current",
            "version": "1.0",
            "encoding": "documented",
            "key-id": None,
            "created-at": json.loads(contents)["created_at"],
            "encrypted-at": encrypted_at,
            "write-counter": None,
            "size": len(contents),
            "revision": revision_of(contents),
        },
    }


def recent(what: str, text: str, since: datetime) -> str:
    """Checks that a time is one of this run."""
    expect(f"{what} is recent", since <= datetime.fromisoformat(text) <= utc_now(), True)
    return text


def utc_now() -> datetime:
    """As records spell it: UTC without a zone, whole seconds."""
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)


def check_imports(host: Host) -> None:
    """The component asks for the five interfaces and for the types, which have no function."""
    met = {interface: set(functions) for interface, functions in host.imports.items()}
    expect("imports", host.asked_for(), {TYPES: set(), **met})


def check_life(host: Host, directory: Path, started: datetime) -> Any:
    """Stores USER's credential, opens it and notes its use."""
    stored = credential("anna", PASSWORD, FIELDS)

    answer = succeeded("put", put(host, USER, stored))
    written = recent("encrypted-at", answer["summary"]["envelope"]["encrypted-at"], started)
    summary = expected_summary(USER, stored, directory, written)
    expect("put", answer, {"summary": summary, "replaced": False, "dropped-fields": []})
    expect("put again", put(host, USER, stored)["err"]["code"], "conflict")
    expect("describe", host.call("vault", "describe", USER), {"ok": summary})
    expect("inspect", host.call("vault", "inspect", USER), {"ok": summary["envelope"]})

    revealed = succeeded("reveal", host.call("reveal", "reveal", USER))
    expect("reveal", revealed, {"credential": stored, "summary": summary})

    answer = succeeded("mark-used", host.call("vault", "mark-used", USER))
    stored["last-used"] = recent("last-used", answer["last-used"], started)
    written = recent("encrypted-at", answer["envelope"]["encrypted-at"], started)
    summary = expected_summary(USER, stored, directory, written)
    expect("mark-used", answer, summary)

    missing = {"err": {"code": "not-found", "message": "there is no credential of this user"}}
    answers = host.call("vault", "verify", [USER, "nobody"])
    expect("verify", answers, [{"ok": summary}, missing])
    return revealed["credential"]


def check_removal(host: Host) -> None:
    """Another user's credential goes, and only once; a stale revision removes nothing."""
    succeeded("put another", put(host, OTHER, credential(OTHER, "b" * 12, [])))
    answer = succeeded("mark-validated", host.call("vault", "mark-validated", OTHER, True))
    expect("mark-validated", (answer["is-valid"], answer["validation-attempts"]), (True, 1))
    stale = host.call("vault", "remove", OTHER, "stale")
    expect("remove a stale revision", stale["err"]["code"], "conflict")
    for existed in (True, False):
        expect("remove", host.call("vault", "remove", OTHER, None), {"ok": {"existed": existed}})


def all_users(host: Host) -> list[str]:
    """Asks for small pages, to try cursors; a page without a user need not be the last."""
    users: list[str] = []
    cursor = None
    while True:
        page = succeeded("users", host.call("vault", "users", cursor, 2))
        users += page["user-ids"]
        cursor = page["next"]
        if cursor is None:
            return users


def main() -> None:
    component, directory = (Path(argument) for argument in sys.argv[1:])
    directory.mkdir(mode=0o700, exist_ok=True)
    started = utc_now()
    host = Host(component, directory)

    check_imports(host)
    opened = check_life(host, directory, started)
    check_removal(host)
    refused = put(host, "../x", credential("x", "x" * 12, []))["err"]
    expect("put ../x", refused["code"], "invalid-user-id")
    users = all_users(host)
    on_disk = sorted((file.stem for file in directory.glob("*.cred")), key=os.fsencode)
    expect("users", users, on_disk)
    expect("derivations", len(host.cache.keys), 2)

    seen = {
        "imports": sorted(host.asked_for()),
        "username": opened["username"],
        "password": opened["password"],
        "fields": opened["fields"],
        "users": users,
        "error": refused["code"],
        "derivations": len(host.cache.keys),
        "cache_hits": host.cache.hits,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
