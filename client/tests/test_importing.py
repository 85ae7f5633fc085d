"""Conversations of other stores become sessions: in order, with their times, each message once.

The stores here are laid out as a run of the frameworks' own libraries left them.
"""

import json
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from hypothesis import strategies as st

import casefile
from casefile import importing
from casefile.adapters import _kept
from casefile.importing import (
    Conversation,
    Imported,
    Stored,
    import_conversations,
    read_langchain_table,
    read_openai_sqlite,
)
from dev import local_cloud
from dev.local_stack import Stack
from pydantic_models.canonical import ChatMessage, ChatMessagePayload

from .conftest import Run

LAYOUT = """
CREATE TABLE "agent_sessions" (
    session_id TEXT PRIMARY KEY,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE "agent_messages" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    message_data TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (session_id) REFERENCES "agent_sessions" (session_id) ON DELETE CASCADE
);
"""

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Where to?"},
    {
        "arguments": '{"city":"Lisbon"}',
        "call_id": "call_1",
        "name": "weather",
        "type": "function_call",
        "id": "fc_1",
        "status": "completed",
    },
    {"call_id": "call_1", "output": "sunny", "type": "function_call_output"},
    {
        "id": "msg_1",
        "content": [{"annotations": [], "text": "Lisbon is sunny.", "type": "output_text"}],
        "role": "assistant",
        "status": "completed",
        "type": "message",
    },
]


class Sqlite:
    """A file such as `SQLiteSession` writes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.database = sqlite3.connect(file)
        self.database.executescript(LAYOUT)

    def add(self, name: str | bytes, items: Sequence[Any], hour: int = 9) -> None:
        self.database.execute(
            "INSERT OR IGNORE INTO agent_sessions (session_id) VALUES (?)", (name,)
        )
        self.database.executemany(
            "INSERT INTO agent_messages (session_id, message_data, created_at) VALUES (?, ?, ?)",
            [
                (name, item if isinstance(item, str) else json.dumps(item), _time(hour, minute))
                for minute, item in enumerate(items)
            ],
        )
        self.database.commit()

    def drop_newest(self, name: str) -> None:
        """As `pop_item` does."""
        self.database.execute(
            "DELETE FROM agent_messages WHERE id = "
            "(SELECT max(id) FROM agent_messages WHERE session_id = ?)",
            (name,),
        )
        self.database.commit()


def _time(hour: int, minute: int) -> str:
    return f"2025-03-01 {hour:02}:{minute:02}:00"


@pytest.fixture
def sqlite(tmp_path: Path) -> Any:
    made = Sqlite(tmp_path / "conversations.db")
    yield made
    made.database.close()


@pytest.fixture
def name() -> str:
    return f"conversation-{uuid4()}"


def run(client: casefile.Client, source: Any) -> list[Imported]:
    return list(import_conversations(client, source))


def messages(client: casefile.Client, imported: Imported) -> list[ChatMessage]:
    assert imported.session_id is not None
    return list(client.chat_session(imported.session_id).messages())


def test_what_sqlite_holds_comes_in_order_with_its_times(
    ann: casefile.Client, sqlite: Sqlite, name: str
) -> None:
    sqlite.add(name, ITEMS)
    (told,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (told.name, told.recorded, told.already, told.error) == (name, 4, 0, None)
    found = messages(ann, told)
    assert [each.message_type.value for each in found] == ["user", "assistant", "tool", "assistant"]
    assert [each.content for each in found] == ["Where to?", "", "sunny", "Lisbon is sunny."]
    assert [each.metadata["imported"]["time"] for each in found] == [
        f"2025-03-01T09:0{minute}:00.000+00:00" for minute in range(4)
    ]
    assert found[1].tool_calls == [ITEMS[1]]
    assert _kept.kept_in(found[3], "openai-agents") == ITEMS[3]
    assert ann.chat_session(str(told.session_id)).read().message_count == 4


def test_again_nothing_is_recorded_twice_and_only_what_is_new_is_recorded(
    ann: casefile.Client, sqlite: Sqlite, name: str
) -> None:
    sqlite.add(name, ITEMS)
    (first,) = run(ann, read_openai_sqlite(sqlite.file))
    (again,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (again.session_id, again.recorded, again.already) == (first.session_id, 0, 4)
    sqlite.drop_newest(name)
    sqlite.add(name, [{"role": "user", "content": "Where to?"}], hour=10)  # said once more
    (grown,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (grown.recorded, grown.already) == (1, 3)
    assert [each.content for each in messages(ann, first)].count("Where to?") == 2


def test_what_another_file_holds_by_the_same_name_is_not_taken_for_what_was_imported(
    ann: casefile.Client, sqlite: Sqlite, name: str, tmp_path: Path
) -> None:
    other = Sqlite(tmp_path / "other.db")
    sqlite.add(name, ITEMS[:1])
    other.add(name, ITEMS[1:])
    run(ann, read_openai_sqlite(sqlite.file))
    (told,) = run(ann, read_openai_sqlite(other.file))
    other.database.close()
    assert (told.recorded, told.already) == (3, 0)
    assert len(messages(ann, told)) == 4


def test_one_that_breaks_off_goes_on_where_it_was(
    ann: casefile.Client, sqlite: Sqlite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the request took effect, and the answer was lost."""
    items = [{"role": "user", "content": str(number)} for number in range(12)]
    sqlite.add(name, items)
    record, made = casefile.ChatSession.record, []

    def breaking(self: casefile.ChatSession, *arguments: Any, **envelope: Any) -> Any:
        made.append(record(self, *arguments, **envelope))
        if len(made) in (1, 5, 6):
            raise casefile.Unreachable("unplugged")
        return made[-1]

    monkeypatch.setattr(casefile.ChatSession, "record", breaking)
    for _ in range(3):
        with pytest.raises(casefile.Unreachable):
            run(ann, read_openai_sqlite(sqlite.file))
    (told,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (told.recorded, told.already) == (6, 6)
    assert [each.content for each in messages(ann, told)] == [str(number) for number in range(12)]


def test_two_at_once_import_once(ann: casefile.Client, sqlite: Sqlite, name: str) -> None:
    items = [{"role": "user", "content": str(number)} for number in range(20)]
    sqlite.add(name, items)
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(run, ann, read_openai_sqlite(sqlite.file)) for _ in range(3)]
    (told,) = runs[0].result()
    assert all(each.result()[0].error is None for each in runs)
    assert [each.content for each in messages(ann, told)] == [str(number) for number in range(20)]


