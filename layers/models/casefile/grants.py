"""Grants: what somebody may do with a casefile, given by whom, until when.

A grant is written on condition that it is what its giver saw, and that the giver's own has not
changed, in one transaction. So no two changes that cross give anybody more than a giver had. What
everybody may do is a grant to everybody; what was revoked stays for a day as a grant of nothing.

    pk CASEFILE#<casefile_id>   sk GRANT#<user_id>, or GRANT#* for everybody
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_models import canonical
from pydantic_models.base.times import from_text, now, text_of, to_milliseconds
from pydantic_models.canonical.permission_level import PermissionLevel

from . import access, casefile_heads, cursors, dynamodb, lists, receipts
from .access import ADMIN, NONE, OWNER, Grant
from .attempts import attempts
from .dynamodb import ConditionFailed, Item, TransactionFailed, Write
from .errors import BadRequest, NotFound
from .log import logger

if TYPE_CHECKING:
    from pydantic_models.canonical import PermissionEntry
    from pydantic_models.operations import (
        GrantPermissionRequest,
        ListPermissionsPayload,
        RevokePermissionRequest,
    )

KIND = "grant"
"""Of the lists in which people find what is shared with them."""

REVOKED = "revoked"
"""Of the lists of what is not any more, while it is remembered."""

ERASED = "svc_erased"
"""Named in place of a user who was erased."""

EVERYBODY = "*"
"""In place of a user: all who are signed in."""

REMEMBERED_SECONDS = 24 * 60 * 60
"""How long what was revoked is remembered."""

DELETED = "casefile deleted"
"""Why a deleted casefile's grants end, in the log."""

_PREFIX, _BEYOND_ALL = "GRANT#", "GRANT$"
"""Of the slots of all grants, and a slot above them: in their order, $ follows #."""

MAX_LOOKED_AT = 1000
"""Grants that one page looks at: those worth nothing any more are not shown."""


class Permissions(NamedTuple):
    """What users may do with a casefile, and the items that say so; `at` is the time of reading."""

    casefile: Item
    grants: dict[str, Item]
    at: int

    @property
    def owner(self) -> str:
        """Whose casefile it is."""
        return str(self.casefile["user_id"])

    def granted(self, user: str) -> PermissionLevel:
        """What a user was granted, if it has not expired; what everybody may do is not in it."""
        return access.level_granted(_grant(self.grants.get(user)), self.at)

    def level(self, user: str) -> PermissionLevel:
        """What a user may do."""
        public = self.granted(EVERYBODY)
        return access.level_in_casefile(user, self.owner, public, self.granted(user))


class Page(NamedTuple):
    """What some were granted, how many that makes up to here, and where it goes on."""

    entries: list[PermissionEntry]
    total_count: int
    total_is_exact: bool
    cursor: str | None


def _grant(item: Item | None) -> Grant | None:
    return Grant(PermissionLevel(item["level"]), item.get("expires_at")) if item else None


def keys(casefile_id: str, *users: str) -> list[Item]:
    """The keys of what says what is granted to users and to everybody in a casefile."""
    granted = (_key(casefile_id, user) for user in {*users, EVERYBODY})
    return [casefile_heads.key(casefile_id), *granted]


def _permissions_in(items: Iterable[Item]) -> Permissions | None:
    """What the items of a casefile that were read by these keys say; None if there is none."""
    found = {item["sk"]: item for item in items}
    casefile = found.pop(casefile_heads.HEAD, None)
    if not casefile_heads.is_alive(casefile):
        return None
    grants = {grantee(item): item for item in found.values()}
    return Permissions(casefile, grants, to_milliseconds(now()))


def look(casefile_id: str, *users: str) -> Permissions | None:
    """What is granted to users and to everybody in a casefile now; None if there is none."""
    return _permissions_in(dynamodb.get_many(keys(casefile_id, *users)))


def level(casefile_id: str, user: str) -> PermissionLevel:
    """What a user may do with a casefile now; nothing if there is none."""
    return level_by(dynamodb.get_many(keys(casefile_id, user)), user)


def level_by(items: Iterable[Item], user: str) -> PermissionLevel:
    """What a user may do with a casefile, by its items; nothing if there is none."""
    permissions = _permissions_in(items)
    return permissions.level(user) if permissions else NONE


