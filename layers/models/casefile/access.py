"""Who may do what: pure rules, told by what is stored alone.

A session and a casefile are their owner's. To anybody else they don't exist.
"""

from __future__ import annotations

from .errors import NotFound


def require_session(session_id: str, owner: str | None, user: str) -> None:
    """Raise NotFound unless the session exists (it has an owner) and is the user's."""
    if owner is None or owner != user:
        raise missing_session(session_id)


def require_casefile(casefile_id: str, owner: str | None, user: str) -> None:
    """Raise NotFound unless the casefile exists (it has an owner) and is the user's."""
    if owner is None or owner != user:
        raise NotFound(f"There is no casefile {casefile_id}, or it isn't yours.")


def missing_session(session_id: str) -> NotFound:
    """The one answer for a session that doesn't exist and for one that may not be seen."""
    return NotFound(f"There is no session {session_id}, or it isn't yours.")
