"""template.yaml as the tests read it."""

import functools
from pathlib import Path
from typing import Any

from dev.template import load

ROOT = Path(__file__).parents[1]


@functools.cache
def template() -> dict[str, Any]:
    """The whole template, to be read and not changed."""
    return load(ROOT / "template.yaml")


def camel(function: str) -> str:
    """The logical name of the function in a folder."""
    return "".join(word.capitalize() for word in function.split("_"))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Logical names to properties of the resources of one type."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }
