"""Request and response of the operation that removes everything of a user."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base.envelopes import BaseRequest, BaseResponse, ConfirmedPayload, ResponsePayload
from ..base.identifiers import UserId


class EraseUserPayload(ConfirmedPayload):
    """Who is to be erased: who asks."""

    user_id: UserId = Field(description="Who is to be erased; the same as who asks")


class EraseUserRequest(BaseRequest[EraseUserPayload]):
    """Remove everything that a user owns."""

    operation: Literal["erase_user"] = "erase_user"


class ErasedPayload(ResponsePayload):
    """What was removed so far; all of it, once `completed_at` is set."""

    user_id: str
    started_at: str
    completed_at: str | None = Field(None, description="Null while it goes on")
    sessions: int = Field(0, ge=0, description="Sessions, with their contents and archives")
    records: int = Field(0, ge=0, description="Records in those sessions")
    casefiles: int = Field(0, ge=0, description="Casefiles; sessions of others were taken out")
    grants: int = Field(0, ge=0, description="What others had granted the user")
    uploads: int = Field(
        0, ge=0, description="Uploads of the last day, also those that records took over"
    )
    held_sessions: int = Field(0, ge=0, description="Sessions kept by a legal hold")
    held_casefiles: int = Field(0, ge=0, description="Casefiles kept by a legal hold")


class EraseUserResponse(BaseResponse[ErasedPayload]):
    """The receipt, whose status is `processing` until all is removed."""
