"""Sessions: the head of each, which tells whose it is, its title and its casefile.

A head is written when something is done with its session as a whole, and never by an append: what
has been recorded is told by the log's own tail, and shown here, for lists, by what follows the
stream. So appends don't meet each other here.

    pk SESSION#<session_id>   sk HEAD

`news` marks an item whose last write has something to tell (see domain_events.py), so that the
stream leaves out the many that have not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_models import views
from pydantic_models.base import SessionKind, kind_of
from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.canonical.record import Record, Totals

from . import access, casefiles, creation, dynamodb, grants, lists, receipts
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed, Write
from .errors import AlreadyFiled, Forbidden, NotFound, RequestIdReused, SessionDeleted

if TYPE_CHECKING:
    from pydantic_models.canonical.permission_level import PermissionLevel
    from pydantic_models.operations import (
        AddSessionToCasefileRequest,
        CreateChatSessionRequest,
        CreateSessionRequest,
        ListCasefileSessionsRequest,
        ListChatSessionsRequest,
        ListSessionsRequest,
        RemoveSessionFromCasefileRequest,
        UpdateChatSessionRequest,
        UpdateSessionRequest,
    )
    from pydantic_models.views import ChatSessionSummary, SessionSummary

HEAD = "HEAD"
"""The slot of the head: it sorts after every record's."""


ATTRIBUTES = (
    "deleted_at",
    "user_id",
    "title",
    "casefile_id",
    "created_at",
    "updated_at",
    "metadata",
    "tags",
    "archived_at",
    "filed_at",
    "active",
    "recorded",
)
"""What a head holds that a SessionHead shows."""


@dataclass(frozen=True)
class SessionHead:
    """A session as stored, less its records; times are in milliseconds since 1970.

    `closed_with` is the number of the closing record, once the head shows that there is one.
    """

    session_id: str
    user_id: str
    title: str | None
    casefile_id: str | None
    created_at: int
    updated_at: int
    metadata: dict[str, Any]
    tags: list[str]
    archived_at: int | None = None
    filed_at: int | None = None
    closed_with: int | None = None

    @property
    def filed(self) -> tuple[str | None, int | None]:
        """In which casefile it is, and when it was last filed in one."""
        return self.casefile_id, self.filed_at

    @property
    def about(self) -> dict[str, Any]:
        """The fields of an answer that tell of the session itself."""
        return {
            "session_id": self.session_id,
            "title": self.title,
            "tags": self.tags,
            "metadata": self.metadata,
            "updated_at": text_of(self.updated_at),
        }


@dataclass(frozen=True)
class Filing:
    """A session's place in a casefile: the casefile's total with it, and when it came."""

    casefile_id: str
    total_sessions: int
    at: int


def partition(session_id: str) -> str:
    """The partition that holds everything of a session."""
    return f"SESSION#{session_id}"


def key(session_id: str) -> Item:
    """The key of a session's head."""
    return {"pk": partition(session_id), "sk": HEAD}


def is_head(item: Item) -> bool:
    """Whether an item is the head of a session, or its tombstone."""
    return dynamodb.key_of(item) == key(dynamodb.identifier(item))


def from_item(item: Item | None) -> SessionHead | None:
    """Read a stored head; None for none, and for the tombstone of a deleted session."""
    return None if not item or "deleted_at" in item else _head(item)


def _head(item: Item) -> SessionHead:
    return SessionHead(
        session_id=dynamodb.identifier(item),
        user_id=item["user_id"],
        title=item.get("title"),
        casefile_id=item.get("casefile_id"),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        metadata=json.loads(item["metadata"]),
        tags=item.get("tags", []),
        archived_at=item.get("archived_at"),
        filed_at=item.get("filed_at"),
        closed_with=None if item["active"] else item["recorded"],
    )


def find(session_id: str) -> SessionHead | None:
    """The head of a session as it is now, or None."""
    return from_item(dynamodb.get(key(session_id)))


def authorize(
    session_id: str,
    head: SessionHead | None,
    user_id: str,
    granted: Mapping[str, PermissionLevel] | None = None,
) -> SessionHead:
    """Return the head if the user may do with its session what the operation needs.

    It must be the head as it is now, unless the user is its owner. `granted` is what the user was
    seen to be granted, by casefile; of any other it is read. Raises NotFound and Forbidden.
    """
    if head is None:
        raise access.missing_session(session_id)
    through = access.NONE
    if head.user_id != user_id and head.casefile_id is not None:
        seen = (granted or {}).get(head.casefile_id)
        through = grants.level(head.casefile_id, user_id) if seen is None else seen
    access.require_session(session_id, access.level_in_session(user_id, head.user_id, through))
    return head


