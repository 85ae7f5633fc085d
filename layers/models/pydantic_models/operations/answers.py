"""Answers that more than their own operations know."""

from __future__ import annotations

from ..base.envelopes import ResponsePayload


class ExportPayload(ResponsePayload):
    """JSON Lines as `pydantic_models.export` reads them; over HTTP they are the body.

    `next_after` is null at the end. Otherwise ask again with `after`, and append the lines.
    """

    session_id: str
    lines: str
    next_after: int | None = None


class SessionDeletedPayload(ResponsePayload):
    """The session that is gone."""

    session_id: str
    deleted_at: str
