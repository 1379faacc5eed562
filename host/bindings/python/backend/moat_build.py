"""Builds the wheel with setuptools (PEP 517), and puts the component and its SHA-256 into it.

All of it is done in a copy, so that nothing is left in the checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path

from setuptools import build_meta

VARIABLE = "MOAT_COMPONENT"
HERE = Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parent.parent.parent
BOTH_WAYS = (
    f"set {VARIABLE} to the absolute path of what `moat component --out FILE` wrote,"
    " or install from a checkout of the repository on a machine with Rust and its target"
    " wasm32-unknown-unknown"
)

Settings = Mapping[str, str | list[str] | None] | None


class UnsupportedOperation(Exception):
    """What PEP 517 has a backend raise for a kind of distribution that it doesn't make."""


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel with the component in it, and returns the wheel's name."""
    wheel_directory = os.path.abspath(wheel_directory)
    with _copy() as copy:
        component = copy / "src/moat/moat.component.wasm"
        _put_component(component)
        digest = hashlib.sha256(component.read_bytes()).hexdigest()
        component.with_suffix(".sha256").write_text(digest, "ascii")
        with chdir(copy):
            return build_meta.build_wheel(wheel_directory, config_settings)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Refuses: the component's source is not in this directory, so it would not be whole."""
    raise UnsupportedOperation("there is no source distribution; build a wheel")


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "python")
        copy.mkdir()
        shutil.copytree(HERE / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(HERE / name, copy)
        yield copy


def _put_component(target: Path) -> None:
    named = os.environ.get(VARIABLE)
    if named is None:
        _build_component(target)
        return
    try:
        shutil.copyfile(named, target)
    except OSError as error:
        raise SystemExit(f"{VARIABLE} names no component: {error}; {BOTH_WAYS}") from error


def _build_component(target: Path) -> None:
    """Has the program write the component that it carries."""
    command = ["cargo", "run", "--quiet", "--release", "--package", "moat-cli", "--"]
    try:
        if not (REPOSITORY / "Cargo.toml").is_file():
            raise FileNotFoundError(f"there is no Cargo.toml in {REPOSITORY}")
        subprocess.run([*command, "component", "--out", target], cwd=REPOSITORY, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"the component can't be built: {error}; {BOTH_WAYS}") from error