def authorize_now(seen: SessionHead, user_id: str) -> SessionHead:
    """Return a session's head as it is now if a user, not its owner, may do what is needed.

    It is read together with what is granted where the session was seen to be filed, and in no
    order: so that counts only if the session was there all the while. Raises NotFound and
    Forbidden.
    """
    session_id, casefile_id = seen.session_id, seen.casefile_id
    if casefile_id is None:
        return authorize(session_id, find(session_id), user_id)
    beside: list[Item] = []
    head = None
    for item in dynamodb.get_many([key(session_id), *grants.keys(casefile_id, user_id)]):
        if item["pk"] == partition(session_id):
            head = from_item(item)
        else:
            beside.append(item)
    granted = {}
    if head is not None and head.filed_at == seen.filed_at:
        granted[casefile_id] = grants.level_by(beside, user_id)
    return authorize(session_id, head, user_id, granted)


def create(request: CreateSessionRequest | CreateChatSessionRequest) -> SessionHead:
    """Open a session, filed at once if the request names a casefile.

    Answers a retry with the head as it was created. Raises NotFound if there is no such casefile
    of the caller's, SessionDeleted and RequestIdReused.
    """
    session_id = creation.new_id("ts" if request.operation == "create_session" else "cs", request)
    casefile_id = request.payload.casefile_id
    at, kind = to_milliseconds(now()), kind_of(session_id)
    item: Item = {
        **key(session_id),
        "kind": kind,
        "user_id": request.user_id,
        "title": request.payload.title,
        "created_at": at,
        "updated_at": at,
        "active": True,
        "metadata": to_json(request.metadata),
        "owner_list": lists.name(kind, request.user_id),
        "activity": lists.sort_key(at, session_id),
        "creation": lists.sort_key(at, session_id),
        "news": True,
        **({} if request.payload.stays_open else lists.at_stage("open", at, session_id)),
        **creation.origin(request),
    }
    try:
        if casefile_id is None:
            dynamodb.create(item)
        else:
            _create_filed(item | _filed(item, casefile_id, at), request.user_id)
    except ConditionFailed as taken:
        item = taken.item or item
        _check_origin(item, request)
    except (Forbidden, NotFound):
        # The casefile may have gone since the first try filed the session in it.
        existing = dynamodb.get(key(session_id))
        if existing is None:
            raise
        item = existing
        _check_origin(item, request)
    return _head(item | {"casefile_id": casefile_id})


def _filed(item: Item, casefile_id: str, at: int) -> Item:
    """What a head holds of its casefile."""
    listed = lists.name(item["kind"], casefile_id, active=item["active"])
    return {"casefile_id": casefile_id, "filed_at": at, "casefile_list": listed}


def _create_filed(item: Item, user_id: str) -> None:
    casefile_id = item["casefile_id"]
    for _ in attempts(f"Casefile {casefile_id}"):
        casefile = casefiles.authorize(casefile_id, user_id)
        creating = dynamodb.creating(item | {"total_sessions": casefile.session_count + 1})
        try:
            return dynamodb.transact([creating, casefiles.counting(casefile, 1)])
        except TransactionFailed as failed:
            taken = failed.found[0] if failed.found else None
            if taken is not None:
                raise ConditionFailed(taken or None) from failed
    raise AssertionError("attempts() ends by raising")


def _check_origin(item: Item, request: CreateSessionRequest | CreateChatSessionRequest) -> None:
    if "deleted_at" in item:
        raise SessionDeleted("The session that this request created was deleted. It stays deleted.")
    creation.check_origin(item, request)


