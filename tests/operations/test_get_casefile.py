"""Reading a casefile: what it is about, whose it is, and its sessions."""

import pytest

from casefile.errors import NotFound
from pydantic_models.operations import GetCasefileResponse
from tests.conftest import Invoke


def test_it_shows_the_whole_casefile(invoke: Invoke) -> None:
    about = {"title": "Lisbon", "description": "Größe, 大小, 🧳", "tags": ["travel", "2026"]}
    casefile_id = invoke("create_casefile", about)["payload"]["casefile_id"]
    filed = [
        invoke(f"create_{kind}", {"casefile_id": casefile_id})["payload"]["session_id"]
        for kind in ("session", "chat_session", "session")
    ]
    answer = GetCasefileResponse.model_validate(
        invoke("get_casefile", {"casefile_id": casefile_id})
    )
    casefile = answer.payload.casefile
    assert casefile.metadata.model_dump(include=set(about)) == about
    assert casefile.metadata.created_by == casefile.acl.owner_id == "ann@example.com"
    assert sorted(casefile.session_ids) == sorted(filed)
    assert casefile.session_count == 3


def test_another_users_casefile_looks_like_a_missing_one(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    with pytest.raises(NotFound) as theirs:
        invoke("get_casefile", {"casefile_id": casefile_id}, user="bob@example.com")
    with pytest.raises(NotFound) as missing:
        invoke("get_casefile", {"casefile_id": "cf_261121_none"})
    assert str(theirs.value).replace(casefile_id, "cf_261121_none") == str(missing.value)
