"""The session log against a plain list: once, in one order, whatever happens in between.

Several function instances, each with its own memory, write one session. They are overtaken
between looking and writing, die after their write, read replicas that lag, and are sent requests
again minutes later. The list knows what must be in the log; the log must agree each time.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from casefile import (
    attempts,
    contents,
    creation,
    deletion,
    dynamodb,
    reading,
    records,
    session_log,
    sessions,
)
from casefile.dynamodb import ConditionFailed, Item
from casefile.errors import (
    AlreadyCompleted,
    BadRequest,
    CasefileError,
    NotFound,
    Overtaken,
    RequestIdReused,
    SessionClosed,
    Unavailable,
)
from casefile.session_log import Entry, Memories, append
from casefile.sessions import HEAD
from pydantic_models.base.times import to_milliseconds, to_text
from pydantic_models.canonical.record import Pending, Record, Totals, first_seal, sealed
from pydantic_models.operations import CreateChatSessionRequest
from tests.conftest import BOTH_CLIENTS, BUCKET, empty_aws, forget, uuid7
from tests.loopback import wired_to_moto
from tests.replicas import lagging

client = BOTH_CLIENTS

OWNER = "ann@example.com"


def open_session(made_at: datetime | None = None) -> str:
    asked = {"user_id": OWNER, "payload": {}, "timestamp": to_text(made_at or datetime.now(UTC))}
    return sessions.create(CreateChatSessionRequest.model_validate(asked)).session_id


def entry(made_at: datetime, text: str = "hello", request_id: UUID | None = None) -> Entry:
    content = json.dumps({"messages": [{"content": text, "message_type": "user"}]})
    return Entry("chat", request_id or uuid4(), made_at, content, Totals(events=1, messages=1))


def beginning(made_at: datetime) -> Entry:
    adds = Totals(requests=1, pending=1, events=2)
    return Entry("request", uuid4(), made_at, '{"tool_name":"t"}', adds)


def outcome(made_at: datetime, begun: Entry, result: str) -> Entry:
    content = json.dumps({"request_id": str(begun.request_id), "result": {"is": result}})
    adds = Totals(pending=-1, events=2)
    return Entry("result", uuid4(), made_at, content, adds, completes=begun.request_id)


def closing(made_at: datetime) -> Entry:
    return Entry("closed", uuid4(), made_at, "{}", Totals(), forces=True)


def read(session_id: str) -> list[Record]:
    return reading.read(session_id, OWNER, with_content=True).records


class Log(RuleBasedStateMachine):
    """Three instances, one session, small pages, short memories, and little room for content.

    `table` and `bucket` are those of the AWS that is in place; a subclass may bring another.
    """

    requests = Bundle("requests")
    begun = Bundle("begun")
    instances = st.integers(min_value=0, max_value=2)
    seconds = st.integers(min_value=0, max_value=400)
    texts = st.sampled_from(["hello", "hello " * 300])
    environment: ClassVar[dict[str, str]] = {
        "TABLE_NAME": "casefile-test",
        "BUCKET_NAME": BUCKET,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DYNAMODB_CLIENT": "boto3",
    }

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.older: set[int] = set()
        self.memories = [Memories() for _ in range(3)]
        self.expected: list[Entry] = []
        self.closed_by: Entry | None = None
        self.is_deleted = False
        self.lag = 0
        self.skews = [timedelta()] * 3
        self.skew = timedelta()
        self.timed = 0.0
        self.chance = random.Random(0)
        self.patches = ExitStack()
        clock = SimpleNamespace(time=lambda: self.now.timestamp())
        patches: list[AbstractContextManager[Any]] = [
            mock.patch.dict("os.environ", self.environment),
            self.aws(),
            mock.patch.object(session_log, "PAGE", 3),
            mock.patch.object(session_log, "LOOK_BACK_PAGE", 12),
            mock.patch.object(session_log, "FIRST_PAGE", 3),
            mock.patch.object(session_log, "MEMORY_RECORDS", 2),
            mock.patch.object(session_log, "MAX_LISTED", 3),
            mock.patch.object(records, "MAX_TEXT_BYTES", 200),
            mock.patch.object(records, "MAX_STORED_BYTES", 200),
            mock.patch.object(session_log, "now", self._clock),
            mock.patch.object(creation, "now", self._clock),
            mock.patch.object(sessions, "now", self._clock),
            mock.patch.object(session_log, "time", clock),
            mock.patch("time.sleep"),
        ]
        for patch in patches:
            self.patches.enter_context(patch)
        forget()
        self.patches.enter_context(lagging(self._misses))
        self.session_id = open_session(self.now)

    @contextmanager
    def aws(self) -> Iterator[None]:
        """An AWS with an empty table and an empty bucket."""
        with empty_aws():
            yield

    def _clock(self) -> datetime:
        """What the clock of the instance that runs says."""
        return self.now + self.skew

    def teardown(self) -> None:
        self.patches.close()
        forget()

    def _misses(self, sk: str) -> bool:
        """Reads that are not strong miss the newest records, some between, sometimes the head."""
        if not self.lag:
            return False
        if sk == HEAD:
            return self.lag == 4
        return int(sk) > len(self.expected) - self.lag or int(sk) % 5 == 0

    @initialize(
        lag=st.integers(min_value=0, max_value=4),
        skews=st.lists(st.sampled_from([-200, -10, 0, 200]), min_size=3, max_size=3),
        timed=st.sampled_from([0, 0.4, 1]),
        older=st.sampled_from([set(), set(), set(), {0}]),
    )
    def set_out(self, lag: int, skews: list[int], timed: float, older: set[int]) -> None:
        """Some instances may run older code, which lists no pending requests."""
        self.lag = lag
        self.older = older
        self.timed = timed
        self.skews = [timedelta(seconds=skew) for skew in skews]

    def _entry(self, made_at: datetime, text: str = "hello") -> Entry:
        """A request, whose id may carry its time. Two of the same time may be in either order."""
        is_timed = self.chance.random() < self.timed
        return entry(
            made_at, text, uuid7(made_at, self.chance.getrandbits(60)) if is_timed else None
        )

    def _send(self, instance: int, sent: Entry) -> None:
        """Send a request and hold the answer against the list."""
        before, self.skew = self.skew, self.skews[instance]
        try:
            record = self._append(instance, sent)
        except BadRequest:
            assert sent.made_at > self.now + self.skew + creation.CLOCK_ALLOWANCE
            assert sent.request_id not in self._numbers()
            return
        except NotFound:
            if not self.is_deleted:
                assert sent.completes is not None
                assert sent.completes not in self._numbers()
            return
        except Overtaken:
            assert self.closed_by is None
            assert sent.follows != len(self.expected)
            assert sent.request_id not in self._numbers()
            return
        except SessionClosed:
            assert self.closed_by is not None
            assert sent.request_id not in self._numbers()
            return
        finally:
            self.skew = before
        assert not self.is_deleted
        if sent.request_id not in self._numbers():
            if sent.kind == "closed" and self.closed_by is not None:
                assert record.request_id == self.closed_by.request_id
                return
            assert self.closed_by is None
            assert sent.follows in (None, len(self.expected))
            self.expected.append(sent)
            if sent.kind == "closed":
                self.closed_by = sent
        assert record.number == self._numbers()[sent.request_id]
        assert record.request_id == sent.request_id
        assert record.content == sent.content

    def _append(self, instance: int, sent: Entry) -> Record:
        limit = 0 if instance in self.older else 3
        with mock.patch.object(session_log, "MAX_LISTED", limit):
            return append(self.session_id, OWNER, sent, memories=self.memories[instance])

    def _numbers(self) -> dict[UUID, int]:
        return {known.request_id: number for number, known in enumerate(self.expected, 1)}

    @rule(
        target=requests,
        instance=instances,
        behind=st.integers(min_value=-299, max_value=600),
        text=texts,
    )
    def send(self, instance: int, behind: int, text: str) -> Entry:
        """A new request, its clock behind ours or a little ahead."""
        sent = self._entry(self.now - timedelta(seconds=behind), text)
        self._send(instance, sent)
        return sent

    @rule(instance=instances, sent=requests)
    def send_again(self, instance: int, sent: Entry) -> None:
        self._send(instance, sent)

    @rule(instance=instances, sent=consumes(requests))
    def borrow_an_id(self, instance: int, sent: Entry) -> None:
        """Another request with an id that is in the log is refused."""
        recorded = {known.request_id for known in self.expected}
        other = sent._replace(kind="chat", content='{"messages":[]}', completes=None)
        if sent.request_id in recorded:
            with pytest.raises(NotFound if self.is_deleted else RequestIdReused):
                append(self.session_id, OWNER, other, memories=self.memories[instance])

    @rule(target=requests, instance=instances)
    def send_and_die(self, instance: int) -> Entry:
        """The instance that serves a request dies after its write: its memory doesn't have it."""
        memory = copy.deepcopy(self.memories[instance])
        sent = self._entry(self.now)
        self._send(instance, sent)
        self.memories[instance] = memory
        return sent

    @rule(
        target=requests,
        instance=instances,
        rivals=st.lists(instances, min_size=1, max_size=8),
        sent_twice=st.booleans(),
        text=texts,
    )
    def send_while_overtaken(
        self, instance: int, rivals: list[int], sent_twice: bool, text: str
    ) -> Entry:
        """Others win slots between this instance's look and its put, one with its very request."""
        sent = self._entry(self.now, text)
        with self._overtaking(rivals, sent if sent_twice else None):
            self._send(instance, sent)
        return sent

    @contextmanager
    def _overtaking(self, rivals: list[int], twin: Entry | None) -> Iterator[None]:
        create = dynamodb.create

        def overtaken(item: Any) -> None:
            with mock.patch.object(dynamodb, "create", create):
                while rivals:
                    self._send(
                        rivals.pop(), twin if len(rivals) == 2 and twin else self._entry(self.now)
                    )
            create(item)

        with mock.patch.object(dynamodb, "create", overtaken):
            yield

    @rule(target=begun, instance=instances, count=st.integers(min_value=1, max_value=3))
    def begin(self, instance: int, count: int) -> MultipleResults[Entry]:
        """Tool requests whose results are still to come."""
        sent = [beginning(self.now) for _ in range(count)]
        for each in sent:
            self._send(instance, each)
        return multiple(*sent)

    @rule(
        target=requests,
        instance=instances,
        begun=begun,
        result=st.sampled_from("ab"),
        dies=st.booleans(),
    )
    def end(self, instance: int, begun: Entry, result: str, dies: bool) -> Entry:
        """Its result, which may not be the first one; the instance may die after its write."""
        memory = copy.deepcopy(self.memories[instance])
        sent = outcome(self.now, begun, result)
        ended = [known for known in self.expected if known.completes == begun.request_id]
        if self.is_deleted or begun.request_id not in self._numbers():
            with pytest.raises(NotFound):
                self._append(instance, sent)
        elif ended:
            self._end_again(instance, sent, ended[0])
        else:
            self._send(instance, sent)
        if dies:
            self.memories[instance] = memory
        return ended[0] if ended else sent

    def _end_again(self, instance: int, sent: Entry, first: Entry) -> None:
        if first.content == sent.content:
            assert self._append(instance, sent).request_id == first.request_id
        else:
            with pytest.raises(AlreadyCompleted):
                self._append(instance, sent)

    @rule(
        target=requests,
        instance=instances,
        rival=instances,
        begun=begun,
        result=st.sampled_from("ab"),
        closes=st.booleans(),
    )
    def end_while_another_does(
        self, instance: int, rival: int, begun: Entry, result: str, closes: bool
    ) -> MultipleResults[Entry]:
        """Another result, or a closing that fails it, wins the slot between a look and its put."""
        sent, other = outcome(self.now, begun, result), outcome(self.now, begun, "b")
        if closes and len(self.expected) > 12:
            other = closing(self.now)
        ended = any(known.completes == begun.request_id for known in self.expected)
        is_open = not self.is_deleted and self.closed_by is None
        if not is_open or ended or begun.request_id not in self._numbers():
            return multiple()  # Nothing was sent that could be sent again.
        create = dynamodb.create

        def overtaken(item: Any) -> None:
            with mock.patch.object(dynamodb, "create", create):
                if other.request_id not in self._numbers():
                    self._send(rival, other)
            create(item)

        with mock.patch.object(dynamodb, "create", overtaken):
            if other.kind == "closed":
                with pytest.raises(SessionClosed):
                    self._append(instance, sent)
            else:
                self._end_again(instance, sent, other)
        assert other.request_id in self._numbers()
        return multiple(other)

    @rule(seconds=seconds)
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(target=requests, instance=instances, count=st.integers(min_value=1, max_value=6))
    def write_on_and_wait(self, instance: int, count: int) -> Entry:
        """One instance writes for a while; the memories of the others grow stale, but not old."""
        written = [self._entry(self.now) for _ in range(count)]
        for sent in written:
            self._send(instance, sent)
        self.now += creation.CLOCK_ALLOWANCE + timedelta(seconds=1)
        return written[0]

    @rule(instance=instances)
    def restart(self, instance: int) -> None:
        self.memories[instance] = Memories()

    @precondition(lambda self: len(self.expected) > 12)
    @rule(instance=instances)
    def close(self, instance: int) -> None:
        self._send(instance, closing(self.now))

    @precondition(lambda self: len(self.expected) > 12)
    @rule(
        target=requests,
        instance=instances,
        behind=st.integers(min_value=0, max_value=1),
        rivals=st.lists(instances, max_size=2),
    )
    def close_unless_something_came_in(
        self, instance: int, behind: int, rivals: list[int]
    ) -> Entry:
        """A closing that follows the newest record, or the one before, maybe while others write."""
        sent = closing(self.now)._replace(follows=len(self.expected) - behind)
        with self._overtaking(rivals, None):
            self._send(instance, sent)
        return sent

    @precondition(lambda self: len(self.expected) > 16)
    @rule(rivals=st.lists(instances, max_size=4))
    def delete(self, rivals: list[int]) -> None:
        """Deleted, maybe again, maybe while others write; nothing they do brings anything back."""
        with self._overtaking(rivals, None):
            deletion.delete(self.session_id, OWNER)
        self.is_deleted = True

    @precondition(lambda self: self.is_deleted)
    @invariant()
    def nothing_is_left(self) -> None:
        with pytest.raises(NotFound):
            read(self.session_id)
        left = contents.client().list_objects_v2(
            Bucket=self.environment["BUCKET_NAME"], Prefix=f"content/{self.session_id}/"
        )
        assert left["KeyCount"] == 0

    @precondition(lambda self: not self.is_deleted)
    @invariant()
    def the_log_is_the_list(self) -> None:
        records = read(self.session_id)
        assert [record.number for record in records] == list(range(1, len(self.expected) + 1))
        assert [(record.request_id, record.content) for record in records] == [
            (sent.request_id, sent.content) for sent in self.expected
        ]
        times = [record.at for record in records]
        assert times == sorted(times)
        totals = Totals()
        for sent in self.expected:
            totals = totals.plus(sent.adds)
        if self.closed_by:
            totals = totals.plus(Totals(pending=-totals.pending, events=totals.pending))
        assert not records or records[-1].totals == totals
        self._pending_is_listed(records)

    def _pending_is_listed(self, records: list[Record]) -> None:
        """In each record all that is pending after it, or nothing; and once each is completed."""
        numbers, pending = self._numbers(), dict[int, UUID]()
        were_many = False
        for record, sent in zip(records, self.expected, strict=True):
            completes = [numbers[sent.completes]] if sent.completes else []
            if sent.kind == "closed":
                completes = list(pending)
            assert list(record.completes) == completes
            for number in completes:
                del pending[number]
            if sent.kind == "request":
                pending[record.number] = sent.request_id
            assert record.pending in ((), tuple(pending.items()))
            assert len(record.pending) <= 3
            were_many = bool(pending) and (were_many or len(pending) > 3)
            assert record.tells_pending or were_many or self.older


