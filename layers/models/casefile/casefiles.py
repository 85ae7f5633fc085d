"""Casefiles: the head of each, and the count of the sessions filed in it.

The count goes from c to c + 1 only if it still is c, in the same transaction that writes the
session. So it equals the number of sessions filed, at any moment, and each filing knows its own
exact total.

    pk CASEFILE#<casefile_id>   sk HEAD, and its grants, see grants.py
"""

from __future__ import annotations

import contextlib
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_models import canonical, operations, views
from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import now, text_of, to_milliseconds
from pydantic_models.canonical.permission_level import PermissionLevel

from . import access, casefile_heads, creation, dynamodb, grants, lists, receipts
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed, Write
from .errors import BadRequest, LegalHold, NotFound, Outdated
from .log import logger

if TYPE_CHECKING:
    from pydantic_models.canonical import CasefileModel, LegalHoldEntry
    from pydantic_models.operations import (
        CheckPermissionRequest,
        CreateCasefileRequest,
        GetCasefilePayload,
        GetCasefileRequest,
        ListCasefilesPayload,
        ListCasefilesRequest,
        ListPermissionsPayload,
        ListPermissionsRequest,
        PermissionListPayload,
        SetLegalHoldRequest,
        UpdateCasefileRequest,
    )
    from pydantic_models.views import CasefileSummary

    from .grants import Permissions

OPENED_AT_ONCE = 50

MAX_OPENED = 200
"""Read units that an answer takes to open casefiles of others: a head of up to 4 KB is one."""


@dataclass(frozen=True)
class CasefileHead:
    """A casefile as stored; times are in milliseconds since 1970.

    `hold_asked_at` is when the latest request about a legal hold was made, 0 if there was none.
    """

    casefile_id: str
    user_id: str
    created_by: str
    title: str
    description: str
    tags: list[str]
    created_at: int
    updated_at: int
    session_count: int
    metadata: dict[str, Any]
    notes: str | None
    hold: LegalHoldEntry | None
    hold_changed_at: int
    hold_asked_at: int


