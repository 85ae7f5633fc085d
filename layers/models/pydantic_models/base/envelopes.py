"""A request envelope is the command, a response envelope its answer.

Each operation is one typed function from the one to the other, whichever door it came through.
Envelopes ignore fields that they don't know; payloads of requests refuse them.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field, model_validator

from .identifiers import UserId
from .json_values import JsonObject, Metadata, to_canonical_json
from .model import Model
from .times import Timestamp, from_text, now_text, uuid7_time


class RequestStatus(str, Enum):
    """Where a request stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class RequestPayload(Model):
    """What an operation asks for. A field that it doesn't know is an error, not a typo kept.

    Flags and numbers are strict: text, or a number for a flag, is refused and not read as one.
    """

    model_config = ConfigDict(extra="forbid")


class ConfirmedPayload(RequestPayload):
    """What can't be undone, and so must be meant."""

    confirm: bool = Field(
        False, strict=True, description="That it is meant, true: nothing brings it back"
    )

    @model_validator(mode="after")
    def _is_meant(self) -> ConfirmedPayload:
        if not self.confirm:
            raise ValueError("set confirm to true if it is meant: nothing brings it back")
        return self


class CursorPayload(RequestPayload):
    """How much of a list, and from where."""

    limit: int = Field(50, ge=1, le=100, strict=True, description="How many at most")
    cursor: str | None = Field(
        None, max_length=2000, description="Of the page before: go on where it ended"
    )


class ResponsePayload(Model):
    """What an operation answers. Fields may be added in later versions."""


RequestPayloadT = TypeVar("RequestPayloadT", bound=RequestPayload)
ResponsePayloadT = TypeVar("ResponsePayloadT", bound=ResponsePayload)


class BaseRequest(Model, Generic[RequestPayloadT]):
    """The envelope that asks for an operation.

    `request_id` and `timestamp` make a retry recognisable: send both again, unchanged.
    """

    request_id: UUID = Field(
        default_factory=uuid4, description="Names this request, best a UUIDv7; a retry repeats it"
    )
    session_id: str | None = Field(
        None, description="The session it is about; the same as the payload's `session_id`"
    )
    user_id: UserId = Field(description="Who asks", examples=["user@example.com"])
    operation: str = Field(description="The operation asked for")
    payload: RequestPayloadT = Field(description="What is asked for")
    timestamp: Timestamp = Field(
        default_factory=now_text,
        description="When the request was first made (ISO 8601); a retry repeats it",
    )
    metadata: Metadata = Field(
        default_factory=dict, description="Anything the caller wants kept with what it records"
    )
    context_requirements: list[str] = Field(
        default_factory=list, description="Accepted and ignored"
    )
    hooks: list[str] = Field(default_factory=list, description="Accepted and ignored")
    policy_hints: JsonObject = Field(default_factory=dict, description="Accepted and ignored")
    route_directives: JsonObject = Field(default_factory=dict, description="Accepted and ignored")

    @model_validator(mode="before")
    @classmethod
    def _name_session_once(cls, data: Any) -> Any:
        """The session may be named on the envelope or in the payload; in both, it must agree."""
        payload_type = cls.model_fields["payload"].annotation
        if (
            not isinstance(data, dict)
            or not isinstance(data.get("session_id"), str)
            or not isinstance(data.get("payload"), dict)
            or "session_id" not in getattr(payload_type, "model_fields", {})
        ):
            return data
        payload = {"session_id": data["session_id"], **data["payload"]}
        named = payload["session_id"]
        if isinstance(named, str) and named.lower() != data["session_id"].lower():
            raise ValueError("the envelope and its payload name different sessions")
        return {**data, "payload": payload}

    def made_at(self) -> datetime:
        """When the request was first made: its timestamp, or its UUIDv7's time if earlier.

        Without a timestamp of its own it is the UUIDv7's time: a retry has that, too.
        """
        stamped, carried = from_text(self.timestamp), uuid7_time(self.request_id)
        if carried is None:
            return stamped
        return min(stamped, carried) if "timestamp" in self.model_fields_set else carried

    def digest(self) -> bytes:
        """32 bytes that tell a retry from another request with the same id.

        The timestamp is left out: what is asked for is the same at any time.
        """
        asked = self.model_dump(
            mode="json",
            include={"payload", "metadata"},
            exclude_unset=True,
            exclude_defaults=True,
        )
        return sha256(to_canonical_json([self.operation, asked]).encode()).digest()


def without_nulls(envelope: dict[str, Any]) -> dict[str, Any]:
    """An envelope without what is null in it, which is as good as left out; a payload is not."""
    return {
        name: value for name, value in envelope.items() if value is not None or name == "payload"
    }


class BaseResponse(Model, Generic[ResponsePayloadT]):
    """The envelope that answers a request. The same request sent again gets the same answer."""

    request_id: UUID = Field(description="Id of the request that this answers")
    status: RequestStatus = Field(description="Where the request stands")
    payload: ResponsePayloadT = Field(description="The answer")
    timestamp: str = Field(
        default_factory=now_text,
        description="When the request took effect or, for a reading one, was answered (ISO 8601)",
    )
    error: str | None = Field(None, description="What went wrong, when status is failed")
    metadata: dict[str, Any] = Field(default_factory=dict, description="More about the answer")


class FailedResponse(Model):
    """The envelope that answers a request that failed: no payload, but a reason.

    `metadata.error_code` is stable; `metadata.errors` lists what is wrong with the input, and
    where.
    """

    request_id: UUID
    status: RequestStatus = RequestStatus.FAILED
    payload: None = None
    timestamp: str = Field(default_factory=now_text)
    error: str
    metadata: dict[str, Any] = Field(default_factory=dict)
