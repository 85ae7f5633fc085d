"""Content that lies beside a record: what was uploaded for it, and what is too large to be told.

It is named by the SHA-256 of its bytes, so whoever fetches it can check it, and a record that
names it seals it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from ..base.identifiers import lower_case
from ..base.json_values import Text
from ..base.model import Model

MAX_ATTACHMENT_BYTES = 500 * 1024 * 1024

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), lower_case]
"""A SHA-256 in hexadecimal digits."""

ContentType = Annotated[
    str,
    StringConstraints(
        max_length=100,
        pattern=r"^[a-zA-Z0-9.+_-]+/[a-zA-Z0-9.+_-]+(; ?[a-zA-Z0-9-]+=[a-zA-Z0-9.+_-]+)*$",
    ),
]


class AttachmentPayload(Model):
    """Something that was uploaded before the request that refers to it."""

    model_config = ConfigDict(extra="forbid")

    sha256: Sha256 = Field(description="Of its bytes, in hexadecimal digits")
    size: int = Field(ge=0, le=MAX_ATTACHMENT_BYTES, strict=True, description="In bytes")
    name: Text | None = Field(None, min_length=1, max_length=200)
    content_type: ContentType = "application/octet-stream"


MAX_ATTACHMENTS_OF_ONE = 20
"""Of a message, or a tool execution."""

Attachments = Annotated[list[AttachmentPayload], Field(max_length=MAX_ATTACHMENTS_OF_ONE)]
"""What was uploaded for a message, a tool execution or its result."""


class ContentLink(Model):
    """Where to fetch content, for a while. The link needs no other credentials: keep it so."""

    sha256: str
    size: int = Field(ge=0, description="In bytes")
    url: str
    expires_at: str


class Attachment(AttachmentPayload, ContentLink):
    """What was uploaded for a record, and where to fetch it."""

    model_config = ConfigDict(extra="ignore")


class RecordLink(ContentLink):
    """Where to fetch a record's whole content, JSON as it was sent, if it is too large to tell."""

    record: int = Field(ge=1, description="Number of the record in its session")