def test_the_model_has_requests_completed_while_others_are_pending() -> None:
    """What chance seldom brings about."""
    log = Log()
    try:
        log.set_out(lag=0, skews=[0, 0, 0], timed=0, older=set())
        one, other, last = log.begin(instance=0, count=3).values
        log.write_on_and_wait(instance=1, count=10)
        log.end(instance=2, begun=one, result="a", dies=True)
        log.end_while_another_does(2, rival=0, begun=other, result="a", closes=False)
        log.the_log_is_the_list()
        log.end_while_another_does(1, rival=2, begun=last, result="a", closes=True)
        log.the_log_is_the_list()
        assert log.closed_by is not None
    finally:
        log.teardown()


Log.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLog = Log.TestCase


class LeanLog(Log):
    """The same through our own client."""

    environment: ClassVar[dict[str, str]] = {**Log.environment, "DYNAMODB_CLIENT": "lean"}

    @contextmanager
    def aws(self) -> Iterator[None]:
        with super().aws(), wired_to_moto():
            yield


LeanLog.TestCase.settings = settings(max_examples=8, stateful_step_count=30, deadline=None)
TestLeanLog = LeanLog.TestCase


SESSION = "cs_261121_pending"


def pending(log: list[Record]) -> tuple[Pending, ...]:
    ended = {number for record in log for number in record.completes}
    begun = (record for record in log if record.kind == "request" and record.number not in ended)
    return tuple(Pending(record.number, record.request_id) for record in begun)


