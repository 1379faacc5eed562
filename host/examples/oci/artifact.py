"""Moat's component as an OCI artifact: into a registry and out of it.

    artifact.py push COMPONENT REFERENCE
    artifact.py pull REFERENCE DIGEST FILE

`push` prints the reference pinned to the manifest's digest. `pull` writes the component only if
its SHA-256 is DIGEST, which `moat component` prints. The layout is the CNCF's:
https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import requests
from oras.provider import Registry
from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.wasm.config.v0+json"
LAYER_TYPE = "application/wasm"
FILE_NAME = "moat.component.wasm"
WORLD = "fossawork:credentials/credential-vault@1.0.0"
VAULT = "fossawork:credentials/vault@1.0.0"
# So that the artifact's digest follows from the component alone.
CREATED = "1970-01-01T00:00:00Z"


class Refusal(Exception):
    """Why something was not taken from the registry, or not given to it."""


def digest_of(contents: bytes) -> str:
    """The SHA-256 as OCI and `moat component` write it."""
    return f"sha256:{hashlib.sha256(contents).hexdigest()}"


def config_of(component: bytes) -> dict[str, Any]:
    """What the layout says about a component."""
    engine = Engine()
    world = Component(engine, component).type
    exports, imports = list(world.exports(engine)), list(world.imports(engine))
    if VAULT not in exports:
        raise Refusal("the component is not Moat's")
    return {
        "created": CREATED,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest_of(component)],
        "component": {"exports": exports, "imports": imports, "target": WORLD},
    }


def registry_of(reference: str) -> Registry:
    """Talks TLS with every registry but one on this machine."""
    host = reference.partition("/")[0].partition(":")[0]
    return Registry(insecure=host in ("127.0.0.1", "localhost"))


def push(component: Path, reference: str) -> str:
    """Pushes a component, and returns the reference pinned to its manifest."""
    registry = registry_of(reference)
    container = registry.get_container(reference)
    with tempfile.TemporaryDirectory() as folder:
        layer, config = Path(folder) / FILE_NAME, Path(folder) / "config.json"
        shutil.copyfile(component, layer)
        config.write_text(json.dumps(config_of(layer.read_bytes())))
        answer = registry.push(
            reference,
            files=[f"{layer}:{LAYER_TYPE}"],
            manifest_config=f"{config}:{CONFIG_TYPE}",
            disable_path_validation=True,
            quiet=True,
        )
    manifest = cast(bytes, answer.request.body)
    return f"{container.registry}/{container.api_prefix}@{digest_of(manifest)}"


def body(answer: requests.Response) -> bytes:
    """What a registry sent."""
    if answer.status_code != 200:
        raise Refusal(f"the registry answered {answer.status_code} {answer.reason}")
    return answer.content


def pull(reference: str, digest: str) -> bytes:
    """Pulls a component of this digest; fails with `Refusal` where anything deviates."""
    registry = registry_of(reference)
    container = registry.get_container(reference)
    registry.auth.load_configs(container)
    url = f"{registry.prefix}://{container.manifest_url()}"
    raw = body(registry.do_request(url, headers={"Accept": MANIFEST_TYPE}))
    if container.digest and digest_of(raw) != container.digest:
        raise Refusal("the manifest is not the one that the reference names")
    try:
        manifest = json.loads(raw)
        config_type = manifest["config"]["mediaType"]
        layers = [(layer["mediaType"], layer["digest"]) for layer in manifest["layers"]]
    except (KeyError, TypeError, ValueError):
        raise Refusal("the manifest is no artifact's") from None
    if config_type != CONFIG_TYPE or len(layers) != 1:
        raise Refusal("the artifact is not one Wasm component")
    if layers != [(LAYER_TYPE, digest)]:
        raise Refusal("the artifact holds another component")
    component = body(registry.get_blob(container, digest))
    if digest_of(component) != digest:
        raise Refusal("the component was altered")
    return component


def main() -> None:
    match sys.argv[1:]:
        case ["push", component, reference]:
            print(push(Path(component), reference))
        case ["pull", reference, digest, file]:
            contents = pull(reference, digest)
            Path(file).write_bytes(contents)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except (Refusal, OSError, ValueError, WasmtimeError) as error:
        sys.exit(f"error: {error}")
