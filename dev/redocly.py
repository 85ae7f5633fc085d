"""Redocly CLI, the linter of OpenAPI documents, from npm."""

from __future__ import annotations

import json
from pathlib import Path

from dev import node

VERSION = "2.77.0"


def prepare() -> Path:
    """Install it if need be; return its script. Raises Problem."""
    return node.install("@redocly/cli", VERSION, "a linter of OpenAPI documents") / "bin/cli.js"


def lint(document: Path) -> list[str]:
    """What is wrong with a document, by all recommended rules."""
    arguments = ["lint", str(document), "--extends=recommended-strict", "--format=json"]
    done = node.run(prepare(), arguments)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return [f"Redocly did not work: {done.stdout}{done.stderr}"]
    return [
        f"{problem['ruleId']}: {problem['message']} {problem['location'][0].get('pointer', '')}"
        for problem in found["problems"]
    ]
