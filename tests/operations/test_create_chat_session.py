"""Opening a chat session: once per request, and filed with it or not at all."""

from uuid import uuid4

import pytest

from casefile.errors import NotFound, RequestIdReused, SessionDeleted
from pydantic_models.operations import CreateChatSessionResponse
from tests.conftest import Invoke, stored


def test_it_answers_as_the_contract_says(invoke: Invoke) -> None:
    asked = invoke("create_chat_session", {"title": "Trip"}, timestamp="2026-03-04T05:06:07Z")
    answer = CreateChatSessionResponse.model_validate(asked)
    assert answer.payload.session_id.startswith("cs_260304_")
    assert answer.payload.tool_session_id is None


def test_a_retry_opens_no_second_session(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    request_id = str(uuid4())
    first = invoke("create_chat_session", {"casefile_id": casefile_id}, request_id=request_id)
    again = invoke("create_chat_session", {"casefile_id": casefile_id}, request_id=request_id)
    assert first == again
    assert len(stored()) == 2
    with pytest.raises(RequestIdReused):
        invoke("create_chat_session", {"title": "Other"}, request_id=request_id)


def test_a_late_retry_is_told_that_the_session_was_deleted(invoke: Invoke) -> None:
    request_id = str(uuid4())
    created = invoke("create_chat_session", {"title": "Trip"}, request_id=request_id)
    session_id = created["payload"]["session_id"]
    invoke("delete_chat_session", {"session_id": session_id, "confirm": True})
    with pytest.raises(SessionDeleted):
        invoke("create_chat_session", {"title": "Trip"}, request_id=request_id)


def test_one_request_id_may_open_one_session_of_each_kind(invoke: Invoke) -> None:
    request_id = str(uuid4())
    invoke("create_chat_session", request_id=request_id)
    invoke("create_session", request_id=request_id)
    assert len(stored()) == 2


def test_without_its_casefile_nothing_is_opened(invoke: Invoke) -> None:
    with pytest.raises(NotFound):
        invoke("create_chat_session", {"casefile_id": "cf_261121_nowhere"})
    assert stored() == []
