"""The component in wasmtime: compiled once in a process, and a new instance for every call."""

from __future__ import annotations

import functools
import hashlib
import os
from importlib import resources
from typing import Any

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Component, ComponentInstanceType, Func, FuncType, Instance, Linker

from . import fork_safe, self_test
from .call import IMPORTS, Call
from .errors import SandboxFailure

PACKAGE = "fossawork:credentials/{}@1.0.0"

# The limits of Moat's own host; `moat component` prints them.
MEMORY_BYTES = 16 * 1024 * 1024
STACK_BYTES = 512 * 1024
TABLE_ELEMENTS = 4096
INSTANCES = 8
TABLES = 4
MEMORIES = 2
# Instructions, for each user of a call: some ten seconds. A derivation of 100,000 rounds takes
# 0.9e9, and a record may state a hundred times as many rounds.
FUEL = 300_000_000_000

call_lock = fork_safe.lock()
"""Held during every call in this process.

The bindings of wasmtime 50 convert values by way of variables that all threads share, and keep the
exception of an import in another.
"""

_worker = fork_safe.Worker()
"""Makes the calls, since signals are handled on the main thread.

What a handler raises in the midst of an import, such as KeyboardInterrupt, would be lost between
wasmtime and its bindings, and end in a segmentation fault. So it comes while the call is waited
for, and the call goes on to its end.
"""


def load(path: str | os.PathLike[str] | None, digest: str | None) -> Sandbox:
    """The component in this file with this SHA-256; by default those that the package carries.

    A file is compiled once, whatever it may hold later. Raises `SandboxFailure` when it is another
    component, is none, or asks for more than the five interfaces, `OSError` when it can't be read.
    """
    with call_lock:
        return _load(None if path is None else os.path.abspath(path), digest)


@functools.cache
def _load(path: str | None, digest: str | None) -> Sandbox:
    package = resources.files("moat")
    if digest is None:
        digest = package.joinpath("moat.component.sha256").read_text("ascii")
    if path is None:
        wasm = package.joinpath("moat.component.wasm").read_bytes()
    else:
        with open(path, "rb") as file:
            wasm = file.read()
    found = hashlib.sha256(wasm).hexdigest()
    if found != digest.lower().removeprefix("sha256:"):
        way_out = (
            "install the package again"
            if path is None
            else "if it is one that you trust, give its SHA-256 as `component_digest`"
        )
        message = f"this is not the expected component: its SHA-256 is {found}; {way_out}"
        raise SandboxFailure(message)
    return Sandbox(wasm)


class Sandbox:
    """A compiled component."""

    def __init__(self, wasm: bytes) -> None:
        """Compiles it, and refuses it when it doesn't import exactly what it will be granted."""
        config = Config()
        config.consume_fuel = True
        config.max_wasm_stack = STACK_BYTES
        self._engine = Engine(config)
        try:
            self._component = Component(self._engine, wasm)
        except WasmtimeError as error:
            raise SandboxFailure("the file is no component") from error
        self._check_imports()
        self._is_tested = False

    def call(self, call: Call, *args: Any) -> Any:
        """Calls a function of the component in a new instance, which ends with the call.

        A known-answer test goes before the first that may write. Raises `SandboxFailure` when the
        component is aborted or fails that, `Unavailable` when the system gives no thread.
        """
        if call.may_write() and not self._is_tested:
            self_test.run(self._enter)
            self._is_tested = True
        return self._enter(call, *args)

    def _enter(self, call: Call, *args: Any) -> Any:
        try:
            return _worker.submit(self._called, call, args).result()
        except WasmtimeError as error:
            cause = str(error).strip().splitlines()[-1].strip()
            message = f"the component was aborted during {call.function}: {cause}"
            raise SandboxFailure(message) from error

    def _called(self, call: Call, args: tuple[Any, ...]) -> Any:
        with call_lock, Linker(self._engine) as linker, Store(self._engine) as store:
            _provide(linker, call)
            _limit(store, len(call.users))
            instance = linker.instantiate(store, self._component)
            return _export(instance, store, call.function)(store, *args)

    def _check_imports(self) -> None:
        asked_for: dict[str, set[str]] = {}
        for interface, extern in self._component.type.imports(self._engine).items():
            if not isinstance(extern.ty, ComponentInstanceType):
                raise SandboxFailure(f"the component imports {interface!r}, which is no interface")
            items = extern.ty.exports(self._engine).items()
            asked_for[interface] = {name for name, item in items if isinstance(item.ty, FuncType)}
        # The types stand in an interface of their own, which has no function.
        expected = {interface: set(functions) for interface, functions in IMPORTS.items()}
        if asked_for != {PACKAGE.format("types"): set(), **expected}:
            names = ", ".join(sorted(asked_for)) or "nothing"
            raise SandboxFailure(f"the component doesn't import what it is granted, but {names}")


def _export(instance: Instance, store: Store, function: str) -> Func:
    interface = PACKAGE.format("reveal" if function in ("reveal", "reveal-version") else "vault")
    outer = instance.get_export_index(store, interface)
    index = outer and instance.get_export_index(store, function, outer)
    export = instance.get_func(store, index) if index else None
    if export is None:
        raise SandboxFailure(f"the component has no function {function}")
    return export


def _provide(linker: Linker, call: Call) -> None:
    with linker.root() as root:
        for interface, functions in IMPORTS.items():
            with root.add_instance(interface) as instance:
                for name in functions:
                    instance.add_func(name, getattr(call, name.replace("-", "_")))


def _limit(store: Store, users: int) -> None:
    store.set_limits(MEMORY_BYTES, TABLE_ELEMENTS, INSTANCES, TABLES, MEMORIES)
    store.set_fuel(FUEL * max(users, 1))
