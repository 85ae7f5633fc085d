"""The site of the pages in docs/, as Sphinx makes it. What it warns of, it fails for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dev import environments
from dev.console import Problem

FOLDER = environments.LOCAL / "site"


def build(python: Path, folder: Path = FOLDER) -> Path:
    """Make the site in a folder; return its first page. Raises Problem with Sphinx's warnings."""
    options = ["-q", "-E", "-W", "--keep-going", "-b", "html"]
    command = [str(python), "-m", "sphinx", *options, str(environments.ROOT / "docs"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{done.stdout}{done.stderr}\nThe site was not made.")
    return folder / "index.html"
