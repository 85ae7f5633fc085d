"""An agent starts with what it uses: the rest is loaded when it is first asked for."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Annotated, Any

import pytest
from pydantic import BeforeValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema

import casefile
from casefile.operations import OPERATIONS
from pydantic_models.base.model import Model

CLIENT = """
import json, sys, httpx
from casefile import Client
def handle(request):
    answer = {"session_id": "cs_1", "created_at": ""}
    if request.url.path.endswith("/messages"):
        told = {"message_id": "1", "user_id": "ann", "record": 1, "position": 0, "index": 0}
        said = json.loads(request.content)["payload"]["messages"][0]
        answer = {"session_id": "cs_1", "record": 1, "recorded_at": ""}
        answer["message"] = {**told, "timestamp": "", **said}
    request_id = json.loads(request.content)["request_id"]
    told = {"status": "completed", "request_id": request_id, "payload": answer}
    return httpx.Response(201, json=told)
http = httpx.Client(transport=httpx.MockTransport(handle))
client = Client("http://pretended.invalid", "token", http=http)
"""

FORBIDDEN = {
    "asyncio",
    "boto3",
    "botocore",
    "casefile.adapters",
    "casefile.buffer",
    "casefile.cli",
    "casefile.importing",
    "sqlite3",
    "typer",
}
"""What no Client needs to start."""

ASYNCHRONOUS = {"casefile._async", "casefile._async.client"}

OF = "pydantic_models.operations."
"""What the models of operations are in."""


def loaded(program: str) -> set[str]:
    """The modules that a program has loaded when it ends."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.split())


def test_a_client_starts_without_what_only_others_need_and_without_operations() -> None:
    modules = loaded(CLIENT)
    assert not (FORBIDDEN | ASYNCHRONOUS) & modules
    assert not {name for name in modules if name.startswith((OF, "pydantic_models.views."))}


def test_a_first_message_loads_the_operations_of_chats_alone() -> None:
    modules = loaded(f"{CLIENT}client.chat_sessions.create('Talk').say('Hello')")
    assert not (FORBIDDEN | ASYNCHRONOUS) & modules
    assert {name for name in modules if name.startswith(OF)} == {
        f"{OF}answers",
        f"{OF}chat_messages",
        f"{OF}chat_sessions",
    }


@pytest.mark.parametrize("adapter", ["langchain", "openai_agents", "pydantic_ai", "strands"])
def test_an_adapter_starts_without_the_asynchronous_half(adapter: str) -> None:
    modules = loaded(f"import casefile.adapters.{adapter}")
    assert not (ASYNCHRONOUS | {"casefile.buffer", "casefile.importing"}) & modules


def test_every_public_name_is_found_and_no_other() -> None:
    everything: dict[str, Any] = {}
    exec("from casefile import *", everything)
    assert set(casefile.__all__) <= everything.keys()
    assert set(casefile.__all__) <= set(dir(casefile))
    with pytest.raises(ImportError, match="Bufer"):
        exec("from casefile import Bufer")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_finds_the_models_of_its_name(name: str) -> None:
    request, response = OPERATIONS[name].envelopes()
    assert request.model_fields["operation"].default == name
    assert request.model_fields["payload"].annotation is OPERATIONS[name].payload_type
    assert response.__name__ == request.__name__.removesuffix("Request") + "Response"


def test_threads_may_be_the_first_to_use_a_model_together() -> None:
    made = 0

    class Slow:
        @classmethod
        def __get_pydantic_core_schema__(
            cls, source: Any, handle: GetCoreSchemaHandler
        ) -> CoreSchema:
            nonlocal made
            made += 1
            time.sleep(0.05)
            return handle(int)

    class Thing(Model):
        number: Annotated[int, BeforeValidator(int), Slow]

    together = Barrier(4)

    def use(number: int) -> int:
        together.wait()
        return Thing(number=number).number

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(use, range(4))) == [0, 1, 2, 3]
    assert made == 1
