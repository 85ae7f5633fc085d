"""Rewinding against a plain list: whoever reads, however, finds the messages that the list has.

Two instances write one chat, each with a memory of its own; others come in between their looks and
their writes. One who follows it applies each page to a list of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar
from unittest import mock
from uuid import uuid4

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from casefile import dynamodb, reading, records, session_log, standing
from casefile.errors import NotStanding
from pydantic_models.canonical.record import Record, RecordKind, Totals
from tests.conftest import BUCKET, Context, empty_aws, forget, load

Messages = list[dict[str, Any]]


class Chat(RuleBasedStateMachine):
    """Marks of two, pages of few, and a list."""

    sent = Bundle("sent")
    known = Bundle("known")
    instances = st.integers(min_value=0, max_value=1)
    environment: ClassVar[dict[str, str]] = {
        "DYNAMODB_CLIENT": "boto3",
        "TABLE_NAME": "casefile-test",
        "BUCKET_NAME": BUCKET,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def __init__(self) -> None:
        super().__init__()
        self.patches = ExitStack()
        for patch in (
            mock.patch.dict("os.environ", self.environment),
            empty_aws(),
            mock.patch.object(standing, "MAX_MARKS", 2),
            mock.patch.object(reading, "PAGE", 2),
            mock.patch.object(session_log, "FIRST_PAGE", 3),
            mock.patch("time.sleep"),
        ):
            self.patches.enter_context(patch)
        forget()
        self.memories: list[dict[str, session_log.Memory]] = [{}, {}]
        self.session_id = self.do("create_chat_session")["session_id"]
        self.expected: Messages = []
        self.recorded = self.rewindings = 0
        self.answers: dict[str, Any] = {}
        self.mine: Messages = []
        self.after = 0

    def teardown(self) -> None:
        self.patches.close()
        forget()

    def do(self, name: str, request_id: str | None = None, **payload: Any) -> dict[str, Any]:
        envelope = {"user_id": "ann@example.com", "operation": name, "payload": payload}
        envelope |= {"request_id": request_id or str(uuid4())}
        answer: dict[str, Any] = load(name)(envelope, Context())["payload"]
        return answer

    @contextmanager
    def instance(self, number: int) -> Iterator[None]:
        """Be one of the instances."""
        before = dict(session_log._memories)
        self._remember(self.memories[number])
        yield
        self.memories[number] = dict(session_log._memories)
        self._remember(before)

    def _remember(self, memory: dict[str, session_log.Memory]) -> None:
        session_log._memories.clear()
        session_log._memories.update(memory)

    @contextmanager
    def overtaking(self, by: int, steps: list[str]) -> Iterator[None]:
        """Let another instance take steps before our first write."""
        create = dynamodb.create

        def overtaken(item: Any) -> None:
            with mock.patch.object(dynamodb, "create", create), self.instance(by):
                while steps:
                    if steps.pop() == "say":
                        self._say(1)
                    else:
                        self._withdraw({"count": 1})
            create(item)

        with mock.patch.object(dynamodb, "create", overtaken):
            yield

    def _say(self, count: int) -> None:
        """What is said stands behind what others said meanwhile."""
        sent = [{"content": f"{uuid4()}", "message_type": "user"} for _ in range(count)]
        answer = self.do("chat", session_id=self.session_id, messages=sent)
        told = [answer["message"], *answer["related_messages"]]
        assert [each["index"] - len(self.expected) for each in told] == list(range(count))
        self.expected += told
        self.recorded += count

    def _withdraw(self, asked: dict[str, Any]) -> str:
        request_id = str(uuid4())
        asked = {"session_id": self.session_id, "include_messages": True, **asked}
        answer = self.do("rewind_chat_session", request_id, **asked)
        left = asked.get("keep", max(0, len(self.expected) - asked.get("count", 0)))
        withdrawn = self.expected[left:]
        del self.expected[left:]
        self.rewindings += 1
        assert answer["messages"] == withdrawn
        assert answer["withdrawn_count"] == len(withdrawn)
        assert answer["message_count"] == len(self.expected)
        self.answers[request_id] = (asked, answer)
        return request_id

    steps = st.lists(st.sampled_from(["say", "pop"]), max_size=3)

    @rule(instance=instances, count=st.integers(min_value=1, max_value=4), steps=steps)
    def say(self, instance: int, count: int, steps: list[str]) -> None:
        with self.instance(instance), self.overtaking(1 - instance, steps):
            self._say(count)

    @rule(
        target=sent,
        instance=instances,
        asked=st.one_of(
            st.fixed_dictionaries({"count": st.integers(min_value=1, max_value=5)}),
            st.fixed_dictionaries({"keep": st.integers(min_value=0, max_value=9)}),
        ),
        steps=steps,
    )
    def withdraw(self, instance: int, asked: dict[str, Any], steps: list[str]) -> str:
        with self.instance(instance), self.overtaking(1 - instance, steps):
            return self._withdraw(asked)

    @rule(instance=instances, request_id=sent)
    def withdraw_again(self, instance: int, request_id: str) -> None:
        asked, answer = self.answers[request_id]
        with self.instance(instance):
            assert self.do("rewind_chat_session", request_id, **asked) == answer

    @rule(target=known, place=st.integers(min_value=0, max_value=30))
    def see(self, place: int) -> dict[str, Any]:
        """Somebody reads a message, maybe to replace it later."""
        return self.expected[place % len(self.expected)] if self.expected else {}

    @rule(instance=instances, message=known, steps=steps)
    def replace(self, instance: int, message: dict[str, Any], steps: list[str]) -> None:
        if not message:
            return
        asked = {
            "session_id": self.session_id,
            "replaces": {"record": message["record"], "message_id": message["message_id"]},
            "message": {"content": f"instead {uuid4()}", "message_type": "user"},
        }
        with self.instance(instance), self.overtaking(1 - instance, steps):
            try:
                answer = self.do("rewind_chat_session", **asked)
            except NotStanding:
                assert message["message_id"] not in {each["message_id"] for each in self.expected}
                return
        place = message["index"]
        assert self.expected[place]["message_id"] == message["message_id"]
        assert answer["message"]["replaces"] == message["message_id"]
        assert answer["message_count"] == len(self.expected)
        self.expected[place] = answer["message"]
        self.rewindings += 1

    @rule(limit=st.integers(min_value=1, max_value=4))
    def follow(self, limit: int) -> None:
        """One page more of somebody who follows."""
        page = self.do(
            "list_chat_messages", session_id=self.session_id, after=self.after, limit=limit
        )
        if page["keep"] is not None:
            self.mine = [each for each in self.mine if each["index"] < page["keep"]]
        for each in page["replaced"]:
            self.mine[each["index"]] = each
        self.mine += page["messages"]
        assert [each["index"] for each in self.mine] == list(range(len(self.mine)))
        self.after = page["next_after"]
        if not page["has_more"]:
            assert self.mine == self.expected

    @rule(limit=st.integers(min_value=1, max_value=5))
    def read_in_pages(self, limit: int) -> None:
        for order in ("oldest", "newest"):
            seen: Messages = []
            place: dict[str, Any] = {}
            while True:
                page = self.do(
                    "list_chat_messages",
                    session_id=self.session_id,
                    order=order,
                    limit=limit,
                    **place,
                )
                seen += page["messages"]
                if not page["has_more"]:
                    break
                place = (
                    {"after": page["next_after"]}
                    if order == "oldest"
                    else {"before": page["next_before"]}
                )
            assert seen == (self.expected if order == "oldest" else self.expected[::-1])

    @rule(before=st.integers(min_value=1, max_value=40), limit=st.integers(1, 4))
    def read_from_the_middle(self, before: int, limit: int) -> None:
        page = self.do(
            "list_chat_messages",
            session_id=self.session_id,
            order="newest",
            before=before,
            limit=limit,
        )
        shown = {each["message_id"] for each in page["messages"]}
        assert [each for each in self.expected if each["message_id"] in shown] == page["messages"][
            ::-1
        ]

    @invariant()
    def the_whole_record_is_the_list(self) -> None:
        whole = self.do("get_chat_session", session_id=self.session_id, include_messages=True)
        assert whole["messages"] == self.expected
        assert whole["message_count"] == len(self.expected)
        assert whole["message_index"] == {
            each["message_id"]: place for place, each in enumerate(self.expected)
        }
        assert whole["event_count"] == len(whole["events"]) == self.recorded + self.rewindings


Chat.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
TestChat = Chat.TestCase


class Log:
    """A chat's records in memory, and what stands, each as its record, position and replacement."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.marks: dict[int, bytes] = {}
        self.stands: list[tuple[int, int, int]] = []
        self.stood: list[list[tuple[int, int, int]]] = [[]]  # After each record.

    @property
    def tail(self) -> Record | None:
        return self.records[-1] if self.records else None

    def _add(self, kind: RecordKind, events: int) -> None:
        number = len(self.records) + 1
        before = self.tail.totals.events if self.tail else 0
        totals = Totals(events=before + events, messages=len(self.stands))
        self.records.append(Record(number, kind, uuid4(), number, "", totals))
        self.stood.append([*self.stands])

    def say(self, count: int) -> None:
        number = len(self.records) + 1
        self.stands += [(number, position, 0) for position in range(count)]
        self._add("chat", count)

    def rewind(self, asked: standing.Rewind) -> None:
        number = len(self.records) + 1
        marks = standing.marks_after("cs", self.tail, {}, asked)
        self.marks[number] = marks.packed()["marks"]
        if asked.swap is None:
            del self.stands[asked.left(len(self.stands)) :]
        else:
            self.stands[asked.swap.place] = (asked.swap.record, asked.swap.position, number)
        self._add("rewind", 1)

    def replace(self, place: int) -> None:
        if self.stands:
            place %= len(self.stands)
            record, position, by = self.stands[place]
            self.rewind(standing.Rewind(swap=standing.Swap(record, position, place, by)))

    def read(self) -> list[tuple[int, int, int]]:
        """What a reader of all pages finds."""
        if not self.records:
            return []
        seen = standing.Standing("cs", self.tail)
        by = {swap[:2]: swap.by for swap in seen.marks(1).swaps}
        return [
            (record.number, position, by.get((record.number, position), 0))
            for record in self.records
            if record.kind == "chat"
            for position in range(seen.count(record, self._said(record)))
        ]

    def followed(self, above: int) -> list[tuple[int, int, int]]:
        """What one has who had read up to a record and reads on to the end."""
        if not self.records:
            return []
        seen, mine = standing.Standing("cs", self.tail), [*self.stood[above]]
        if (left := seen.left_of(above, len(self.records))) is not None:
            del mine[left:]
        for swap in seen.marks(above + 1).swaps:
            if swap.record <= above < swap.by:
                assert mine[swap.place][:2] == swap[:2]
                mine[swap.place] = (swap.record, swap.position, swap.by)
        return mine + [each for each in self.read() if each[0] > above]

    def _said(self, record: Record) -> int:
        before = self.records[record.number - 2].totals.events if record.number > 1 else 0
        return record.totals.events - before