def authorize(casefile_id: str, user: str, *others: str) -> Permissions:
    """What is granted to a user, who may do what the operation needs, and to others.

    Raises NotFound and Forbidden.
    """
    permissions = look(casefile_id, user, *others)
    if permissions is None:
        raise access.missing_casefile(casefile_id)
    access.require_casefile(casefile_id, permissions.level(user))
    return permissions


def _everyone(
    casefile_id: str, first: str = "", at_once: int | None = None
) -> Iterator[tuple[str, Item]]:
    """Who was granted what, by name, from one on; also what is worth nothing any more."""
    pages = dynamodb.query(
        "pk = :casefile AND sk BETWEEN :first AND :end",
        {
            ":casefile": casefile_heads.partition(casefile_id),
            ":first": slot(first),
            ":end": _BEYOND_ALL,
        },
        ConsistentRead=True,
        **({"Limit": at_once} if at_once else {}),
    )
    for page, _ in pages:
        for item in page:
            yield grantee(item), item


def page(permissions: Permissions, asked: ListPermissionsPayload, user: str) -> Page:
    """What is granted to others than the owner, by name: admins see it all, others their own.

    Raises BadRequest for a cursor of another list.
    """
    casefile_id, own = asked.casefile_id, permissions.grants.get(user)
    of = json.dumps([user, "grants", casefile_id])
    first, passed = cursors.read(asked.cursor, of) if asked.cursor is not None else ("", 0)
    seen: Iterable[tuple[str, Item]] = [(user, own)] if own else []
    is_admin = access.includes(permissions.level(user), ADMIN)
    if is_admin:
        # Beside a page are everybody, the owner, and one by whom it is seen to be more.
        seen = _everyone(casefile_id, first, at_once=asked.limit + 3)
    entries: list[PermissionEntry] = []
    for looked_at, (name, item) in enumerate(seen):
        is_worth_something = access.level_granted(_grant(item), permissions.at) is not NONE
        is_shown = is_worth_something and name not in (EVERYBODY, permissions.owner)
        if looked_at == MAX_LOOKED_AT or (is_shown and len(entries) == asked.limit):
            total = passed + len(entries)
            return Page(entries, total, False, cursors.sign([name, total], of))
        if is_shown:
            entries.append(_entry(name, item))
    return Page(entries, passed + len(entries), is_admin, None)


def _entry(user: str, item: Item) -> PermissionEntry:
    expires_at = item.get("expires_at")
    return canonical.PermissionEntry(
        user_id=user,
        permission=item["level"],
        granted_by=item["granted_by"],
        granted_at=text_of(item["at"]),
        expires_at=None if expires_at is None else text_of(expires_at),
        notes=item.get("notes"),
    )


def grant(request: GrantPermissionRequest) -> int:
    """Give somebody a level in a casefile, or everybody, or hand it over.

    Returns the time of the change. Raises NotFound, Forbidden and BadRequest.
    """
    asked = request.payload
    expires_at = None
    if asked.permission is NONE:
        raise BadRequest("To take a permission away, revoke it.")
    if asked.permission is OWNER and asked.expires_at is not None:
        raise BadRequest("A casefile is handed over for good: without expires_at.")
    if asked.target_user_id == EVERYBODY:
        access.check_public(asked.permission)
    if asked.expires_at is not None:
        expires_at = to_milliseconds(from_text(asked.expires_at))
    return _change(
        request, asked.permission, {"expires_at": expires_at, "notes": asked.notes or None}
    )


def revoke(request: RevokePermissionRequest) -> int:
    """Take away what somebody was granted in a casefile, or everybody.

    Returns the time of the change. Raises NotFound, also if nothing was granted, and Forbidden.
    """
    forgotten_at = to_milliseconds(now()) // 1000 + REMEMBERED_SECONDS
    return _change(request, NONE, {"ttl": forgotten_at})


