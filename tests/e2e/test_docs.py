"""What the documentation tells to type works: its shell and Python blocks, in order, page by page.

A block that can't be run here (it takes an AWS account, say) is skipped by a comment above it that
says why: `<!--- skip: next "reason" --->`.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from dev import environments
from dev.local_stack import Stack

ROOT = environments.ROOT
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]

# Each block goes on where the one before it was: with its variables, its functions, its folder. And
# curl fails if the answer is a failure, which it otherwise only shows. (Bash declares read-only
# variables of its own, which can't be declared again.)
SHELL = """
set -euo pipefail
[ ! -f ../state ] || . ../state
curl() { command curl --fail-with-body "$@"; }
. ../block
{ declare -p | grep -v '^declare -[A-Za-z]*r'; declare -f; } > ../state
env -0 > ../variables
"""

# The same for Python: one console for all blocks of a page, which gets what the shell exports.
CONSOLE = """
import contextlib, io, json, os, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    asked, said, failed = json.loads(line), io.StringIO(), False
    os.environ.update(asked["variables"])
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            exec(compile(asked["block"], "the block", "exec"), names)
        except BaseException:
            traceback.print_exc()
            failed = True
    print(json.dumps([failed, said.getvalue()]), flush=True)
"""


class Reader:
    """Somebody who types what a page says, in a folder of their own."""

    def __init__(self, folder: Path, variables: dict[str, str], console: subprocess.Popen[str]):
        self.folder = folder
        self.variables = variables
        self.console = console

    def type_in_shell(self, example: Example) -> None:
        (self.folder.parent / "block").write_text(str(example.parsed))
        done = subprocess.run(
            ["bash", "-c", SHELL],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, self._told(example, done.stdout + done.stderr)

    def type_in_python(self, example: Example) -> None:
        left = self.folder.parent / "variables"
        said = left.read_text().split("\0")[:-1] if left.exists() else []
        variables = dict(variable.split("=", 1) for variable in said)
        asked = {"block": str(example.parsed), "variables": variables}
        assert self.console.stdin is not None
        assert self.console.stdout is not None
        print(json.dumps(asked), file=self.console.stdin, flush=True)
        failed, said = json.loads(self.console.stdout.readline())
        assert not failed, self._told(example, said)

    def _told(self, example: Example, said: str) -> str:
        return f"{example.path}, line {example.line}:\n{example.parsed}\n{said}"


@pytest.fixture
def reader(stack: Stack, tmp_path: Path) -> Iterator[Reader]:
    if not (shutil.which("bash") and shutil.which("curl")):
        pytest.skip("what the pages tell to type takes bash and curl")
    python = environments.prepare(environments.CLIENT)
    token = stack.token("you@example.com")
    variables = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        "URL": stack.url,
        "TOKEN": token,
        "CASEFILE_URL": stack.url,  # as the command line looks for them
        "CASEFILE_TOKEN": token,
    }
    folder = tmp_path / "work"
    folder.mkdir()
    with subprocess.Popen(
        [str(python), "-c", CONSOLE],
        cwd=folder,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as console:
        yield Reader(folder, variables, console)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_type_works(page: str, reader: Reader) -> None:
    sybil = Sybil(
        parsers=[
            SkipParser(),
            CodeBlockParser("sh", reader.type_in_shell),
            CodeBlockParser("python", reader.type_in_python),
        ]
    )
    examples = list(sybil.parse(ROOT / page).examples())
    blocks = re.findall(r"^```(?:sh|python)$", (ROOT / page).read_text(), re.M)
    assert len(examples) >= len(blocks)
    for example in examples:
        try:
            example.evaluate()
        except SkipTest:
            continue  # of this block alone; the page says why
