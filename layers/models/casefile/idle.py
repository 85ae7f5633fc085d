"""Idle sessions: found by an index, closed one by one, from where the last run had come to.

The idea: a run goes round the open sessions (see rounds.py); it asks the heads, a hundred at a
time, and, where they show nothing of late, the log itself.

What follows:
- Heads lag behind the log and never run ahead of it: who is active by the head is active. Whether
  anybody is idle, the log alone decides.
- A closing names the record that it follows. If anything was recorded since the look, it is not
  put; so it needs no strong read, and nothing active is closed.
- Its request id follows from the session and that record: two runs at once close it once.
- A session that was created to stay open is in no list of open ones: no run comes to it.
- A closing that no head shows yet is shown by whoever comes next.

The guarantee: a run that comes to its end has closed every session that was idle when it began,
save those that stay open and those that it logs as not closed, and none in which anything was
recorded since.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from pydantic_models.base import kind_of
from pydantic_models.base.times import now, to_milliseconds
from pydantic_models.canonical.record import Record
from pydantic_models.operations import CloseChatSessionRequest, CloseSessionRequest

from . import session_log, sessions, transcript
from .log import logger
from .rounds import Round, go_round
from .session_log import Entry
from .sessions import SessionHead

_CLOSINGS = UUID("c2d1f5f2-6a0a-4f0e-8f36-0d2f1c3f7b52")
"""Namespace of the request ids of closings."""


def close_sessions(idle_for: timedelta) -> Round:
    """Close every session in which nothing happened for so long, or as many as there is time for.

    Pending tool requests fail with it. What can't be closed is logged, and left to the next run.
    """
    since = to_milliseconds(now() - idle_for)
    return go_round(
        "open",
        since,
        lambda session_id: _close(session_id, since),
        lambda session_ids: sessions.perhaps_idle(session_ids, since),
    )


def _close(session_id: str, since: int) -> bool:
    """Close a session if its log shows nothing since; tell whether it was closed by this."""
    head, newest = session_log.glance(session_id)
    if newest is not None and newest.kind == "closed":
        sessions.mark_closed(head, newest)  # Whoever closed it could not show it.
        return False
    if head.updated_at >= since or (newest is not None and newest.at >= since):
        return False
    session_log.close(session_id, head.user_id, _closing(head, newest))
    logger.info("closed", session_id=session_id, reason="idle")
    return True


def _closing(head: SessionHead, newest: Record | None) -> Entry:
    """The end of a session as its owner would ask for it, right after its newest record."""
    follows = newest.number if newest else 0
    asked: dict[str, Any] = {
        "request_id": uuid5(_CLOSINGS, f"{head.session_id}/{follows}"),
        "user_id": head.user_id,
        "metadata": {"reason": "idle"},
        "payload": {"session_id": head.session_id},
    }
    request: CloseSessionRequest | CloseChatSessionRequest
    if kind_of(head.session_id) == "tool":
        asked["payload"]["force"] = True
        request = CloseSessionRequest.model_validate(asked)
    else:
        request = CloseChatSessionRequest.model_validate(asked)
    return transcript.closing_entry(request)._replace(follows=follows)