class Pendings:
    """Who completes requests, and what records tell of them, in a table that is a dict.

    The model above does more; here chance comes further. Instances come in between each other's
    looks and writes, ids are used again, clocks jump, and answers are lost, some of older code.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        opened = dict.fromkeys(("created_at", "updated_at"), to_milliseconds(self.now))
        head = sessions.key(SESSION) | opened | {"user_id": OWNER, "metadata": "{}", "active": True}
        self.items: dict[str, Item] = {HEAD: head}
        self.memories = [Memories() for _ in range(3)]
        self.reuse = self.chance.choice([0, 0.05, 0.2])
        self.log: list[Record] = []
        self.sent: list[Entry] = []
        self.sending: dict[int, Entry] = {}

    def query(self, _: str, values: Item, **how: Any) -> Iterator[tuple[list[Item], bool]]:
        """A read, which may miss the newest records unless it is strong."""
        low, top, sent = values[":low"], values[":top"], list(self.sending.values())[-1]
        if top != HEAD:  # A look back: what it is for isn't listed right above.
            above = self.log[int(top)]
            is_far = above.at < to_milliseconds(sent.made_at - creation.CLOCK_ALLOWANCE)
            assert not is_far or all(sent.completes != each.request_id for each in above.pending)
        seen = len(self.log) - (0 if how["ConsistentRead"] else self.chance.choice([0, 0, 1, 4]))
        slots = sorted(self.items, reverse=True)
        found = [sk for sk in slots if low <= sk <= top and (sk == HEAD or int(sk) <= seen)]
        yield [self.items[sk] for sk in found[: how["Limit"]]], True

    def get(self, key: Item) -> Item | None:
        return self.items.get(key["sk"])

    def create(self, item: Item) -> None:
        """A put, before which others may come in; older code tells less, and answers are lost."""
        sent = list(self.sending.values())[-1]
        rivals = [instance for instance in range(3) if instance not in self.sending]
        if rivals and self.chance.random() < 0.2:
            other = self.some_entry(sent.completes)
            rival = self.chance.choice([sent, other, self.some_entry()])
            self.send(self.chance.choice(rivals), rival)
        if item["sk"] in self.items:
            raise ConditionFailed(self.items[item["sk"]])
        stored = {name: value for name, value in item.items() if value is not None}
        self.check(records.whole(SESSION, stored), sent)
        is_lost = self.chance.random() < 0.1
        if is_lost and self.chance.random() < 0.5:
            stored.pop("pending", None)
        self.items[item["sk"]] = stored
        self.log.append(records.whole(SESSION, stored))
        if is_lost:
            raise TimeoutError

    def check(self, made: Record, sent: Entry) -> None:
        """What is recorded now follows from the list."""
        assert None in self.answers(self.log, sent)
        were, after = pending(self.log), pending([*self.log, made])
        completes, adds = [each.number for each in were], sent.adds
        if sent.kind == "closed":
            adds = Totals(pending=-len(were), events=len(were))
        else:
            begun = [each.number for each in self.log if each.request_id == sent.completes]
            completes = begun[-1:]
        before = self.log[-1].totals if self.log else Totals()
        assert (list(made.completes), made.totals) == (completes, before.plus(adds))
        assert made.pending in ((), after)
        newest = {each.request_id: each.number for each in [*self.log, made]}
        assert all(newest[each.request_id] == each.number for each in made.pending)
        assert len(made.pending) <= 3
        were_told = not self.log or self.log[-1].tells_pending
        if were_told and not made.tells_pending:
            assert len(after) > 3 or any(sent.request_id == each.request_id for each in were)
        assert were_told or not made.pending or made.kind in ("request", "result")

    def answers(self, log: list[Record], sent: Entry) -> set[object]:
        """A record's number or a refusal, as a log may answer; None if it takes the request."""
        newest: dict[UUID | None, Record] = {record.request_id: record for record in log}
        known, begun = newest.get(sent.request_id), newest.get(sent.completes)
        ended = begun and next((each for each in log if begun.number in each.completes), None)
        answers: set[object] = set()
        if known is not None:
            is_same = (known.kind, known.content) == (sent.kind, sent.content)
            answers.add(known.number if is_same else RequestIdReused)
            if known.at >= to_milliseconds(sent.made_at - creation.CLOCK_ALLOWANCE):
                return answers  # Later, an id that tells no time may be new again.
        if sent.completes and (begun is None or begun.kind not in ("request", "tool")):
            return answers | {NotFound}
        if sent.completes == sent.request_id:
            return answers | {RequestIdReused}
        if ended and ended.kind == "result":
            return answers | {ended.number if ended.content == sent.content else AlreadyCompleted}
        if begun and begun.kind == "tool":
            return answers | {AlreadyCompleted}
        if log and log[-1].kind == "closed":
            return answers | {log[-1].number if sent.kind == "closed" else SessionClosed}
        return answers | {None}

    def send(self, instance: int, sent: Entry) -> None:
        """Send a request; the answer is right for the log as it was, or has become meanwhile."""
        began = len(self.log)
        self.sent.append(sent)
        self.sending[instance] = sent
        answer: object
        try:
            answer = append(SESSION, OWNER, sent, memories=self.memories[instance]).number
        except CasefileError as error:
            answer = type(error)
        except TimeoutError:
            answer = len(self.log)
        del self.sending[instance]
        logs = [self.log[:count] for count in range(began, len(self.log) + 1)]
        assert any(answer in self.answers(log, sent) for log in logs)

    def some_entry(self, completes: UUID | None = None) -> Entry:
        """A request, new or sent again, or another with an id that was used."""
        chance = self.chance
        if completes is None and self.sent and chance.random() < 0.15:
            return chance.choice(self.sent)
        made_at = self.now - timedelta(seconds=chance.choice([0, 0, 100, 600]))
        fresh = uuid7(self.now, chance.getrandbits(60))
        if chance.random() < 0.5:
            fresh = UUID(int=chance.getrandbits(128), version=4)
        used = [fresh, *(each.request_id for each in pending(self.log))]
        used += [each.request_id for each in chance.sample(self.log, min(1, len(self.log)))]
        begun = beginning(made_at)._replace(request_id=completes or chance.choice(used))
        ended = outcome(made_at, begun, chance.choice("ab"))
        whole = begun._replace(kind="tool", adds=Totals(requests=1, events=4))
        kinds = [begun, whole, ended, entry(made_at), closing(made_at)]
        made = ended if completes else chance.choices(kinds, [25, 3, 35, 35, len(self.log) > 50])[0]
        is_again = chance.random() < self.reuse
        return made._replace(
            request_id=chance.choice([begun.request_id, *used]) if is_again else fresh
        )

    def step(self) -> None:
        instance = self.chance.randrange(3)
        if self.chance.random() < 0.05:
            self.memories[instance] = Memories()
        if self.chance.random() < 0.1:
            self.now += timedelta(seconds=self.chance.choice([60, 310, 310, 1000]))
        self.send(instance, self.some_entry())


