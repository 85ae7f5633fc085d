"""Who may do what: rules that go by what is stored, and by what the operation states that it needs.

- A casefile's owner may do everything with it. Others may do what they were granted, until it
  expires, or what everybody signed in may, whichever is more.
- A session is its owner's. What is filed in a casefile may be read by those who may read the
  casefile, and written by its editors; it stays its owner's to file and to delete.
- Admins share, and ask what others may do. Nobody grants more than they have themselves, or takes
  from somebody who has as much. The owner can't be removed; only the owner hands the casefile over.
- Everybody lists what is their own and what was opened to them, and erases nobody but themselves.
- Each operation states what it needs. Who may not even read is told that there is nothing; who may
  read, but not do it, is told so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

from pydantic_models.canonical.permission_level import PermissionLevel

from .errors import BadRequest, Forbidden, NotFound

OWNER, ADMIN = PermissionLevel.OWNER, PermissionLevel.ADMIN
EDITOR, VIEWER = PermissionLevel.EDITOR, PermissionLevel.VIEWER
NONE = PermissionLevel.NONE

_ORDER = [NONE, VIEWER, EDITOR, ADMIN, OWNER]
"""Each level includes those before it."""


class Needs(NamedTuple):
    """The levels that an operation needs in the session and in the casefile that it names."""

    session: PermissionLevel = OWNER
    casefile: PermissionLevel = OWNER


ONES_OWN = Needs()
"""Of an operation that names neither: it is about what is one's own. Whatever else it would come
to takes its owner."""


class Grant(NamedTuple):
    """What somebody was granted in a casefile; `expires_at` is in milliseconds since 1970."""

    level: PermissionLevel
    expires_at: int | None = None


def includes(level: PermissionLevel, other: PermissionLevel) -> bool:
    """Whether who has `level` may do all that `other` allows."""
    return _ORDER.index(level) >= _ORDER.index(other)


def level_granted(grant: Grant | None, at: int) -> PermissionLevel:
    """What a grant gives at a time in milliseconds since 1970: nothing once it has expired."""
    if grant is None or (grant.expires_at is not None and at >= grant.expires_at):
        return NONE
    return grant.level


def level_in_casefile(
    user: str, owner: str, public: PermissionLevel, granted: PermissionLevel
) -> PermissionLevel:
    """What a user may do with a casefile, given what everybody may, and what they were granted."""
    return OWNER if user == owner else max(granted, public, key=_ORDER.index)


def level_in_session(user: str, owner: str, in_its_casefile: PermissionLevel) -> PermissionLevel:
    """What a user may do with a session, given what they may do with its casefile, if any."""
    if user == owner:
        return OWNER
    return min(in_its_casefile, EDITOR, key=_ORDER.index)


def check_sharing(
    own: PermissionLevel,
    before: PermissionLevel,
    after: PermissionLevel,
    *,
    is_owner: bool,
    is_self: bool,
) -> None:
    """Raise unless who has `own` may bring somebody from level `before` to level `after`.

    `is_owner` and `is_self` tell whether that somebody owns the casefile, or asks.
    """
    if is_owner:
        raise Forbidden("The owner of a casefile can't be removed. The owner can hand it over.")
    if is_self and after is NONE:  # Whoever was let in may leave.
        return
    if not includes(own, ADMIN):
        raise Forbidden("Only admins and the owner of a casefile may share it.")
    if not includes(own, after):
        raise Forbidden(f"You are {own.value} here, and can't grant more: not {after.value}.")
    if own is not OWNER and includes(before, own):  # Their own grant, too, and when it expires.
        raise Forbidden(f"You are {own.value} here, and can't change what an {own.value} has.")


def check_filing(session_id: str, user: str, owner: str) -> None:
    """Raise Forbidden unless who files a session owns it."""
    if user != owner:
        raise Forbidden(f"Session {session_id} is not yours to file.")


def check_asking(own: PermissionLevel, *, is_self: bool) -> None:
    """Raise Forbidden unless who has `own` may ask what somebody may do with a casefile."""
    if not is_self and not includes(own, ADMIN):
        raise Forbidden("Only admins may ask what others may do.")


def check_listing(user: str, whose: str | None, instead: str) -> None:
    """Raise Forbidden, naming what there is instead, unless a list of one's own is asked for."""
    if whose not in (None, user):
        raise Forbidden(f"You can list your own or, with {instead}.")


def check_erasing(user: str, whom: str) -> None:
    """Raise Forbidden unless it is oneself who is to be erased."""
    if user != whom:
        raise Forbidden("You can erase yourself, and nobody else.")


def require_session(session_id: str, level: PermissionLevel) -> None:
    """Raise NotFound or Forbidden unless `level` in a session is what the operation needs."""
    needed = _needs.get().session
    if not includes(level, VIEWER):
        raise missing_session(session_id)
    if not includes(level, needed):
        raise _not_allowed("session", level, needed)


def require_casefile(casefile_id: str, level: PermissionLevel) -> None:
    """Raise NotFound or Forbidden unless `level` in a casefile is what the operation needs."""
    needed = _needs.get().casefile
    if not includes(level, VIEWER):
        raise missing_casefile(casefile_id)
    if not includes(level, needed):
        raise _not_allowed("casefile", level, needed)


def _not_allowed(what: str, level: PermissionLevel, needed: PermissionLevel) -> Forbidden:
    return Forbidden(f"You are {level.value} of this {what}. This takes its {needed.value}.")


def missing_session(session_id: str) -> NotFound:
    """The one answer for a session that doesn't exist and for one that may not be seen."""
    return NotFound(f"There is no session {session_id}, or you may not see it.")


def missing_casefile(casefile_id: str) -> NotFound:
    """The one answer for a casefile that doesn't exist and for one that may not be seen."""
    return NotFound(f"There is no casefile {casefile_id}, or you may not see it.")


def check_public(level: PermissionLevel) -> None:
    """Raise BadRequest for more than everybody signed in may be given."""
    if includes(level, ADMIN):
        raise BadRequest("Everybody can be made viewer or editor, and no more.")


_needs: ContextVar[Needs] = ContextVar("needs", default=ONES_OWN)
"""What the operation needs that is being done: its door sets it, and the rules read it alone."""


@contextlib.contextmanager
def needing(needs: Needs) -> Iterator[None]:
    """Let whatever is asked for inside need just this."""
    token = _needs.set(needs)
    try:
        yield
    finally:
        _needs.reset(token)
