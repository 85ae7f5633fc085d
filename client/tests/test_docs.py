"""What docs/client.md shows does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev.local_stack import Stack

from .conftest import ROOT, SignIn

PAGE = ROOT / "docs/client.md"


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S))


@pytest.mark.parametrize("language", ["python", "sh"])
def test_what_the_page_shows_runs(
    language: str, stack: Stack, sign_in: SignIn, tmp_path: Path
) -> None:
    program = blocks(language).replace("/tmp/", f"{tmp_path}/")
    command = {"python": [sys.executable, "-c"], "sh": ["sh", "-eux", "-c"]}[language]
    variables = {
        **os.environ,
        "CASEFILE_URL": stack.url,
        "CASEFILE_TOKEN": sign_in("ann@client.example"),
        "XDG_CONFIG_HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran = subprocess.run([*command, program], env=variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    shown = {"python": "session_closed", "sh": "It holds"}
    assert shown[language] in ran.stdout