@pytest.mark.parametrize("seed", range(40))
def test_each_is_completed_once_and_listed_as_it_is(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Pendings(seed)
    for name in ("query", "get", "create"):
        monkeypatch.setattr(dynamodb, name, getattr(session, name))
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: session.now)
    clock = SimpleNamespace(time=lambda: session.now.timestamp())
    monkeypatch.setattr(session_log, "time", clock)
    monkeypatch.setattr(attempts, "LONGEST_PAUSE", 0)
    limits = {"PAGE": 3, "FIRST_PAGE": 3, "LOOK_BACK_PAGE": 12, "MAX_LISTED": 3}
    for name, limit in (limits | {"MEMORY_RECORDS": session.chance.choice([2, 6, 99])}).items():
        monkeypatch.setattr(session_log, name, limit)
    for _ in range(150):
        session.step()


@pytest.fixture
def session_id(aws: None) -> str:
    return open_session()


def now() -> datetime:
    return datetime.now(UTC)


def test_a_known_session_costs_one_call_per_append(session_id: str, calls: list[str]) -> None:
    append(session_id, OWNER, entry(now()))
    calls.clear()
    for _ in range(5):
        append(session_id, OWNER, entry(now()))
    assert calls == ["PutItem"] * 5


def test_a_late_retry_is_found_below_hundreds_of_others(session_id: str) -> None:
    sent = entry(now())
    first = append(session_id, OWNER, sent)
    for _ in range(310):
        append(session_id, OWNER, entry(now()))
    assert append(session_id, OWNER, sent, memories=Memories()) == first
    assert len(read(session_id)) == 311