def _change(
    request: GrantPermissionRequest | RevokePermissionRequest,
    after: PermissionLevel,
    more: dict[str, Any],
) -> int:
    casefile_id, target = request.payload.casefile_id, request.payload.target_user_id
    user, expires_at = request.user_id, more.get("expires_at")
    for _ in attempts(f"Casefile {casefile_id}"):
        done = receipts.find(request)
        if done is not None:
            return _log_change(request, after, expires_at, done)
        permissions = authorize(casefile_id, user, target)
        if expires_at is not None and expires_at <= permissions.at:
            raise BadRequest("expires_at has passed already: the grant would be worth nothing.")
        own, before = permissions.level(user), permissions.granted(target)
        access.check_sharing(
            own, before, after, is_owner=target == permissions.owner, is_self=target == user
        )
        if after is before is NONE:
            raise NotFound(f"Nothing is granted to {target} in casefile {casefile_id}.")
        at = _time_after(permissions, target)
        done = {"at": at, "before": before.value}
        writes = _writes(request, permissions, after, at, more)
        with contextlib.suppress(TransactionFailed):  # Something changed just now: look again.
            dynamodb.transact([*writes, receipts.leaving(request, **done)])
            return _log_change(request, after, expires_at, done)
    raise AssertionError("attempts() ends by raising")


def _writes(
    request: GrantPermissionRequest | RevokePermissionRequest,
    permissions: Permissions,
    after: PermissionLevel,
    at: int,
    more: dict[str, Any],
) -> list[Write]:
    """The writes that change a grant at a time, if all is as it was seen."""
    casefile_id, target = request.payload.casefile_id, request.payload.target_user_id
    user, casefile = request.user_id, permissions.casefile
    seen, before = permissions.grants.get(target), permissions.granted(target)
    given = {"granted_by": user, "at": at, "request_id": request.request_id.bytes}
    if after is OWNER:
        # A new owner finds it among their own; what is granted to them is told all the same.
        granted = {"level": after.value, **given, **more, "news": True}
        mine = {"level": ADMIN.value, **given, **_listed(casefile_id, user, at, ADMIN)}
        return [
            _put(casefile_id, target, seen, granted),
            _put(casefile_id, user, permissions.grants.get(user), mine),
            casefile_heads.handing_over(casefile, target, at),
        ]
    # While it holds it keeps its place, or who walks through the list would miss it.
    place = seen.get("creation") if seen and before is not NONE else None
    listed = _listed(casefile_id, target, at, after, place)
    granted = {"level": after.value, **given, **more, **listed}
    is_narrower = before is not NONE and (after is NONE or more.get("expires_at") is not None)
    writes = [
        _put(casefile_id, target, seen, granted),
        casefile_heads.narrowing(casefile, at)
        if is_narrower
        else casefile_heads.keeping_owner(casefile),
    ]
    if permissions.level(user) is not OWNER and target != user:
        writes.append(_unchanged(casefile_id, user, permissions.grants[user]))
    return writes


def _time_after(permissions: Permissions, user: str) -> int:
    """Now, or just after what a user was granted, or when a grant was taken away, if that is later.

    So what one user is granted has an order, whichever clocks told the times.
    """
    seen = permissions.grants.get(user)
    narrowed_at = permissions.casefile.get("narrowed_at", 0)
    return max(permissions.at, int(narrowed_at), int(seen["at"]) + 1 if seen else 0)


def _log_change(
    request: GrantPermissionRequest | RevokePermissionRequest,
    after: PermissionLevel,
    expires_at: int | None,
    done: Item,
) -> int:
    """Log a change that was made, given what its receipt holds; returns its time.

    So also when the request comes again: the first time may have ended before it was logged.
    """
    casefile_id, user = request.payload.casefile_id, request.user_id
    why = {"user_id": user, "request_id": str(request.request_id)}
    before = PermissionLevel(done["before"])
    _log(casefile_id, request.payload.target_user_id, before, after, why, expires_at)
    if after is OWNER:
        _log(casefile_id, user, OWNER, ADMIN, why)
    return int(done["at"])


def _log(
    casefile_id: str,
    target: str,
    before: PermissionLevel,
    after: PermissionLevel,
    why: Mapping[str, str],
    expires_at: int | None = None,
) -> None:
    """Log that somebody's access to a casefile changed; `why` names who did it, or what."""
    logger.info(
        "access changed",
        casefile_id=casefile_id,
        target_user_id=target,
        before=before.value,
        after=after.value,
        expires_at=None if expires_at is None else text_of(expires_at),
        **why,
    )


def _listed(
    casefile_id: str, user: str, at: int, level: PermissionLevel, place: str | None = None
) -> Item:
    """Where somebody finds what is shared with them, and that it is to be told."""
    kind, place = REVOKED if level is NONE else KIND, place or lists.sort_key(at, casefile_id)
    return {"owner_list": lists.name(kind, user), "creation": place, "news": True}


