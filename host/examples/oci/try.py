"""Pushes a component to a registry of its own, pulls it back, and compares: try.py COMPONENT.

The registry is Debian's `docker-registry`, on a free port of 127.0.0.1, with its storage in a
temporary directory; it ends with this program. Prints what it saw, and ends with 1 on any
deviation.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from artifact import CONFIG_TYPE, LAYER_TYPE, Refusal, digest_of, pull, push, registry_of

SECONDS_TO_START = 10
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: "{storage}"}}}}
http: {{addr: "127.0.0.1:0"}}
"""


@contextmanager
def running_registry(folder: Path) -> Iterator[tuple[str, Path]]:
    """A registry's address, and where it keeps its files."""
    storage, config, log = folder / "storage", folder / "config.yml", folder / "log"
    config.write_text(CONFIG.format(storage=storage))
    with log.open("wb") as output:
        command = ["docker-registry", "serve", str(config)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield address_in(log, process), storage
    finally:
        process.terminate()
        process.wait(timeout=SECONDS_TO_START)


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Waits until the registry says where it listens."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    sys.exit(f"the registry didn't start:\n{log.read_text()}")


def expect(what: str, seen: Any, expected: Any) -> None:
    """Unlike `assert`, not switched off by `python -O`."""
    if seen != expected:
        sys.exit(f"{what}: expected {expected!r}, saw {seen!r}")


def refusal(reference: str, digest: str) -> str:
    """Why this is not pulled."""
    try:
        pull(reference, digest)
    except Refusal as why:
        return str(why)
    sys.exit(f"{reference} was pulled as {digest}")


def check(component: Path, address: str, storage: Path) -> dict[str, Any]:
    """Goes the whole way, there and back, and then where it must not lead."""
    contents = component.read_bytes()
    digest = digest_of(contents)
    tagged = f"{address}/fossawork/moat:1.0.0"

    pinned = push(component, tagged)
    expect("a second push", push(component, tagged), pinned)
    for reference in (tagged, pinned):
        expect(f"pulled from {reference}", digest_of(pull(reference, digest)), digest)

    registry = registry_of(pinned)
    container = registry.get_container(pinned)
    manifest = registry.get_manifest(container)
    layer = {"mediaType": LAYER_TYPE, "digest": digest, "size": len(contents)}
    expect("layers", [{key: part[key] for key in layer} for part in manifest["layers"]], [layer])
    expect("config's type", manifest["config"]["mediaType"], CONFIG_TYPE)
    config = registry.get_blob(container, manifest["config"]["digest"]).json()
    expect("layer digests", config["layerDigests"], [digest])
    expect("system", (config["architecture"], config["os"]), ("wasm", "wasip2"))

    other = digest_of(b"another component")
    expect("another digest", refusal(tagged, other), "the artifact holds another component")
    [blob] = storage.glob(f"**/{digest.removeprefix('sha256:')}/data")
    blob.write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))
    expect("an altered blob", refusal(pinned, digest), "the component was altered")

    return {
        "reference": pinned,
        "component": digest,
        "bytes": len(contents),
        "exports": config["component"]["exports"],
        "imports": config["component"]["imports"],
    }


def main() -> None:
    [component] = sys.argv[1:]
    # A proxy doesn't reach this machine's own registry.
    os.environ["NO_PROXY"] = "127.0.0.1"
    with tempfile.TemporaryDirectory() as folder, running_registry(Path(folder)) as running:
        print(json.dumps(check(Path(component), *running), indent=2))


if __name__ == "__main__":
    main()