def test_an_id_above_all_others_needs_no_look_back(session_id: str, calls: list[str]) -> None:
    """However much was recorded just now, the newest records tell that it isn't there."""
    for number in range(30):
        append(session_id, OWNER, entry(now(), request_id=uuid7(now(), number)))
    for _ in range(20):
        append(session_id, OWNER, entry(now()))
    calls.clear()
    others, later = Memories(), now() + timedelta(seconds=1)
    append(session_id, OWNER, entry(now(), request_id=uuid7(later, 0)), memories=others)
    assert calls == ["Query", "PutItem"]
    for number in range(session_log.PAGE + 1):
        append(session_id, OWNER, entry(now(), request_id=uuid7(later, 2 * number + 2)))
    calls.clear()
    sent = entry(now(), request_id=uuid7(later, 2 * session_log.PAGE + 4))
    append(session_id, OWNER, sent, memories=others)
    assert calls == ["PutItem", "Query", "PutItem"]
    calls.clear()
    overtaken = entry(now(), request_id=uuid7(later, 2 * session_log.PAGE + 1))
    append(session_id, OWNER, overtaken, memories=Memories())
    assert calls == ["Query", "Query", "PutItem"]  # The newest record, and then a few more.


def test_a_first_look_reads_as_much_as_it_takes(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contents are paid for, though they aren't read: large ones would make seven records dear."""
    query, rows = records.query, []

    def counted(session_id: str, limit: int, **asked: Any) -> records.Run:
        rows.append(limit)
        return query(session_id, limit, **asked)

    early = entry(now(), request_id=uuid7(now(), 0))
    append(session_id, OWNER, early)
    for number in range(20):
        append(session_id, OWNER, entry(now(), request_id=uuid7(now(), number + 1)))
    begun = beginning(now())
    append(session_id, OWNER, begun)
    monkeypatch.setattr(records, "query", counted)
    for sent, expected in (
        (entry(now(), request_id=uuid7(now() + timedelta(seconds=1), 0)), 2),
        (outcome(now(), begun, "a")._replace(request_id=uuid7(now() + timedelta(seconds=2), 0)), 2),
        (entry(now()), 8),
    ):
        rows.clear()
        append(session_id, OWNER, sent, memories=Memories())
        assert rows[0] == expected
    rows.clear()
    append(session_id, OWNER, early, memories=Memories())  # Sent again: the newest tells nothing.
    assert rows[:2] == [2, 8]


def test_a_retry_that_is_seen_at_once_is_not_looked_for(session_id: str, calls: list[str]) -> None:
    for _ in range(30):
        sent = entry(now())
        recorded = append(session_id, OWNER, sent)
    calls.clear()
    assert append(session_id, OWNER, sent, memories=Memories()) == recorded
    assert calls == ["Query", "Query", "GetItem"]


def test_an_id_that_is_not_above_all_others_is_looked_for(session_id: str) -> None:
    """Neither the highest id itself, nor one that is below another writer's."""
    low, high = (entry(now(), request_id=uuid7(now(), number)) for number in (1, 2))
    numbers = {sent: append(session_id, OWNER, sent).number for sent in (low, high)}
    for _ in range(session_log.FIRST_PAGE):
        append(session_id, OWNER, entry(now()))
    for sent, number in numbers.items():
        assert append(session_id, OWNER, sent, memories=Memories()).number == number


def test_a_catching_up_that_jumps_ahead_skips_no_record(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our memory ends at record 1; records 2 to 9 are another's; a retry of 2 comes to us late."""
    clock = now()
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: clock)
    monkeypatch.setattr(session_log, "PAGE", 2)
    session_id, ours, others = open_session(), Memories(), Memories()
    append(session_id, OWNER, entry(clock), memories=ours)
    sent = entry(clock)
    recorded = append(session_id, OWNER, sent, memories=others)
    for _ in range(7):
        append(session_id, OWNER, entry(clock), memories=others)
    clock += timedelta(minutes=6)
    assert append(session_id, OWNER, entry(clock), memories=ours).number == 10
    assert append(session_id, OWNER, sent, memories=ours) == recorded
    assert len(read(session_id)) == 10


@pytest.mark.parametrize("memory_records", [2, 1000])
def test_an_id_that_was_used_again_is_answered_with_its_newest_record(
    session_id: str, monkeypatch: pytest.MonkeyPatch, memory_records: int
) -> None:
    """It tells no time: after some minutes nobody looks as far back as its first record."""
    clock = now()
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: clock)
    monkeypatch.setattr(session_log, "MEMORY_RECORDS", memory_records)
    sent = entry(clock)
    append(session_id, OWNER, sent)
    for _ in range(session_log.FIRST_PAGE):
        append(session_id, OWNER, entry(clock))
    clock += timedelta(minutes=11)
    again, looking = entry(clock, "another", request_id=sent.request_id), Memories()
    recorded = append(session_id, OWNER, again, memories=Memories())
    for _ in range(session_log.FIRST_PAGE):
        append(session_id, OWNER, entry(clock), memories=looking)
    for memories in (Memories(), looking):
        assert append(session_id, OWNER, again, memories=memories) == recorded