def forget(casefile_id: str, user: str) -> None:
    """Take a user's name out of a casefile of somebody else: the grant, and whom the user gave to.

    What the user gave to others stays theirs.
    """
    permissions = look(casefile_id, user)
    end = (to_milliseconds(now()), "user erased")
    if permissions is None:  # All grants in it have ended already.
        casefile = casefile_heads.find(casefile_id) or {}
        end = (casefile.get("deleting_at", end[0]), DELETED)
    for granted, item in _everyone(casefile_id):
        if granted == user:
            _log_end(casefile_id, user, item, *end)
        elif item["granted_by"] == user:
            _replace_name(item, "granted_by", user)
    for name in ("created_by", "held_by"):
        _replace_name(casefile_heads.key(casefile_id), name, user)
    before = permissions.granted(user) if permissions else NONE
    if permissions and before is not NONE:
        casefile_heads.narrow(casefile_id, _time_after(permissions, user))
    dynamodb.delete_many([_key(casefile_id, user)])


def forget_all(casefile: Item) -> None:
    """Delete the grants of a casefile that is being deleted, in which they are worth nothing.

    Its owner's access and theirs is logged to have ended first: whoever goes on logs it again.
    """
    casefile_id = dynamodb.identifier(casefile)
    _log(casefile_id, casefile["user_id"], OWNER, NONE, {"why": DELETED})
    found = dict(_everyone(casefile_id))
    for user, item in found.items():
        _log_end(casefile_id, user, item, casefile["deleting_at"], DELETED)
    dynamodb.delete_many([_key(casefile_id, user) for user in found])


def _log_end(casefile_id: str, user: str, item: Item, at: int, why: str) -> None:
    """Log that a grant ended at a time, if it was worth something until then."""
    level = access.level_granted(_grant(item), at)
    if level not in (NONE, OWNER):  # Whose it is has no need of a grant.
        _log(casefile_id, user, level, NONE, {"why": why})


def granted_now(casefile_ids: Iterable[str], user: str) -> set[str]:
    """Those of some casefiles in which a user was granted something that holds still."""
    found = list(dynamodb.get_many(_key(each, user) for each in casefile_ids))
    at = to_milliseconds(now())
    return {
        dynamodb.identifier(item)
        for item in found
        if access.level_granted(_grant(item), at) is not NONE
    }


def _replace_name(item: Item, name: str, user: str) -> None:
    with contextlib.suppress(ConditionFailed):  # It names another.
        dynamodb.update(
            dynamodb.key_of(item),
            f"SET {name} = :erased REMOVE news",
            condition=f"{name} = :user",
            values={":erased": ERASED, ":user": user},
        )


def _put(casefile_id: str, user: str, seen: Item | None, item: Item) -> Write:
    """The write of a grant on condition that it is as it was seen."""
    return dynamodb.putting(_key(casefile_id, user) | item, **_as_seen(seen))


def _unchanged(casefile_id: str, user: str, seen: Item) -> Write:
    """That the giver still has the grant that lets the giver share."""
    return dynamodb.checking(_key(casefile_id, user), **_as_seen(seen))


def _as_seen(seen: Item | None) -> dict[str, Any]:
    """The condition that a grant is as it was seen, and its values."""
    if seen is None:
        return {"condition": "attribute_not_exists(pk)", "values": {}}
    return {"condition": "request_id = :seen", "values": {":seen": seen["request_id"]}}


def _key(casefile_id: str, user: str) -> Item:
    return {"pk": casefile_heads.partition(casefile_id), "sk": slot(user)}


def slot(user: str) -> str:
    """Where the grant of a user is, in its casefile's partition."""
    return f"{_PREFIX}{user}"


def find(casefile_id: str, user: str) -> Item | None:
    """What is stored of a user's grant, be it worth something or not."""
    return dynamodb.get(_key(casefile_id, user))


def is_grant(item: Item) -> bool:
    """Whether an item is a grant."""
    return str(item["sk"]).startswith(_PREFIX)


def grantee(grant: Item) -> str:
    """Whose grant it is."""
    return str(grant["sk"]).removeprefix(_PREFIX)