def test_what_is_no_item_is_kept_for_people_to_look_at(
    ann: casefile.Client, sqlite: Sqlite, name: str
) -> None:
    sqlite.add(name, ["{broken", "[1]", '{"role": "user", "content": NaN}'])
    (told,) = run(ann, read_openai_sqlite(sqlite.file))
    found = messages(ann, told)
    assert [each.content for each in found] == [
        "{broken",
        "[1]",
        '{"role": "user", "content": NaN}',
    ]
    assert {each.message_type.value for each in found} == {"error"}


@pytest.mark.parametrize(
    "text",
    [
        '{"role": "user", "content": "cut \\ud83d"}',
        '{"p": ' * 150 + "1" + "}" * 150,
        '{"content": ' + "[" * 100_000,
        '{"role": "user", "content": ' + "1" * 5000 + "}",
    ],
    ids=["half a character", "deep", "deeper than can be read", "a long number"],
)
def test_an_item_that_cannot_be_kept_as_one_is_kept_as_its_text(
    ann: casefile.Client, sqlite: Sqlite, name: str, text: str
) -> None:
    sqlite.add(name, [ITEMS[0], text, ITEMS[3]])
    (told,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (told.recorded, told.error, told.as_text) == (3, None, 1)
    _, odd, _ = messages(ann, told)
    assert (odd.content, odd.message_type.value) == (text, "error")
    (again,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (again.recorded, again.already, again.as_text) == (0, 3, 0)


def test_a_message_of_many_texts_is_imported_as_what_it_is(
    ann: casefile.Client, sqlite: Sqlite, name: str
) -> None:
    hits = [{"type": "input_text", "text": f"hit {number}"} for number in range(600)]
    items = [ITEMS[1], ITEMS[2] | {"output": hits}]
    sqlite.add(name, items)
    (told,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (told.recorded, told.error, told.as_text) == (2, None, 0)
    found = messages(ann, told)
    assert [_kept.kept_in(each, "openai-agents") for each in found] == items
    assert found[1].message_type.value == "tool"


def test_rows_are_imported_whatever_is_in_their_columns(
    ann: casefile.Client, sqlite: Sqlite, name: str
) -> None:
    said = json.dumps(ITEMS[0])
    sqlite.database.executescript(
        "DROP TABLE agent_messages; CREATE TABLE agent_messages "
        "(id INTEGER PRIMARY KEY, session_id TEXT, message_data TEXT, created_at TIMESTAMP)"
    )
    sqlite.add(name, [])
    rows = [
        (None, _time(9, 0)),
        (b"\xff", _time(9, 1)),
        (said.encode(), _time(9, 2)),
        (said, None),
        (said, 1_740_819_600),
        (said, "2025-03-01T14:05:00+05:00"),
    ]
    sqlite.database.executemany(
        "INSERT INTO agent_messages (session_id, message_data, created_at) VALUES (?, ?, ?)",
        [(name, *row) for row in rows],
    )
    sqlite.database.commit()
    (told,) = run(ann, read_openai_sqlite(sqlite.file))
    assert (told.recorded, told.error) == (6, None)
    found = messages(ann, told)
    assert [each.content for each in found] == ["", "\\xff", *["Where to?"] * 4]
    assert [each.message_type.value for each in found] == ["error"] * 2 + ["user"] * 4
    assert [each.metadata["imported"].get("time") for each in found] == [
        *(f"2025-03-01T09:0{minute}:00.000+00:00" for minute in range(3)),
        *(None, None, "2025-03-01T09:05:00.000+00:00"),
    ]


def test_a_conversation_is_found_whatever_its_name_is(sqlite: Sqlite) -> None:
    sqlite.add("a", ITEMS[:2])
    sqlite.add("a\\xff", ITEMS[:1])
    for table in ("agent_sessions", "agent_messages"):
        sqlite.database.execute(
            f"UPDATE {table} SET session_id = CAST(? AS TEXT) WHERE session_id = ?",
            (b"a\xff", "a\\xff"),
        )
    sqlite.add("b", ITEMS[:3])
    sqlite.add(b"\xfe", ITEMS[:1])
    found = [(each.name, len(each.messages)) for each in read_openai_sqlite(sqlite.file)]
    assert found == [("a", 2), ("a\\xff", 1), ("b", 3), ("b'\\xfe'", 1)]


def test_what_hinders_one_conversation_does_not_hinder_the_next(
    ann: casefile.Client, sqlite: Sqlite, name: str
) -> None:
    sqlite.add(f"{name}-closed", ITEMS[:1])
    (first,) = run(ann, read_openai_sqlite(sqlite.file))
    ann.chat_session(str(first.session_id)).close()
    sqlite.add(f"{name}-closed", ITEMS[1:])
    sqlite.add(name, ITEMS)
    hindered, told = run(ann, read_openai_sqlite(sqlite.file))
    assert isinstance(hindered.error, casefile.SessionClosed)
    assert (hindered.already, hindered.recorded) == (1, 0)
    assert (told.recorded, told.error) == (4, None)
    ann.chat_session(str(told.session_id)).delete()
    _, deleted = run(ann, read_openai_sqlite(sqlite.file))
    assert isinstance(deleted.error, casefile.NotFound)
    assert deleted.recorded == 0


def test_the_file_is_only_read_and_must_be_there(tmp_path: Path, sqlite: Sqlite) -> None:
    with pytest.raises(sqlite3.OperationalError):
        list(read_openai_sqlite(tmp_path / "missing.db"))
    assert not (tmp_path / "missing.db").exists()
    before = sqlite.file.read_bytes()
    assert list(read_openai_sqlite(sqlite.file)) == []
    assert sqlite.file.read_bytes() == before


SAID: list[dict[str, Any]] = [
    {
        "type": "human",
        "data": {
            "content": "Where to?",
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "human",
            "name": None,
            "id": None,
        },
    },
    {
        "type": "ai",
        "data": {
            "content": "",
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "ai",
            "name": None,
            "id": None,
            "tool_calls": [
                {"name": "weather", "args": {"days": 3}, "id": "call_1", "type": "tool_call"}
            ],
            "invalid_tool_calls": [],
            "usage_metadata": None,
        },
    },
    {
        "type": "tool",
        "data": {
            "content": "sunny",
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "tool",
            "name": None,
            "id": None,
            "tool_call_id": "call_1",
            "artifact": None,
            "status": "success",
        },
    },
]


@pytest.fixture
def table(stack: Stack) -> Any:
    root = local_cloud.ROOT_CREDENTIALS
    dynamodb = boto3.resource(
        "dynamodb",
        endpoint_url=stack.endpoint,
        region_name=local_cloud.REGION,
        aws_access_key_id=root["AccessKeyId"],
        aws_secret_access_key=root["SecretAccessKey"],
    )
    made = dynamodb.create_table(
        TableName=f"History-{uuid4()}",
        KeySchema=[{"AttributeName": "SessionId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "SessionId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield made
    made.delete()


def test_what_a_langchain_table_holds_comes_in_order_and_once(
    ann: casefile.Client, table: Any, name: str
) -> None:
    table.put_item(Item={"SessionId": name, "History": SAID})
    (told,) = run(ann, read_langchain_table(table))
    assert (told.name, told.recorded) == (name, 3)
    found = messages(ann, told)
    assert [each.message_type.value for each in found] == ["user", "assistant", "tool"]
    assert [each.content for each in found] == ["Where to?", "", "sunny"]
    kept = found[1].tool_calls[0]
    assert kept["tool_calls"] == SAID[1]["data"]["tool_calls"]
    assert type(kept["tool_calls"][0]["args"]["days"]) is int
    assert found[0].tool_calls[0]["content"] == ""  # It is the message's own.
    # It grows, and LangChain's history_size makes it forget the first.
    table.put_item(Item={"SessionId": name, "History": [*SAID[1:], SAID[0]]})
    (grown,) = run(ann, read_langchain_table(table))
    assert (grown.session_id, grown.recorded, grown.already) == (told.session_id, 1, 2)
    assert [each.content for each in messages(ann, told)] == ["Where to?", "", "sunny", "Where to?"]


def test_what_cannot_be_kept_of_one_conversation_does_not_hinder_the_next(
    ann: casefile.Client, name: str
) -> None:
    odd = {"type": "human", "data": {"content": "cut \ud83d"}}

    class Scanned:
        name = "History"

        def scan(self, **_: Any) -> dict[str, Any]:
            items = [("odd", [SAID[0], odd]), ("next", [SAID[0], SAID[2]])]
            return {"Items": [{"SessionId": name + n, "History": told} for n, told in items]}

    first, second = run(ann, read_langchain_table(Scanned()))
    assert (first.recorded, first.error, first.as_text) == (2, None, 1)
    assert "cut \\ud83d" in messages(ann, first)[1].content
    assert (second.recorded, second.error, second.as_text) == (2, None, 0)


def test_a_file_is_imported_from_the_command_line(
    ann_runs: Run, sqlite: Sqlite, tmp_path: Path, ann: casefile.Client, name: str
) -> None:
    command = ["import", "openai-sqlite", str(sqlite.file)]
    folder = ann.casefiles.create("Moved")
    sqlite.add(name, ITEMS)
    sqlite.add(f"{name}!", ["gone"])
    first = ann_runs(*command, "--casefile", folder.casefile_id)
    assert f"{name}: 4 recorded, 0 already there\n" in first.out
    assert f"{name}!: 1 recorded, 0 already there, 1 as texts" in first.out
    assert (first.code, first.out.splitlines()[-1]) == (0, "Imported 5 messages.")
    sqlite.add(name, ["late"])
    again = ann_runs(*command, "--casefile", folder.casefile_id, "--json").out.splitlines()
    told = {each["name"]: each for each in map(json.loads, again)}
    assert (told[name]["recorded"], told[name]["already"], told[name]["error"]) == (1, 4, None)
    assert len(list(folder.sessions())) == 2
    shown = ann_runs("show", told[name]["session_id"]).out
    assert 'calls {"arguments"' in shown
    assert '"role"' not in shown  # What says something, is not shown as a call, too.
    # Of a conversation whose session is closed the rest is left out, and the others come.
    ann.chat_session(told[name]["session_id"]).close()
    sqlite.add(name, ["later"])
    sqlite.add(f"{name}!", ["more"])
    partly = ann_runs(*command, "--casefile", folder.casefile_id)
    assert partly.code == 1
    assert "closed" in partly.err
    assert f"{name}!: 1 recorded, 1 already there" in partly.out

    other = tmp_path / "other.db"
    sqlite3.connect(other).close()
    refused = ann_runs("import", "openai-sqlite", str(other))
    assert (refused.code, "no such table: agent_sessions" in refused.err) == (2, True)
    assert ann_runs("import", "openai-sqlite", str(tmp_path / "none.db")).code == 2


def test_a_table_is_imported_from_the_command_line(
    ann_runs: Run, table: Any, name: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = local_cloud.ROOT_CREDENTIALS
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", root["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", root["SecretAccessKey"])
    odd = ["no message", {"type": "human", "data": {"content": Binary(b"\xff")}}]
    table.put_item(Item={"SessionId": name, "History": [*SAID, *odd]})
    where = ["--endpoint-url", stack.endpoint, "--region", "us-east-1"]
    command = ["import", "langchain-dynamodb", table.name, *where]
    first = ann_runs(*command)
    assert (first.code, first.out.splitlines()[-1]) == (0, "Imported 5 messages.")
    session = first.out.split()[0]
    last, binary = map(json.loads, ann_runs("show", session, "--json").out.splitlines()[-2:])
    assert (last["message_type"], last["content"]) == ("error", '"no message"')
    assert binary["content"] == "/w=="
    assert ann_runs(*command).out.endswith("Imported 0 messages.\n")
    command[2] = "nothing-there"
    refused = ann_runs(*command)
    assert (refused.code, "nothing-there" in refused.err) == (2, True)


def conversation(said: Sequence[str]) -> Conversation:
    message = ChatMessagePayload(content="", message_type="user")
    return Conversation("store", "name", [Stored(each, message) for each in said])


def imported(present: list[UUID], said: Sequence[str]) -> int:
    """Import what is said on top of what is present; how many were recorded."""
    _, missing = importing._missing(conversation(said), present)
    present += [request_id for request_id, _ in missing]
    assert len(set(present)) == len(present)
    return len(missing)


@given(st.lists(st.lists(st.sampled_from("ab"), max_size=6), max_size=6))
def test_a_store_that_only_grows_is_imported_exactly_once_however_alike_its_messages(
    parts: list[list[str]],
) -> None:
    present: list[UUID] = []
    said: list[str] = []
    for part in parts:
        said += part
        assert imported(present, said) == len(part)
        assert imported(present, said) == 0


@given(st.integers(1, 5), st.lists(st.integers(0, 5), max_size=8))
def test_a_store_that_forgets_its_oldest_messages_is_imported_once(
    window: int, steps: list[int]
) -> None:
    present: list[UUID] = []
    total = 0
    for step in steps:
        total += step
        held = [str(number) for number in range(max(0, total - window), total)]
        assert imported(present, held) == min(step, window)


@pytest.mark.parametrize(
    ("before", "held", "new"),
    [
        ("aba", "bac", 1),
        ("abc", "bca", 1),
        ("ab", "cd", 2),
        ("aab", "ab", 0),
        ("abcab", "cabab", 2),
    ],
)
def test_what_is_held_is_found_where_it_was_imported(before: str, held: str, new: int) -> None:
    present: list[UUID] = []
    imported(present, before)
    assert imported(present, held) == new