def test_a_result_is_known_after_its_request_was_forgotten_and_found_again(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory ends between the two; the request is looked up again for a second result."""
    clock = now()
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: clock)
    monkeypatch.setattr(session_log, "MEMORY_RECORDS", 2)
    begun = beginning(clock)
    append(session_id, OWNER, begun)
    append(session_id, OWNER, outcome(clock, begun, "a"))
    clock += timedelta(minutes=11)
    append(session_id, OWNER, entry(clock))
    append(session_id, OWNER, outcome(clock, begun, "a"))
    with pytest.raises(AlreadyCompleted):
        append(session_id, OWNER, outcome(clock, begun, "b"))
    assert [record.kind for record in read(session_id)] == ["request", "result", "chat"]


def of_late(sent: Entry, later: int = 1) -> Entry:
    """The same with an id above all others, so that it isn't looked for itself."""
    return sent._replace(request_id=uuid7(now() + timedelta(seconds=later), 0))


def grow(session_id: str, count: int) -> None:
    """Add copies of the newest record, which says that nothing changed."""
    newest = records.top(session_id)[1]
    assert newest is not None
    above = records.number_of(newest) + 1
    dynamodb.put_many(
        [
            newest | records.slot_key(session_id, number) | {"request": UUID(int=number).bytes}
            for number in range(above, above + count)
        ]
    )


def begin_some(session_id: str, count: int, memories: Memories | None = None) -> list[Entry]:
    """Begin some requests, and record something else after them."""
    begun = [beginning(now()) for _ in range(count)]
    for sent in [*begun, entry(now())]:
        append(session_id, OWNER, sent, memories=Memories() if memories is None else memories)
    return begun


def older_code(session_id: str, number: int) -> None:
    """Make a record what code would have written that listed no pending requests."""
    item = dynamodb.get(records.slot_key(session_id, number))
    assert item is not None
    dynamodb.put({name: value for name, value in item.items() if name != "pending"})


@pytest.mark.parametrize("count", [1, session_log.MAX_LISTED])
def test_a_result_finds_its_request_in_the_newest_record(
    session_id: str, calls: list[str], count: int
) -> None:
    """However far back it is: in two calls, when nothing is known of the session."""
    begun = begin_some(session_id, count)
    grow(session_id, 3000)
    for number, ended in enumerate(begun, 1):
        calls.clear()
        sent = of_late(outcome(now(), ended, "a"), number)
        assert append(session_id, OWNER, sent, memories=Memories()).completes == (number,)
        assert calls == ["Query", "PutItem"]


def test_a_result_with_the_very_id_of_its_request_is_refused(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the log, though a retry is not looked for so far back."""
    (begun,) = begin_some(session_id, 1)
    grow(session_id, 30)
    clock = now() + timedelta(minutes=11)
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: clock)
    sent = outcome(clock, begun, "a")._replace(request_id=begun.request_id)
    with pytest.raises(RequestIdReused):
        append(session_id, OWNER, sent, memories=Memories())


@pytest.mark.parametrize("count", [1, session_log.MAX_LISTED])
def test_a_closing_finds_what_it_fails_in_the_newest_record(
    session_id: str, calls: list[str], count: int
) -> None:
    begin_some(session_id, count)
    grow(session_id, 3000)
    calls.clear()
    closed = append(session_id, OWNER, of_late(closing(now())), memories=Memories())
    assert closed.completes == tuple(range(1, count + 1))
    assert (closed.totals.pending, closed.pending) == (0, ())
    assert calls == ["Query", "PutItem"]


def test_a_second_result_looks_no_further_than_the_first(session_id: str, calls: list[str]) -> None:
    """The record right below that one lists the request, which is far below."""
    (begun,) = begin_some(session_id, 1)
    grow(session_id, 300)
    first = append(session_id, OWNER, outcome(now(), begun, "a"), memories=Memories())
    for _ in range(3):
        append(session_id, OWNER, entry(now()), memories=Memories())
    calls.clear()
    again = of_late(outcome(now(), begun, "a"))
    assert append(session_id, OWNER, again, memories=Memories()).number == first.number
    with pytest.raises(AlreadyCompleted):
        append(session_id, OWNER, of_late(outcome(now(), begun, "b")), memories=Memories())
    assert calls.count("Query") == 2 * 3  # The newest, some below, and a strong look.


def test_who_loses_the_race_for_a_request_far_back_is_told_so_at_once(
    session_id: str, calls: list[str]
) -> None:
    """The tail that it knew lists the request; what completed it came in above."""
    (begun,) = begin_some(session_id, 1)
    grow(session_id, 300)
    stale = Memories()
    append(session_id, OWNER, of_late(entry(now())), memories=stale)
    first = append(session_id, OWNER, outcome(now(), begun, "a"), memories=Memories())
    calls.clear()
    again = of_late(outcome(now(), begun, "a"), 2)
    assert append(session_id, OWNER, again, memories=stale).number == first.number
    assert calls == ["PutItem", "Query", "GetItem"]


def test_of_many_pending_requests_none_is_listed(session_id: str) -> None:
    """They are looked for as far back as they are, and listed again when all the rest is known."""
    limit = session_log.MAX_LISTED
    begun = begin_some(session_id, limit + 2)
    listed = [len(record.pending) for record in read(session_id)]
    assert listed == [*range(1, limit + 1), 0, 0, 0]
    grow(session_id, 30)
    memories = Memories()
    for number, ended in enumerate(begun[:3], 1):
        sent = outcome(now(), ended, "a")
        assert append(session_id, OWNER, sent, memories=memories).completes == (number,)
    assert [len(record.pending) for record in read(session_id)[-3:]] == [0, limit, limit - 1]
    assert [each.number for each in read(session_id)[-1].pending] == [*range(4, limit + 3)]


def test_a_closing_finds_many_pending_requests_below(session_id: str) -> None:
    count = session_log.MAX_LISTED + 1
    begin_some(session_id, count)
    grow(session_id, 30)
    closed = append(session_id, OWNER, closing(now()), memories=Memories())
    assert closed.completes == tuple(range(1, count + 1))


def test_what_older_code_recorded_lists_nothing_and_is_looked_through(session_id: str) -> None:
    """Its requests are found, and listed when a record changes them that knows them all."""
    far = begin_some(session_id, 1)
    older_code(session_id, 2)
    grow(session_id, 30)
    near = begin_some(session_id, 2)
    for number in (33, 34, 35):
        older_code(session_id, number)
    sent = of_late(outcome(now(), near[0], "a"))
    record = append(session_id, OWNER, sent, memories=Memories())
    assert (record.completes, record.pending) == ((33,), ())  # One is further below.
    later = append(session_id, OWNER, outcome(now(), far[0], "a"), memories=Memories())
    assert (later.completes, [each.number for each in later.pending]) == ((1,), [34])


def test_what_another_lists_again_is_found_in_the_tail(session_id: str, calls: list[str]) -> None:
    """An instance knows records from one on that lists nothing, and then a tail that does."""
    knowing, other = Memories(), Memories()
    begun = begin_some(session_id, 1, knowing)[0]
    older_code(session_id, 2)
    append(session_id, OWNER, of_late(entry(now()), 1), memories=other)
    append(session_id, OWNER, beginning(now()), memories=knowing)
    append(session_id, OWNER, of_late(entry(now()), 2), memories=other)
    calls.clear()
    result = append(session_id, OWNER, of_late(outcome(now(), begun, "a"), 3), memories=other)
    assert (result.completes, other[session_id].low) == ((1,), 2)
    assert calls == ["PutItem"]


def test_what_is_not_listed_is_not_looked_for_by_what_does_not_change_it(session_id: str) -> None:
    begin_some(session_id, 1)
    older_code(session_id, 2)
    assert append(session_id, OWNER, entry(now()), memories=Memories()).pending == ()
    more = append(session_id, OWNER, beginning(now()), memories=Memories())
    assert [each.number for each in more.pending] == [1, 4]


def test_an_id_that_was_used_again_is_completed_once(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells no time; its first record stays pending, and is listed no more."""
    clock = now()
    for module in (session_log, creation):
        monkeypatch.setattr(module, "now", lambda: clock)
    knowing = Memories()
    begun = beginning(clock)
    append(session_id, OWNER, begun, memories=knowing)
    append(session_id, OWNER, entry(clock), memories=knowing)
    clock += timedelta(minutes=11)
    for _ in range(session_log.FIRST_PAGE):
        append(session_id, OWNER, entry(clock), memories=Memories())
    clock += timedelta(minutes=11)
    again = append(session_id, OWNER, begun._replace(made_at=clock), memories=Memories())
    assert (again.number, again.totals.pending, again.pending) == (11, 2, ())
    ended = append(session_id, OWNER, outcome(clock, begun, "a"), memories=Memories())
    assert (ended.completes, ended.pending) == ((11,), ())
    repeated = outcome(clock, begun, "a")
    assert append(session_id, OWNER, repeated, memories=Memories()).number == ended.number
    with pytest.raises(AlreadyCompleted):
        append(session_id, OWNER, outcome(clock, begun, "b"), memories=Memories())
    more = append(session_id, OWNER, beginning(clock), memories=knowing)
    assert knowing[session_id].low == 1
    assert (more.totals.pending, more.pending) == (2, ())
    closed = append(session_id, OWNER, closing(clock), memories=Memories())
    assert closed.completes == (1, more.number)


def test_a_first_look_through_a_hole_is_taken_again(session_id: str) -> None:
    """A lagging replica shows records 1 and 3; a retry of 2 comes to a new instance."""
    append(session_id, OWNER, entry(now()))
    sent = entry(now())
    recorded = append(session_id, OWNER, sent)
    append(session_id, OWNER, entry(now()))
    with lagging(lambda sk: sk == "000000000002"):
        assert append(session_id, OWNER, sent, memories=Memories()) == recorded


def test_only_a_fresh_look_may_refuse_a_date(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded where the clock is ahead, sent again where it isn't and the memory is stale."""
    stale = Memories()
    append(session_id, OWNER, entry(now()), memories=stale)
    sent = entry(now() + timedelta(minutes=7))
    with monkeypatch.context() as ahead:
        for module in (session_log, creation):
            ahead.setattr(module, "now", lambda: now() + timedelta(minutes=4))
        recorded = append(session_id, OWNER, sent, memories=Memories())
    assert append(session_id, OWNER, sent, memories=stale) == recorded


def test_a_request_from_the_future_is_refused_but_a_recorded_one_is_recognised(
    session_id: str,
) -> None:
    sent = entry(now() + timedelta(minutes=10))
    with pytest.raises(BadRequest, match="in the future"):
        append(session_id, OWNER, sent)
    recorded = append(session_id, OWNER, sent._replace(made_at=now()))
    assert append(session_id, OWNER, sent) == recorded


def test_what_should_follow_a_record_is_put_right_after_it_or_not_at_all(session_id: str) -> None:
    stale = Memories()
    append(session_id, OWNER, entry(now()), memories=stale)
    append(session_id, OWNER, entry(now()), memories=Memories())
    for number in (0, 1, 3):
        with pytest.raises(Overtaken):
            append(session_id, OWNER, closing(now())._replace(follows=number), memories=stale)
    last = closing(now())._replace(follows=2)
    recorded = append(session_id, OWNER, last, memories=stale)
    assert recorded.number == 3
    assert append(session_id, OWNER, last, memories=Memories()) == recorded


def test_a_glance_that_lags_behind_cannot_close_upon_what_it_missed(session_id: str) -> None:
    append(session_id, OWNER, entry(now()))
    with lagging(str.isdigit):
        assert session_log.glance(session_id)[1] is None
        with pytest.raises(Overtaken):
            session_log.close(session_id, OWNER, closing(now())._replace(follows=0))
    assert len(read(session_id)) == 1


def test_the_chain_holds_from_the_head_to_the_closing(session_id: str) -> None:
    for _ in range(4):
        append(session_id, OWNER, entry(now()))
    append(session_id, OWNER, closing(now()))
    log = reading.read(session_id, OWNER, with_content=True)
    seal = first_seal(session_id, OWNER, log.head.created_at)
    for record in log.records:
        seal = sealed(record, seal).seal
        assert record.seal == seal


def test_a_clock_that_runs_backwards_does_not_turn_the_log(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = append(session_id, OWNER, entry(now()))
    monkeypatch.setattr(session_log, "now", lambda: now() - timedelta(seconds=90))
    assert append(session_id, OWNER, entry(now())).at == first.at


def test_who_loses_every_race_is_told_to_come_back(
    session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = dynamodb.create

    def always_late(item: Any) -> None:
        with monkeypatch.context() as undisturbed:
            undisturbed.setattr(dynamodb, "create", create)
            append(session_id, OWNER, entry(now()), memories=Memories())
        create(item)

    monkeypatch.setattr(dynamodb, "create", always_late)
    monkeypatch.setattr(attempts, "MAX_ATTEMPTS", 5)
    loser = entry(now())
    with pytest.raises(Unavailable, match="lost each race"):
        append(session_id, OWNER, loser)
    assert loser.request_id not in {record.request_id for record in read(session_id)}


def test_nothing_is_tried_past_the_functions_time(session_id: str) -> None:
    with attempts.time_limit(0.5), pytest.raises(Unavailable):
        append(session_id, OWNER, entry(now()))


def test_memory_is_bounded(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_log, "MEMORY_SESSIONS", 2)
    memories = Memories()
    ids = [open_session() for _ in range(3)]
    for session_id in ids:
        append(session_id, OWNER, entry(now()), memories=memories)
    assert list(memories) == ids[1:]
