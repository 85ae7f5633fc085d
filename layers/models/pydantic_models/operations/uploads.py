"""Request and response of the operation that lets content be uploaded before a record needs it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base.envelopes import BaseRequest, BaseResponse, RequestPayload, ResponsePayload
from ..canonical.content import MAX_ATTACHMENT_BYTES, ContentType, Sha256


class CreateUploadPayload(RequestPayload):
    """What is about to be uploaded."""

    sha256: Sha256 = Field(description="Of its bytes, in hexadecimal digits")
    size: int = Field(ge=0, le=MAX_ATTACHMENT_BYTES, strict=True, description="In bytes")
    content_type: ContentType = "application/octet-stream"


class CreateUploadRequest(BaseRequest[CreateUploadPayload]):
    """Get a link to upload content to."""

    operation: Literal["create_upload"] = "create_upload"


class UploadCreatedPayload(ResponsePayload):
    """A link for one PUT of just these bytes, with just these headers.

    Then refer to them in `attachments`, by `sha256` and `size`, within a day.
    """

    sha256: str
    size: int
    url: str
    headers: dict[str, str]
    expires_at: str


class CreateUploadResponse(BaseResponse[UploadCreatedPayload]):
    """Gives a link to upload content to."""
