"""Builds wheels and source distributions with setuptools (PEP 517), with the component in them.

All of it is done in a copy, so that nothing is left in the checkout. The component's source isn't
in this directory, so a source distribution carries the component that was built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union

from setuptools import build_meta

VARIABLE = "MOAT_COMPONENT"
# A source distribution has it already.
COMPONENT = "src/moat/moat.component.wasm"
HERE = Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parent.parent.parent
BOTH_WAYS = (
    f"set {VARIABLE} to the absolute path of what `moat component --out FILE` wrote,"
    " or install from a checkout of the repository on a machine with Rust and its target"
    " wasm32-unknown-unknown"
)

Settings = Optional[Mapping[str, Union[str, list[str], None]]]


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel, and returns its name."""
    wheel_directory = os.path.abspath(wheel_directory)
    with _copy():
        return build_meta.build_wheel(wheel_directory, config_settings)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Builds the source distribution, and returns its name."""
    sdist_directory = os.path.abspath(sdist_directory)
    with _copy():
        return build_meta.build_sdist(sdist_directory, config_settings)


@contextmanager
def _copy() -> Iterator[None]:
    """Works in a copy with the component and its SHA-256 in it."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "python")
        for name in ("src", "backend"):
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(HERE / name, copy / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md", "MANIFEST.in", "LICENSE"):
            shutil.copy(HERE / name, copy)
        component = copy / COMPONENT
        _put_component(component)
        digest = hashlib.sha256(component.read_bytes()).hexdigest()
        component.with_suffix(".sha256").write_text(digest, "ascii")
        before = os.getcwd()
        os.chdir(copy)
        try:
            yield
        finally:
            os.chdir(before)


def _put_component(target: Path) -> None:
    named = os.environ.get(VARIABLE)
    if named is not None:
        try:
            shutil.copyfile(named, target)
        except OSError as error:
            raise SystemExit(f"{VARIABLE} names no component: {error}; {BOTH_WAYS}") from error
    elif not target.exists():
        _build_component(target)


def _build_component(target: Path) -> None:
    """Has the program write the component that it carries."""
    command = ["cargo", "run", "--quiet", "--release", "--package", "moat-cli", "--"]
    try:
        if not (REPOSITORY / "Cargo.toml").is_file():
            raise FileNotFoundError(f"there is no Cargo.toml in {REPOSITORY}")
        subprocess.run([*command, "component", "--out", target], cwd=REPOSITORY, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"the component can't be built: {error}; {BOTH_WAYS}") from error
