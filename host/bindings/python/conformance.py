"""The runner of the conformance suite (tests/conformance/README.md) over the package's public API.

conformance.py CASES COMPONENT ROOT
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moat import (
    Credential,
    Field,
    MasterKey,
    MoatError,
    Rewritten,
    Summary,
    Vault,
)


def run(case: dict[str, Any], component: Path, root: Path) -> dict[str, Any]:
    """Goes through one case."""
    directory = root / case.get("directory", case["name"])
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, contents in case.get("files", {}).items():
        write_private(directory / name, base64.b64decode(contents))
    keys = [MasterKey(key["key"].encode(), key["id"]) for key in case["ring"]]
    answers: list[Any] = []
    with Vault(directory, keys=keys, component=component) as vault:
        for step in case["steps"]:
            answers.append(answer(vault, step, last_revision(answers)))
    names = (file.name for file in directory.iterdir() if file.name.endswith(".cred"))
    return {"name": case["name"], "answers": answers, "files": sorted(names, key=os.fsencode)}


def write_private(path: Path, contents: bytes) -> None:
    """Writes a file of mode 0600."""
    with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(contents)


def answer(vault: Vault, step: dict[str, Any], revision: str | None) -> dict[str, Any]:
    """Does a step."""
    try:
        return {"ok": value(vault, step, revision)}
    except MoatError as error:
        return {"error": error.code}


def value(vault: Vault, step: dict[str, Any], revision: str | None) -> Any:
    """What a step returns, with the contract's names; `revision` stands in for `$revision`."""
    user, users = step.get("user_id", ""), step.get("user_ids", [])
    options = step.get("options", {})
    expected = {
        name: revision if part == "$revision" else part
        for name, part in (options | step).items()
        if name == "expected_revision"
    }
    match step["call"]:
        case "put":
            return asdict(vault.put(user, credential(step["credential"]), **options | expected))
        case "change":
            changes = dict(step["changes"])
            changes["fields"] = [Field(**field) for field in changes.get("fields", [])]
            return asdict(vault.change(user, **changes | expected))
        case "copy":
            return asdict(vault.copy(user, step["source"]))
        case "history":
            return asdict(vault.history(user))
        case "restore":
            return asdict(vault.restore(user, step["number"], **expected))
        case "reveal_version":
            return asdict(vault.reveal_version(user, step["number"]))
        case "reveal":
            return asdict(vault.reveal(user))
        case "describe":
            return asdict(vault.describe(user))
        case "inspect":
            return asdict(vault.inspect(user))
        case "mark_used":
            return asdict(vault.mark_used(user))
        case "mark_validated":
            return asdict(vault.mark_validated(user, step["valid"]))
        case "remove":
            return {"existed": vault.remove(user, **expected)}
        case "users":
            return {"user_ids": list(vault.users())}
        case "verify":
            return outcomes(vault.verify(users))
        case "migrate":
            return outcomes(vault.migrate(users, **options))
        case "rewrap":
            return outcomes(vault.rewrap(users, dry_run=step.get("dry_run", False)))
        case "configure":
            given = (step.get("version"), step.get("encoding"))
            return {"changed": vault.configure(*given, history=step.get("history"))}
        case "leftovers":
            return {"leftovers": [asdict(leftover) for leftover in vault.leftovers()]}
        case "remove_backup":
            return {"existed": vault.remove_backup(step["name"])}
        case other:
            raise ValueError(f"there is no call {other}")


def credential(parts: dict[str, Any]) -> Credential:
    """The credential of a step."""
    fields = tuple(Field(**field) for field in parts.get("fields", []))
    return Credential(**{**parts, "fields": fields})


def outcomes(results: Sequence[Summary | Rewritten | MoatError]) -> list[dict[str, Any]]:
    """An answer for each user."""
    return [
        {"error": result.code} if isinstance(result, MoatError) else {"ok": asdict(result)}
        for result in results
    ]


def last_revision(answers: Any) -> str | None:
    """The last revision in some answers."""
    if isinstance(answers, dict):
        own = answers.get("revision")
        return own if isinstance(own, str) else last_revision(list(answers.values()))
    if isinstance(answers, list):
        found = (last_revision(part) for part in reversed(answers))
        return next((revision for revision in found if revision), None)
    return None


def main() -> None:
    """Goes through all cases, and prints what came of them."""
    cases, component, root = map(Path, sys.argv[1:])
    given = json.loads(cases.read_text(encoding="utf-8"))["cases"]
    results = [run(case, component, root) for case in given]
    print(json.dumps({"caller": "python", "cases": results}))


if __name__ == "__main__":
    main()