def file(request: AddSessionToCasefileRequest) -> Filing:
    """File a session in a casefile; filing it there again gives the first answer.

    So does the same request again when it was taken out since. Raises NotFound for a session or
    casefile that isn't there or isn't the user's, Forbidden and AlreadyFiled.
    """
    session_id, casefile_id = request.payload.session_id, request.payload.casefile_id
    user_id, filed_by = request.user_id, [request.request_id.bytes, request.digest()]
    creation.check_age(request)
    for _ in attempts(f"Session {session_id}"):
        item = dynamodb.get(key(session_id)) or {}
        done = _filed_before(item, request)
        if done is not None:
            return done
        casefile = casefiles.authorize(casefile_id, user_id)
        head = authorize(session_id, from_item(item), user_id)
        if head.casefile_id == casefile_id:  # By another request. This one is known from now on.
            filing = Filing(casefile_id, item["total_sessions"], item["filed_at"])
            if head.user_id != user_id:
                return filing
            made, writes = {"updated_at": head.updated_at}, []
        else:
            if head.casefile_id is not None:
                raise AlreadyFiled(
                    f"Session {session_id} is filed in casefile {head.casefile_id} already. "
                    "A session is in one casefile at a time."
                )
            access.check_filing(session_id, user_id, head.user_id)
            made = _active_now(head)
            filing = Filing(casefile_id, casefile.session_count + 1, made["updated_at"])
            made |= _filed(item, casefile_id, filing.at)
            made |= {"total_sessions": filing.total_sessions, "news": True}
            writes = [casefiles.counting(casefile, 1)]
        writes.append(_rewriting(item, made | {"filed_by": filed_by}, "filed_by"))
        if "filed_by" in item:  # What told of the request before makes room.
            outcome: Item = {"total_sessions": item["total_sessions"], "at": item["filed_at"]}
            before, digest = item["filed_by"]
            writes.append(receipts.kept(user_id, before, digest, outcome, session_id))
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            dynamodb.transact(writes)
            return filing
    raise AssertionError("attempts() ends by raising")


def _filed_before(item: Item, request: AddSessionToCasefileRequest) -> Filing | None:
    """What a request was answered when it filed a session of who asks; None if it did not."""
    if item.get("user_id") != request.user_id:  # A tombstone names nobody.
        return None
    casefile_id, own = request.payload.casefile_id, request.request_id.bytes
    by, digest = item.get("filed_by", (None, None))
    if by == own and digest != request.digest():
        raise RequestIdReused(request.request_id)
    if by == own:
        return Filing(casefile_id, item["total_sessions"], item["filed_at"])
    if "filed_at" not in item:  # It was never filed.
        return None
    done = receipts.find(request, dynamodb.identifier(item))
    return Filing(casefile_id, done["total_sessions"], done["at"]) if done else None


def _active_now(head: SessionHead) -> Item:
    """What shows in a head that something happened just now. Its time never goes back."""
    at = max(to_milliseconds(now()), head.updated_at)
    return {"updated_at": at, "activity": lists.sort_key(at, head.session_id)}


def _rewriting(seen: Item, made: Item, *more: str) -> Write:
    """The write that sets fields of a head, on condition that it is listed where it was seen."""
    setting, values = dynamodb.setting(made)
    if "news" not in made:
        setting += " REMOVE news"
    condition, as_seen = _as_seen(seen, *more)
    return dynamodb.updating(
        dynamodb.key_of(seen), setting, condition=condition, values=values | as_seen
    )


def _as_seen(item: Item, *more: str) -> tuple[str, Item]:
    """The condition that what decides where a head is listed is as seen, and more; its values.

    And that `:updated_at`, to which it is set, is no step back.
    """
    terms, values = ["updated_at <= :updated_at"], {}
    for name in ("user_id", "casefile_id", "active", *more):
        if item.get(name) is None:
            terms.append(f"attribute_not_exists({name})")
        else:
            terms.append(f"{name} = :seen_{name}")
            values[f":seen_{name}"] = item[name]
    return " AND ".join(terms), values


def take_out(request: RemoveSessionFromCasefileRequest) -> tuple[int | None, int]:
    """Take a session out of a casefile; the same request again gets the first answer.

    Returns the casefile's total without it, None for who may not read the casefile, and the time.
    Raises NotFound, also if it isn't filed there, and Forbidden.
    """
    session_id, casefile_id = request.payload.session_id, request.payload.casefile_id
    user_id, at = request.user_id, to_milliseconds(now())
    may_read = access.includes(grants.level(casefile_id, user_id), access.VIEWER)

    def receipt(total: int) -> Write:
        outcome = {"total_sessions": total} if may_read else {}
        return receipts.leaving(request, at=at, **outcome)

    for _ in attempts(f"Session {session_id}"):
        done = receipts.find(request)
        if done is not None:
            return done.get("total_sessions"), done["at"]
        head = authorize(session_id, find(session_id), user_id)
        if head.casefile_id != casefile_id:
            raise not_filed(session_id, casefile_id)
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            total = leave(head, receipt)
            return total if may_read else None, at
    raise AssertionError("attempts() ends by raising")


