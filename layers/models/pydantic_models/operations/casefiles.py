"""Requests and responses of the operations on casefiles."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ..base.envelopes import BaseRequest, BaseResponse, RequestPayload, ResponsePayload
from ..base.identifiers import CasefileId, SessionId, SessionKind, kind_of
from ..canonical.casefile import CasefileModel, Tags, Title


class CreateCasefilePayload(RequestPayload):
    """A casefile to open."""

    title: Title
    description: str = Field("", max_length=2000)
    tags: Tags = Field(default_factory=list)


class CreateCasefileRequest(BaseRequest[CreateCasefilePayload]):
    """Open a casefile."""

    operation: Literal["create_casefile"] = "create_casefile"


class CasefileCreatedPayload(ResponsePayload):
    """The casefile that was opened."""

    casefile_id: str
    title: str
    created_at: str
    created_by: str


class CreateCasefileResponse(BaseResponse[CasefileCreatedPayload]):
    """Tells the id of the casefile that was opened."""


class GetCasefilePayload(RequestPayload):
    """A casefile to read."""

    casefile_id: CasefileId


class GetCasefileRequest(BaseRequest[GetCasefilePayload]):
    """Read a casefile."""

    operation: Literal["get_casefile"] = "get_casefile"


class CasefileDataPayload(ResponsePayload):
    """A casefile."""

    casefile: CasefileModel


class GetCasefileResponse(BaseResponse[CasefileDataPayload]):
    """Gives a casefile."""


class AddSessionToCasefilePayload(RequestPayload):
    """A session to file, and where."""

    casefile_id: CasefileId
    session_id: SessionId
    session_type: SessionKind

    @model_validator(mode="after")
    def _type_fits(self) -> AddSessionToCasefilePayload:
        kind = kind_of(self.session_id)
        if self.session_type != kind:
            raise ValueError(
                f"{self.session_id} is a {kind} session, so session_type must be {kind!r}"
            )
        return self


class AddSessionToCasefileRequest(BaseRequest[AddSessionToCasefilePayload]):
    """File a session in a casefile."""

    operation: Literal["add_session_to_casefile"] = "add_session_to_casefile"


class SessionAddedPayload(ResponsePayload):
    """Where a session was filed."""

    casefile_id: str
    session_id: str
    session_type: str
    total_sessions: int = Field(description="How many sessions the casefile held with this one")


class AddSessionToCasefileResponse(BaseResponse[SessionAddedPayload]):
    """Tells that a session was filed in a casefile."""
