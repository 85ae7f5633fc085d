"""The command line: `casefile --help`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run it, or say what it lacks."""
    try:
        from . import commands
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "platformdirs"}:
            raise
        sys.exit("The command line needs more packages: pip install 'casefile-client[cli]'")
    commands.main()
