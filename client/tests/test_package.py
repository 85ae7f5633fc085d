"""What is built installs anywhere, brings the models, and needs httpx and pydantic alone."""

import inspect
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import casefile

CLIENT = Path(__file__).parents[1]

TRIAL = """
import json, sys, httpx, casefile
from pydantic_models.operations import CreateSessionResponse
answer = {"status": "completed", "payload": {"session_id": "ts_251013_tool001", "created_at": ""}}
def handle(request):
    request_id = json.loads(request.content)["request_id"]
    return httpx.Response(201, json=answer | {"request_id": request_id})
http = httpx.Client(transport=httpx.MockTransport(handle))
with casefile.Client("http://pretended.invalid", "token", http=http) as client:
    print(client.tool_sessions.create("Trip").session_id)
assert not {"boto3", "botocore", "typer", "rich", "aws_lambda_powertools"} & set(sys.modules)
"""


PUBLIC = [getattr(casefile, name) for name in casefile.__all__]


@pytest.mark.parametrize("public", PUBLIC, ids=casefile.__all__)
def test_hints_can_be_read_while_it_runs(public: Any) -> None:
    """Frameworks make tools of functions by them."""
    get_type_hints(public)
    for _, each in [("", public), *inspect.getmembers(public)]:
        if inspect.isfunction(each) and each.__module__.startswith("casefile."):
            assert get_type_hints(each).keys() == each.__annotations__.keys()
            inspect.signature(each, eval_str=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution, which knows no layers/models."""
    target = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target)]
    subprocess.run([*build, str(CLIENT)], check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_the_client_and_the_models_and_nothing_else(wheel: Path) -> None:
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    assert {name.parts[0] for name in names if not name.parts[0].endswith(".dist-info")} == {
        "casefile",
        "pydantic_models",
    }
    for package in ("casefile", "pydantic_models"):
        folder = (CLIENT / package).resolve()
        ours = {
            package / path.relative_to(folder)
            for path in folder.rglob("*")
            if path.suffix == ".py" or path.name == "py.typed"
        }
        assert {name for name in names if name.parts[0] == package} == ours


def test_it_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = str(tmp_path / "env/bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", str(wheel)], check=True)
    tried = subprocess.run(
        [python, "-W", "error", "-c", TRIAL], capture_output=True, text=True, cwd=tmp_path
    )
    assert (tried.stdout, tried.stderr) == ("ts_251013_tool001\n", "")
    lacking = subprocess.run(
        [python, "-m", "casefile", "list"], capture_output=True, text=True, cwd=tmp_path
    )
    assert lacking.returncode == 1
    assert "casefile-client[cli]" in lacking.stderr
