"""The OpenAPI document in the repository is the one that the operations make."""

import pytest

from dev import openapi
from tests.conftest import OPERATIONS


def test_it_is_current() -> None:
    assert openapi.FILE.read_text() == openapi.text(), "make openapi writes it anew"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_tells_of_every_operation_how_to_call_it(operation: str) -> None:
    (found,) = (
        method
        for item in openapi.document()["paths"].values()
        for method in item.values()
        if method["operationId"] == operation
    )
    assert found["summary"]
    assert found["description"]
    assert {"400", "401", "403", "404", "429", "500", "503"} < set(found["responses"])
    assert any(status.startswith("2") for status in found["responses"])