STEPS = st.lists(
    st.tuples(st.sampled_from(["say", "replace", "withdraw", "keep"]), st.integers(1, 6)),
    max_size=40,
)


CUT_BELOW_A_SWAP = [("say", 5), ("withdraw", 2), ("replace", 6), ("withdraw", 1)]


@settings(max_examples=400, deadline=None)
@example(CUT_BELOW_A_SWAP, 1)
@given(STEPS, st.integers(1, 4))
def test_marks_tell_what_stands_however_they_are_chained(
    steps: list[tuple[str, int]], max_marks: int
) -> None:
    log = Log()

    def get(session_id: str, number: int, *, with_content: bool) -> Record:
        return log.records[number - 1]

    with (
        mock.patch.object(standing, "MAX_MARKS", max_marks),
        mock.patch.object(records, "get", get),
        mock.patch.object(records, "marks", lambda _, number: log.marks[number]),
    ):
        for step, number in steps:
            match step:
                case "say":
                    log.say(number)
                case "replace":
                    log.replace(number)
                case "withdraw":
                    log.rewind(standing.Rewind(count=number))
                case "keep":
                    log.rewind(standing.Rewind(keep=number))
        assert log.read() == log.stands
        for above in range(len(log.records) + 1):
            assert log.followed(above) == log.stands