def _head(casefile_id: str, item: Item) -> CasefileHead:
    return CasefileHead(
        casefile_id=casefile_id,
        user_id=item["user_id"],
        created_by=item["created_by"],
        title=item["title"],
        description=item["description"],
        tags=item["tags"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        session_count=item["session_count"],
        metadata=json.loads(item["metadata"]),
        notes=item.get("notes"),
        hold=_hold(item),
        hold_changed_at=item.get("hold_changed_at") or item["created_at"],
        hold_asked_at=item.get("hold_asked_at", 0),
    )


def _hold(item: Item) -> LegalHoldEntry | None:
    if "held_at" not in item:
        return None
    return canonical.LegalHoldEntry(
        placed_by=item["held_by"], placed_at=text_of(item["held_at"]), reason=item.get("held_for")
    )


def create(request: CreateCasefileRequest) -> CasefileHead:
    """Open a casefile of the caller's. Raises RequestIdReused."""
    casefile_id = creation.new_id("cf", request)
    at = to_milliseconds(now())
    item: Item = {
        **casefile_heads.key(casefile_id),
        "user_id": request.user_id,
        "created_by": request.user_id,
        "title": request.payload.title,
        "description": request.payload.description,
        "tags": request.payload.tags,
        "created_at": at,
        "updated_at": at,
        "session_count": 0,
        "metadata": to_json(request.metadata),
        "owner_list": lists.name(casefile_heads.KIND, request.user_id),
        "activity": lists.sort_key(at, casefile_id),
        "creation": lists.sort_key(at, casefile_id),
        "news": True,
        **creation.origin(request),
    }
    try:
        dynamodb.create(item)
    except ConditionFailed as taken:
        item = taken.item or item
        if not casefile_heads.is_alive(item):
            raise NotFound(
                "The casefile that this request created was deleted. It stays deleted."
            ) from None
        creation.check_origin(item, request)
    return _head(casefile_id, item)


def authorize(casefile_id: str, user_id: str) -> CasefileHead:
    """The casefile as it is now, if the user may do what the operation needs.

    Raises NotFound and Forbidden.
    """
    item = casefile_heads.find(casefile_id)
    if not casefile_heads.is_alive(item):
        raise access.missing_casefile(casefile_id)
    if item["user_id"] != user_id:  # The owner's rights need no other read.
        item = grants.authorize(casefile_id, user_id).casefile
    return _head(casefile_id, item)


def access_list(request: ListPermissionsRequest) -> PermissionListPayload:
    """Who may do what, as far as the user may see it: a page of it.

    Raises NotFound and Forbidden, and BadRequest for a cursor that is none of it.
    """
    asked, user_id = request.payload, request.user_id
    return _access_list(grants.authorize(asked.casefile_id, user_id), asked, user_id)


def _access_list(
    permissions: Permissions, asked: ListPermissionsPayload, user_id: str
) -> PermissionListPayload:
    page = grants.page(permissions, asked, user_id)
    return operations.PermissionListPayload(
        casefile_id=asked.casefile_id,
        owner_id=permissions.owner,
        public_access=permissions.granted(grants.EVERYBODY),
        permissions=page.entries,
        total_users=1 + page.total_count,
        total_is_exact=page.total_is_exact,
        cursor=page.cursor,
    )


def level_of(request: CheckPermissionRequest) -> PermissionLevel:
    """What a user may do, told to who asks. Raises NotFound and Forbidden."""
    asked, asking = request.payload, request.user_id
    permissions = grants.authorize(asked.casefile_id, asking, asked.user_id)
    access.check_asking(permissions.level(asking), is_self=asking == asked.user_id)
    return permissions.level(asked.user_id)


def read(request: GetCasefileRequest) -> tuple[CasefileModel, str | None]:
    """A casefile with ids of its sessions, and the cursor of the next ids.

    Raises NotFound, and BadRequest for a cursor that is none of it.
    """
    asked, user_id = request.payload, request.user_id
    return _shown(grants.authorize(asked.casefile_id, user_id), asked, user_id)


def _shown(
    permissions: Permissions, asked: GetCasefilePayload, user_id: str
) -> tuple[CasefileModel, str | None]:
    """A casefile as it was seen, to a user who may read it."""
    casefile_id = asked.casefile_id
    head = _head(casefile_id, permissions.casefile)
    page = lists.read(_filed(casefile_id), asked.sessions(), user_id)
    everybody = operations.ListPermissionsPayload(casefile_id=casefile_id)
    who = _access_list(permissions, everybody, user_id)
    casefile = canonical.CasefileModel(
        casefile_id=casefile_id,
        metadata=canonical.CasefileMetadata(
            title=head.title,
            description=head.description,
            tags=head.tags,
            created_by=head.created_by,
            created_at=text_of(head.created_at),
            updated_at=text_of(head.updated_at),
            request_metadata=head.metadata,
        ),
        acl=canonical.CasefileACL(
            owner_id=who.owner_id,
            permissions=who.permissions,
            public_access=who.public_access,
            cursor=who.cursor,
        ),
        session_ids=[dynamodb.identifier(entry) for entry in page.items],
        session_count=head.session_count,
        notes=head.notes,
        legal_hold=head.hold,
    )
    return casefile, page.cursor


def _filed(casefile_id: str) -> lists.Lists:
    return lists.of_sessions("casefile", casefile_id, ("tool", "chat"), active_only=False)


def session_ids(casefile_id: str) -> Iterator[str]:
    """Ids of all sessions filed here, as the indexes show them."""
    return map(dynamodb.identifier, lists.everything(_filed(casefile_id)))


def release_session(
    casefile_id: str,
    writes: Callable[[int], list[Write]],
) -> int:
    """Do `writes(total)` to a session filed here, and count one session less: all or nothing.

    Returns the total without it. Raises LegalHold, and TransactionFailed if a condition of `writes`
    did not hold.
    """
    for _ in attempts(f"Casefile {casefile_id}"):
        item = casefile_heads.find(casefile_id) or {}
        if "session_count" not in item:  # It was deleted just now, so the session is out of it.
            raise TransactionFailed([])
        casefile = _head(casefile_id, item)
        if casefile.hold is not None:
            raise LegalHold(casefile_id)
        total = casefile.session_count - 1
        try:
            dynamodb.transact([counting(casefile, -1), *writes(total)])
            return total
        except TransactionFailed as failed:
            if any(found is not None for found in failed.found[1:]):
                raise
    raise AssertionError("attempts() ends by raising")


def change(request: UpdateCasefileRequest) -> CasefileModel:
    """Change what a casefile says of itself, and return it as it is then.

    The same request again changes nothing. Raises NotFound and Forbidden.
    """
    casefile_id, user_id = request.payload.casefile_id, request.user_id
    changes: Item = request.payload.changes()
    asked = operations.GetCasefilePayload(casefile_id=casefile_id)
    for _ in attempts(f"Casefile {casefile_id}"):
        permissions = grants.authorize(casefile_id, user_id)
        seen = permissions.casefile
        if receipts.find(request) is not None:
            return _shown(permissions, asked, user_id)[0]
        at = max(to_milliseconds(now()), seen["updated_at"])
        made = changes | casefile_heads.active(casefile_id, at)
        # Before it is made: right after, who asks may be somebody who may not see it any more.
        shown = _shown(permissions._replace(casefile=seen | made), asked, user_id)[0]
        setting, values = dynamodb.setting(made)
        update = casefile_heads.if_owned(
            casefile_id, permissions.owner, f"{setting} REMOVE news", values
        )
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            dynamodb.transact([update, receipts.leaving(request)])
            return shown
    raise AssertionError("attempts() ends by raising")


def hold(request: SetLegalHoldRequest) -> tuple[LegalHoldEntry | None, int]:
    """Put a casefile under legal hold, or lift it; returns the hold then, and when that changed.

    A hold that is there stays as it was placed. A request that comes again changes nothing, and
    gets the first answer; one that comes late undoes nothing that was asked for after it was made.
    Raises NotFound, Forbidden and Outdated.
    """
    asked, user_id = request.payload, request.user_id
    casefile_id, made_at = asked.casefile_id, request.made_at()
    for _ in attempts(f"Casefile {casefile_id}"):
        done = receipts.find(request)
        if done is not None:
            return _held(request, done)
        casefile = authorize(casefile_id, user_id)
        seen = casefile.hold_asked_at
        done = {"is_change": (casefile.hold is not None) != asked.hold}
        if done["is_change"] and to_milliseconds(made_at + creation.CLOCK_ALLOWANCE) < seen:
            raise Outdated(
                f"Casefile {casefile_id} is{'' if casefile.hold else ' not'} under legal hold, as "
                f"was asked for at {text_of(seen)}, later than this request was made. Look at the "
                "casefile; if that is to be changed all the same, send a new request."
            )
        if done["is_change"]:
            at = max(to_milliseconds(now()), casefile.updated_at)
            made = casefile_heads.active(casefile_id, at) | {"hold_changed_at": at}
            made |= {"held_at": at, "held_by": user_id} if asked.hold else {}
            made |= {"held_for": asked.reason} if asked.hold and asked.reason else {}
        else:
            made = {"hold_changed_at": casefile.hold_changed_at}
            done |= {"found": casefile.hold.model_dump_json()} if casefile.hold else {}
        done["at"] = made["hold_changed_at"]
        made["hold_asked_at"] = max(to_milliseconds(made_at), seen + 1)
        setting, values = dynamodb.setting(made)
        lifted = "" if asked.hold else ", held_at, held_by, held_for"
        as_seen = "hold_asked_at = :seen" if seen else "attribute_not_exists(hold_asked_at)"
        values |= {":seen": seen or None}
        update = casefile_heads.if_owned(
            casefile_id, casefile.user_id, f"{setting} REMOVE news{lifted}", values, as_seen
        )
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            dynamodb.transact([update, receipts.leaving(request, **done)])
            return _held(request, done)
    raise AssertionError("attempts() ends by raising")


def _held(request: SetLegalHoldRequest, done: Item) -> tuple[LegalHoldEntry | None, int]:
    """The answer to a request, given what its receipt holds; a change that it made is logged.

    So also when it comes again: the first time may have ended before it was logged.
    """
    asked, user_id, at = request.payload, request.user_id, int(done["at"])
    if not done["is_change"]:
        found = done.get("found")
        return canonical.LegalHoldEntry.model_validate_json(found) if found else None, at
    logger.info(
        "legal hold changed",
        casefile_id=asked.casefile_id,
        user_id=user_id,
        is_held=asked.hold,
        request_id=str(request.request_id),
    )
    if not asked.hold:
        return None, at
    placed_at = text_of(at)
    return canonical.LegalHoldEntry(placed_by=user_id, placed_at=placed_at, reason=asked.reason), at


def check_hold(casefile_id: str) -> None:
    """Raise LegalHold if a casefile is under it now."""
    if "held_at" in (casefile_heads.find(casefile_id) or {}):
        raise LegalHold(casefile_id)


def counting(casefile: CasefileHead, more: int) -> Write:
    """The write that counts sessions, if as many are filed as were seen."""
    at = max(to_milliseconds(now()), casefile.updated_at)
    setting, values = dynamodb.setting(
        {
            "session_count": casefile.session_count + more,
            **casefile_heads.active(casefile.casefile_id, at),
        }
    )
    return dynamodb.updating(
        casefile_heads.key(casefile.casefile_id),
        f"{setting} REMOVE news",
        condition="session_count = :count AND user_id = :owner"
        f" AND attribute_not_exists({'deleting_at' if more > 0 else 'held_at'})",
        values=values | {":count": casefile.session_count, ":owner": casefile.user_id},
    )


def listed(request: ListCasefilesRequest) -> lists.Page:
    """A page of the casefiles that a user owns, or that others opened to them or to everybody.

    Raises Forbidden and BadRequest.
    """
    asked, user_id = request.payload, request.user_id
    words = _words(asked.search_query or "")
    if asked.search_query and not (words or asked.search_query.isspace()):
        raise BadRequest(
            "search_query has no letter and no digit, and words are made of these. Search for a "
            "word, or leave it out to list all."
        )
    if asked.scope == "own":
        instead = "scope=shared or scope=public, those of others that you may see"
        access.check_listing(user_id, asked.user_id, instead)
        chosen = lists.Lists("owner", [lists.name(casefile_heads.KIND, user_id)])
        is_filtered = bool(words or asked.tags)
        sift = lists.Sift(lambda entries: (_fitting(entries, asked, words), 0))
        return lists.read(chosen, asked, user_id, sift if is_filtered else None)

    granted = grants.EVERYBODY if asked.scope == "public" else user_id
    chosen = lists.Lists("owner", [lists.name(grants.KIND, granted)])

    def open_and_sift(entries: list[Item]) -> tuple[list[Item], int]:
        opened, units = _opened(entries, granted)
        fitting = _fitting(opened, asked, words)
        return [each for each in fitting if asked.user_id in (None, each["user_id"])], units

    reads_on = words or asked.tags or asked.user_id or asked.exact_total
    at_once = OPENED_AT_ONCE if reads_on else 1
    sift = lists.Sift(open_and_sift, at_once, read_at_once=OPENED_AT_ONCE, at_most=MAX_OPENED)
    return lists.read(chosen, asked.model_copy(update={"order": "creation"}), user_id, sift)


def _opened(entries: list[Item], granted: str) -> tuple[list[Item], int]:
    """The casefiles that are granted still, each at the place of its grant; and the units it took.

    A grant is believed as the index shows it, unless the head tells that one was taken away since.
    """
    at = to_milliseconds(now())
    places = {
        lists.identifier(entry["creation"]): entry["creation"]
        for entry in entries
        if at < entry.get("expires_at", at + 1)
    }
    found = list(dynamodb.get_many(map(casefile_heads.key, places)))
    heads = {dynamodb.identifier(head): head for head in found if casefile_heads.is_alive(head)}
    doubted = {
        casefile_id
        for casefile_id, head in heads.items()
        if places[casefile_id] < lists.sort_key(head.get("narrowed_at", 0), "")
    }
    believed = heads.keys() - (doubted - grants.granted_now(doubted, granted))
    opened = [
        heads[casefile_id] | {"creation": place}
        for casefile_id, place in places.items()
        if casefile_id in believed
    ]
    missing = len(places) - len(found)
    return opened, sum(map(dynamodb.get_units, found)) + missing + len(doubted)


def _fitting(entries: list[Item], asked: ListCasefilesPayload, words: list[str]) -> list[Item]:
    return [
        entry for entry in entries if lists.bears(entry, asked.tags) and _is_about(entry, words)
    ]


def _is_about(casefile: Item, beginnings: list[str]) -> bool:
    """Whether, for each beginning, a word of title or description begins so."""
    words = _words(f"{casefile['title']} {casefile['description']}") if beginnings else []
    return all(any(word.startswith(each) for word in words) for each in beginnings)


_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Marks that say how what stands before them is to look: a picture, mostly."""

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not take for accented ones."""


def _words(text: str) -> list[str]:
    """The words of a text, of letters and digits, in small letters without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = plain.translate({ord(letter): _in_a_word(letter) for letter in set(plain)})
    words = plain.casefold().translate(_LETTERS).split()
    return [word for word in words if any(map(str.isalnum, word))]


def _in_a_word(letter: str) -> str:
    """What stands for a letter: nothing for an accent, a space for what ends a word.

    An accent is a mark without which a word is still that word, like points of vowels, or what
    strikes it out. Elsewhere, marks are the vowels (India, Thailand), or make another letter
    (Japan). Source: the Unicode standard, 4.3, "Combining classes".
    """
    combining = unicodedata.combining(letter)
    if combining >= 200 or 10 <= combining <= 36 or combining == 1:
        return ""
    is_vowel = unicodedata.category(letter) in ("Mn", "Mc") and letter not in _VARIATIONS
    return letter if is_vowel or letter.isalnum() else " "


def summary(entry: Item) -> CasefileSummary:
    """A casefile as a list shows it."""
    return views.CasefileSummary(
        casefile_id=dynamodb.identifier(entry),
        owner_id=entry["user_id"],
        title=entry["title"],
        description=entry["description"],
        tags=entry["tags"],
        created_at=text_of(entry["created_at"]),
        updated_at=text_of(entry["updated_at"]),
        resource_count=0,
        session_count=entry["session_count"],
    )
