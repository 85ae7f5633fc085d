"""What is deployed is complete and light: a function needs its own zip, the layer and boto3."""

import importlib.metadata
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dev import packages
from tests.conftest import FUNCTIONS, OPERATIONS, PAGES
from tests.template import ROOT, template

FORBIDDEN = {
    "asyncio",
    "aws_lambda_powertools.utilities.batch",
    "boto3",
    "botocore.client",
    "botocore.exceptions",
    "botocore.session",
    "concurrent.futures",
    "http.client",
    "urllib3",
}
"""What no operation needs to start."""

RECORDING = {"chat", "tool_execution", "tool_result"}
MAX_MEGABYTES = 35
"""Of memory, when an operation that records has started: bare boto3 takes a third more."""

DEPLOYED_WITH = template()["Globals"]["Function"]["Environment"]["Variables"]

_TELL_PEAK = """
import os
if not os.path.exists("/proc/self/status"):
    print(0)
else:
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""

HOMES = {
    "casefiles": "casefile|hold",
    "chat_messages": "chat$|rewind",
    "chat_sessions": "chat_session",
    "lists": "list|casefile|hold",
    "pages": "list_tool_|list_chat_|export_",
    "permissions": "permission",
    "session_changes": "update",
    "tool_requests": "tool_",
    "tool_sessions": "session",
    "uploads": "upload",
    "users": "erase",
}
"""The modules of the contract's operations, and whose they are, by parts of the names."""


def _others(operation: str) -> set[str]:
    return {module for module, names in HOMES.items() if not re.search(names, operation)}


def unpack(package: packages.Package, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(package.make())) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = packages.of_layer(ROOT / "layers/models", Path(sys.executable))
    return unpack(made, tmp_path_factory.mktemp("layer")) / "python"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's own runtime brings: boto3 and what that needs."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in (
        "boto3",
        "botocore",
        "s3transfer",
        "jmespath",
        "python-dateutil",
        "six",
        "urllib3",
    ):
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if not top.startswith("..") and not top.endswith(".dist-info"):
                place = folder / top
                if not place.exists():
                    place.symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    return folder


@pytest.mark.parametrize("operation", FUNCTIONS)
def test_a_function_starts_with_the_layer_and_boto3_alone_and_imports_what_it_needs(
    layer: Path, runtime: Path, tmp_path: Path, operation: str
) -> None:
    code = unpack(packages.of_function(ROOT / "functions" / operation), tmp_path)
    program = (
        f"import sys; sys.path[:0] = {[str(code), str(layer), str(runtime)]!r}; import handler"
        f"{_TELL_PEAK}print(getattr(handler.handle, 'name', None), *sys.modules)"
    )
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": operation,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PATH": os.defpath,
        **{name: value for name, value in DEPLOYED_WITH.items() if isinstance(value, str)},
    }

    def start(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    started = start(TABLE_NAME="table", BUCKET_NAME="bucket")
    assert started.returncode == 0, started.stderr
    kilobytes, name, *imported = started.stdout.split()
    if operation in OPERATIONS:
        assert operation not in RECORDING or int(kilobytes) <= MAX_MEGABYTES * 1024, kilobytes
        assert name == operation
        assert not FORBIDDEN.intersection(imported)
        others = {f"pydantic_models.operations.{module}" for module in _others(operation)}
        assert not others.intersection(imported)
    if operation in PAGES:  # What they serve lies beside them.
        return
    unconfigured = start()
    assert unconfigured.returncode != 0
    assert "TABLE_NAME" in unconfigured.stderr


def test_the_layer_is_compiled_and_small(layer: Path) -> None:
    sources = [path for path in layer.rglob("*.py") if "casefile" in path.parts]
    assert sources
    for source in sources:
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source
    assert sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) < 40 * 2**20