def not_filed(session_id: str, casefile_id: str) -> NotFound:
    """The answer for a session that may be seen, and is not in the casefile that was named."""
    return NotFound(f"Session {session_id} is not filed in casefile {casefile_id}.")


def leave(head: SessionHead, *beside: Callable[[int], Write]) -> int:
    """Take a session out of its casefile, with what else is to be written, given the new total.

    Returns the casefile's total without it. Raises TransactionFailed if it is there no more.
    """

    def writes(total: int) -> list[Write]:
        setting, values = dynamodb.setting(_active_now(head) | {"news": True})
        leaving = dynamodb.updating(
            key(head.session_id),
            f"{setting} REMOVE casefile_id, casefile_list",
            condition="casefile_id = :casefile AND updated_at <= :updated_at",
            values=values | {":casefile": head.casefile_id},
        )
        return [leaving, *(write(total) for write in beside)]

    return casefiles.release_session(head.casefile_id or "", writes)


def change(request: UpdateSessionRequest | UpdateChatSessionRequest) -> tuple[SessionHead, int]:
    """Change what a session says of itself; returns its head as it is then, and when that was done.

    The same request again changes nothing. Raises NotFound and Forbidden.
    """
    session_id = request.payload.session_id
    changes: Item = request.payload.changes()
    if "metadata" in changes:
        changes["metadata"] = to_json(changes["metadata"])
    for _ in attempts(f"Session {session_id}"):
        item = dynamodb.get(key(session_id)) or {}
        head = authorize(session_id, from_item(item), request.user_id)
        done = receipts.find(request)
        if done is not None:
            return head, done["at"]
        made = changes | _active_now(head)
        at = made["updated_at"]
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            dynamodb.transact([_rewriting(item, made), receipts.leaving(request, at=at)])
            return find(session_id) or _head(item | made), at
    raise AssertionError("attempts() ends by raising")


def mark_closed(head: SessionHead, closing: Record) -> None:
    """Show in the head that the log is closed. The log decides; this may be repeated."""
    kind, at = kind_of(head.session_id), closing.at
    seen: Item = {"user_id": head.user_id, "casefile_id": head.casefile_id, "active": True}
    for _ in attempts(f"Session {head.session_id}"):
        made: Item = {
            "active": False,
            "closed_at": at,
            "totals": list(closing.totals),
            "recorded": closing.number,
            "updated_at": max(at, seen.get("updated_at", 0)),
            "activity": lists.sort_key(max(at, seen.get("updated_at", 0)), head.session_id),
            "owner_list": lists.name(kind, head.user_id, active=False),
            **lists.at_stage("closed", at, head.session_id),
        }
        if seen["casefile_id"] is not None:
            made["casefile_list"] = lists.name(kind, seen["casefile_id"], active=False)
        setting, values = dynamodb.setting(made)
        condition, as_seen = _as_seen(seen)
        try:
            dynamodb.update(
                key(head.session_id),
                f"{setting} REMOVE news",
                condition=condition,
                values=values | as_seen,
            )
        except ConditionFailed as found:
            if not found.item or not found.item.get("active"):  # It is shown already, or gone.
                return
            seen = {"casefile_id": None, **found.item}
        else:
            return


def mark_archived(head: SessionHead, closed_at: int) -> None:
    """Show in the head that the archive has the session. Raises NotFound if it was deleted."""
    made: Item = {
        "archived_at": to_milliseconds(now()),
        **lists.at_stage("archived", closed_at, head.session_id),
    }
    setting, values = dynamodb.setting(made)
    try:
        dynamodb.update(
            key(head.session_id),
            f"{setting} REMOVE news",
            condition="user_id = :user AND active = :no",
            values=values | {":user": head.user_id, ":no": False},
        )
    except ConditionFailed:
        raise access.missing_session(head.session_id) from None


