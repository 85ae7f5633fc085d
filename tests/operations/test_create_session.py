"""Opening a tool session: once per request, and filed with it or not at all."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid1, uuid4, uuid5

import pytest

from casefile import creation
from casefile.errors import BadRequest, NotFound, RequestIdReused
from pydantic_models.base import times
from pydantic_models.operations import CreateSessionResponse
from tests.conftest import Invoke, forget, stored, uuid7


def test_it_answers_as_the_contract_says(invoke: Invoke) -> None:
    answer = CreateSessionResponse.model_validate(invoke("create_session", {"title": "Trip"}))
    today = datetime.now(UTC)
    assert answer.payload.session_id.startswith(f"ts_{today:%y%m%d}_")
    assert answer.payload.casefile_id is None
    assert answer.payload.created_at.endswith("+00:00")
    assert len(stored()) == 1


def test_a_retry_opens_no_second_session(invoke: Invoke) -> None:
    request = {"request_id": str(uuid4()), "timestamp": "2026-01-31T23:59:59.999Z"}
    first = invoke("create_session", {"title": "Trip"}, **request)
    forget()
    assert invoke("create_session", {"title": "Trip"}, **request) == first
    assert first["payload"]["session_id"].startswith("ts_260131_")
    assert len(stored()) == 1


def test_the_time_in_a_version_7_id_dates_the_session(invoke: Invoke) -> None:
    milliseconds = int(datetime(2026, 2, 3, tzinfo=UTC).timestamp() * 1000)
    request_id = f"{milliseconds:012x}"
    request_id = f"{request_id[:8]}-{request_id[8:]}-7abc-8abc-0123456789ab"
    first = invoke("create_session", request_id=request_id)
    assert first["payload"]["session_id"].startswith("ts_260203_")
    assert invoke("create_session", request_id=request_id) == first


def test_the_same_id_for_another_request_is_refused(invoke: Invoke) -> None:
    request = {"request_id": str(uuid4()), "timestamp": "2026-01-31T12:00:00Z"}
    invoke("create_session", {"title": "Trip"}, **request)
    with pytest.raises(RequestIdReused, match="different request"):
        invoke("create_session", {"title": "Another trip"}, **request)
    with pytest.raises(RequestIdReused):
        invoke("create_session", {"title": "Trip"}, **request, metadata={"a": 1})


def test_two_users_may_use_the_same_request_id(invoke: Invoke) -> None:
    request = {"request_id": str(uuid4())}
    ann, bob = (
        invoke("create_session", user=f"{name}@example.com", **request)["payload"]["session_id"]
        for name in ("ann", "bob")
    )
    assert ann != bob


def test_with_a_casefile_it_is_filed_in_the_same_step(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Lisbon"})["payload"]["casefile_id"]
    request = {"request_id": str(uuid4())}
    first = invoke("create_session", {"casefile_id": casefile_id.upper()}, **request)
    assert first["payload"]["casefile_id"] == casefile_id
    assert invoke("create_session", {"casefile_id": casefile_id}, **request) == first
    casefile = invoke("get_casefile", {"casefile_id": casefile_id})["payload"]["casefile"]
    assert casefile["session_ids"] == [first["payload"]["session_id"]]
    assert casefile["session_count"] == 1


@pytest.mark.parametrize("owner", [None, "bob@example.com"])
def test_without_that_casefile_nothing_is_opened(invoke: Invoke, owner: str | None) -> None:
    casefile_id = "cf_261121_nowhere"
    if owner:
        answer = invoke("create_casefile", {"title": "Hers"}, user=owner)
        casefile_id = answer["payload"]["casefile_id"]
    before = stored()
    with pytest.raises(NotFound, match=f"no casefile {casefile_id}, or you may not see it"):
        invoke("create_session", {"casefile_id": casefile_id})
    assert stored() == before


AHEAD = [
    {"timestamp": "2999-01-01T00:00:00Z"},
    {"request_id": "ffffffff-ffff-7fff-8fff-ffffffffffff"},
    {"request_id": "11111111-1111-7111-8111-111111111111", "timestamp": "2026-11-22T00:00:00Z"},
]


@pytest.mark.parametrize("dated", AHEAD)
def test_a_request_from_the_future_is_refused(invoke: Invoke, dated: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="in the future"):
        invoke("create_session", **dated)
    assert stored() == []


@pytest.mark.parametrize(
    "request_id", [UUID(int=0), UUID(int=2**128 - 1), uuid1(), uuid5(UUID(int=0), "step 1")]
)
def test_an_id_that_tells_no_time_may_be_any(invoke: Invoke, request_id: UUID) -> None:
    assert invoke("create_session", request_id=str(request_id))["request_id"] == str(request_id)


def test_a_uuid7_dates_the_session_whenever_it_arrives(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its maker's clock is a second ahead of ours, where a day ends just now."""
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    made = {"request_id": str(uuid7(midnight, 0))}
    answers = []
    for at in (midnight - timedelta(seconds=1), midnight + timedelta(seconds=4)):
        for module in (times, creation):
            monkeypatch.setattr(module, "now", lambda at=at: at)
        answers.append(invoke("create_session", **made))
    assert answers[0]["payload"]["session_id"].startswith("ts_261122_")
    assert answers[0] == answers[1]
    made = {"request_id": str(uuid7(midnight, 1)), "timestamp": "2026-11-20T12:00:00Z"}
    assert invoke("create_session", **made)["payload"]["session_id"].startswith("ts_261120_")


def test_metadata_is_of_modest_size(invoke: Invoke) -> None:
    invoke("create_session", metadata={"v": "x" * 15_900})
    with pytest.raises(BadRequest, match="metadata: longer than 16000 bytes"):
        invoke("create_session", metadata={"v": "🧳" * 4_000})
    assert len(stored()) == 1
