"""Summaries: a line of a list.

Titles and states are those of the moment; of a session that is being written, the counts and the
last activity may be as old as the deployment's refresh window.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base.model import Model
from ..canonical.casefile import Title


class _SessionLine(Model):
    session_id: str
    user_id: str = Field(description="Its owner")
    casefile_id: str | None = None
    title: str | None = None
    tags: list[str] = Field(default_factory=list)
    created_at: str
    updated_at: str = Field(description="Its last activity")
    active: bool = Field(description="False once it is closed")
    event_count: int = Field(0, ge=0)


class SessionSummary(_SessionLine):
    """A tool session in a list."""

    session_type: Literal["tool"] = "tool"
    request_count: int = Field(0, ge=0)


class ChatSessionSummary(_SessionLine):
    """A chat session in a list."""

    session_type: Literal["chat"] = "chat"
    message_count: int = Field(0, ge=0)


class CasefileSummary(Model):
    """A casefile in a list."""

    casefile_id: str
    owner_id: str
    title: Title
    description: str = Field(max_length=2000)
    tags: list[str]
    created_at: str
    updated_at: str = Field(description="When it, or which sessions are in it, last changed")
    resource_count: int = Field(ge=0)
    session_count: int = Field(ge=0)