def mark_settled(session_id: str, stage: lists.Stage, *more: str) -> None:
    """Take a session from the list of a stage, and more from it: nothing is left to be done."""
    with contextlib.suppress(ConditionFailed):  # It is there no more.
        dynamodb.update(
            key(session_id),
            f"REMOVE {', '.join(('stage_list', 'since', 'news', *more))}",
            condition="begins_with(stage_list, :stage)",
            values={":stage": f"{stage}#"},
        )


def refresh(session_id: str, newest: Record) -> None:
    """Show in the head what the log had come to with a record.

    Does nothing if the head shows that or more, or if the session is gone. So it may come late, or
    twice.
    """
    if newest.kind == "closed":
        item = dynamodb.get(key(session_id)) or {}
        if item.get("active"):  # Whoever closed it could not show it.
            mark_closed(_head(item), newest)
        return
    at = newest.at
    values: Item = {":recorded": newest.number, ":totals": list(newest.totals), ":yes": True}
    condition = "active = :yes AND (attribute_not_exists(recorded) OR recorded < :recorded)"
    setting = "SET recorded = :recorded, totals = :totals"
    try:
        dynamodb.update(
            key(session_id),
            f"{setting}, updated_at = :at, activity = :activity REMOVE news",
            condition=f"{condition} AND updated_at < :at",
            values=values | {":at": at, ":activity": lists.sort_key(at, session_id)},
        )
    except ConditionFailed as found:
        head = found.item or {}
        is_behind = head.get("recorded", 0) < newest.number
        if is_behind and head.get("updated_at", 0) >= at:  # Changed since, it keeps that time.
            with contextlib.suppress(ConditionFailed):
                dynamodb.update(
                    key(session_id), f"{setting} REMOVE news", condition=condition, values=values
                )


def listed(
    request: ListSessionsRequest | ListChatSessionsRequest | ListCasefileSessionsRequest,
    *kinds: SessionKind,
) -> lists.Page:
    """A page of a user's own sessions of some kinds, or of those of a casefile.

    Raises NotFound for a casefile that the user may not read, Forbidden and BadRequest.
    """
    asked, user_id = request.payload, request.user_id
    if asked.casefile_id is not None:
        casefiles.authorize(asked.casefile_id, user_id)
        chosen = lists.of_sessions("casefile", asked.casefile_id, kinds, asked.active_only)
        owner = asked.user_id
    else:
        access.check_listing(user_id, asked.user_id, "casefile_id, those of a casefile")
        chosen = lists.of_sessions("owner", user_id, kinds, asked.active_only)
        owner = None

    def sift(entries: list[Item]) -> tuple[list[Item], int]:
        fitting = [
            entry
            for entry in entries
            if owner in (None, entry["user_id"]) and lists.bears(entry, asked.tags)
        ]
        return fitting, 0

    return lists.read(chosen, asked, user_id, lists.Sift(sift) if owner or asked.tags else None)


def perhaps_idle(session_ids: Iterable[str], since: int) -> Iterator[str]:
    """Those of some sessions whose heads show nothing since a time, in milliseconds since 1970.

    Heads lag behind the log, and never run ahead of it.
    """
    for item in dynamodb.get_many([key(each) for each in session_ids], strong=False):
        if item.get("active") and item["updated_at"] < since:
            yield dynamodb.identifier(item)


def tool_summary(entry: Item) -> SessionSummary:
    """A tool session as a list shows it."""
    totals = Totals.read(entry.get("totals", []))
    return views.SessionSummary(**_line(entry, totals), request_count=totals.requests)


def chat_summary(entry: Item) -> ChatSessionSummary:
    """A chat session as a list shows it."""
    totals = Totals.read(entry.get("totals", []))
    return views.ChatSessionSummary(**_line(entry, totals), message_count=totals.messages)


def summary(entry: Item) -> SessionSummary | ChatSessionSummary:
    """A session of either kind as a list shows it."""
    return tool_summary(entry) if entry["kind"] == "tool" else chat_summary(entry)


def _line(entry: Item, totals: Totals) -> dict[str, Any]:
    return {
        "session_id": dynamodb.identifier(entry),
        "user_id": entry["user_id"],
        "casefile_id": entry.get("casefile_id"),
        "title": entry.get("title"),
        "tags": entry.get("tags", []),
        "created_at": text_of(entry["created_at"]),
        "updated_at": text_of(entry["updated_at"]),
        "active": entry["active"],
        "event_count": totals.events,
    }
