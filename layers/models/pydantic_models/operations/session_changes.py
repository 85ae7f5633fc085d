"""Requests and responses of the operations that change what sessions say of themselves."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ..base.envelopes import BaseRequest, BaseResponse, RequestPayload, ResponsePayload
from ..base.identifiers import ChatSessionId, ToolSessionId
from ..base.json_values import Metadata
from ..canonical.casefile import Tags, Title


class SessionChangePayload(RequestPayload):
    """What to change of a session, be it open or closed; what is null stays as it is."""

    title: Title | None = None
    tags: Tags | None = None
    metadata: Metadata | None = Field(None, description="In place of what was there")

    @model_validator(mode="after")
    def _changes_something(self) -> SessionChangePayload:
        if not self.changes():
            raise ValueError("give a title, tags or metadata to change")
        return self

    def changes(self) -> dict[str, Any]:
        """The fields to change, and to what."""
        return self.model_dump(exclude={"session_id"}, exclude_none=True)


class UpdateSessionPayload(SessionChangePayload):
    """What to change of a tool session; what is null stays as it is."""

    session_id: ToolSessionId


class UpdateSessionRequest(BaseRequest[UpdateSessionPayload]):
    """Change title, tags or metadata of a tool session."""

    operation: Literal["update_session"] = "update_session"


class UpdateChatSessionPayload(SessionChangePayload):
    """What to change of a chat session; what is null stays as it is."""

    session_id: ChatSessionId


class UpdateChatSessionRequest(BaseRequest[UpdateChatSessionPayload]):
    """Change title, tags or metadata of a chat session."""

    operation: Literal["update_chat_session"] = "update_chat_session"


class SessionUpdatedPayload(ResponsePayload):
    """What a session says of itself then."""

    session_id: str
    title: str | None
    tags: list[str]
    metadata: dict[str, Any]
    updated_at: str
    updated_fields: list[str]


class UpdateSessionResponse(BaseResponse[SessionUpdatedPayload]):
    """Tells what was changed of a tool session."""


class UpdateChatSessionResponse(BaseResponse[SessionUpdatedPayload]):
    """Tells what was changed of a chat session."""
