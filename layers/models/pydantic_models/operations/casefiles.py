"""Requests and responses of the operations on casefiles."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ..base.envelopes import (
    BaseRequest,
    BaseResponse,
    ConfirmedPayload,
    CursorPayload,
    RequestPayload,
    ResponsePayload,
)
from ..base.identifiers import CasefileId, SessionId, SessionKind, kind_of
from ..canonical.casefile import CasefileModel, LegalHoldEntry, Tags, Title
from .lists import ListCasefileSessionsPayload


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


class GetCasefilePayload(CursorPayload):
    """A casefile to read, and which ids of its sessions."""

    casefile_id: CasefileId
    limit: int = Field(
        100, ge=1, le=100, strict=True, description="How many ids of sessions at most"
    )

    def sessions(self) -> ListCasefileSessionsPayload:
        """Which page of its sessions."""
        return ListCasefileSessionsPayload(**self.model_dump(), order="creation")


class GetCasefileRequest(BaseRequest[GetCasefilePayload]):
    """Read a casefile."""

    operation: Literal["get_casefile"] = "get_casefile"


class CasefileDataPayload(ResponsePayload):
    """A casefile."""

    casefile: CasefileModel
    cursor: str | None = Field(
        None, description="Where the next ids of its sessions begin; null if there are none"
    )


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


class RemoveSessionFromCasefilePayload(RequestPayload):
    """A session to take out of a casefile."""

    casefile_id: CasefileId
    session_id: SessionId


class RemoveSessionFromCasefileRequest(BaseRequest[RemoveSessionFromCasefilePayload]):
    """Take a session out of a casefile."""

    operation: Literal["remove_session_from_casefile"] = "remove_session_from_casefile"


class SessionRemovedPayload(ResponsePayload):
    """Where a session was taken out."""

    casefile_id: str
    session_id: str
    total_sessions: int | None = Field(
        description="How many sessions the casefile held without this one; null if you may not "
        "read the casefile"
    )


class RemoveSessionFromCasefileResponse(BaseResponse[SessionRemovedPayload]):
    """Tells that a session was taken out of a casefile."""


class UpdateCasefilePayload(RequestPayload):
    """What to change of a casefile; what is null stays as it is."""

    casefile_id: CasefileId
    title: Title | None = None
    description: str | None = Field(None, min_length=1, max_length=2000)
    tags: Tags | None = None
    notes: str | None = Field(None, min_length=1, max_length=5000)

    @model_validator(mode="after")
    def _changes_something(self) -> UpdateCasefilePayload:
        if not self.changes():
            raise ValueError("give a title, a description, tags or notes to change")
        return self

    def changes(self) -> dict[str, Any]:
        """The fields to change, and to what."""
        return self.model_dump(exclude={"casefile_id"}, exclude_none=True)


class UpdateCasefileRequest(BaseRequest[UpdateCasefilePayload]):
    """Change what a casefile says of itself."""

    operation: Literal["update_casefile"] = "update_casefile"


class CasefileUpdatedPayload(ResponsePayload):
    """The casefile as it is then."""

    casefile: CasefileModel
    updated_fields: list[str]


class UpdateCasefileResponse(BaseResponse[CasefileUpdatedPayload]):
    """Gives the casefile as it was changed."""


class DeleteCasefilePayload(ConfirmedPayload):
    """A casefile to delete for good."""

    casefile_id: CasefileId
    delete_sessions: bool = Field(
        False,
        strict=True,
        description="Delete its owner's sessions in it, too; others' are taken out",
    )


class DeleteCasefileRequest(BaseRequest[DeleteCasefilePayload]):
    """Delete a casefile."""

    operation: Literal["delete_casefile"] = "delete_casefile"


class CasefileDeletedPayload(ResponsePayload):
    """A casefile that is gone."""

    casefile_id: str
    deleted_at: str
    title: str


class DeleteCasefileResponse(BaseResponse[CasefileDeletedPayload]):
    """Tells that a casefile is gone."""


class SetLegalHoldPayload(RequestPayload):
    """A casefile, and whether everything in it must be kept."""

    casefile_id: CasefileId
    hold: bool = Field(strict=True)
    reason: str | None = Field(None, min_length=1, max_length=2000)


class SetLegalHoldRequest(BaseRequest[SetLegalHoldPayload]):
    """Put a casefile under legal hold, or lift it."""

    operation: Literal["set_legal_hold"] = "set_legal_hold"


class LegalHoldPayload(ResponsePayload):
    """Whether a casefile is under legal hold."""

    casefile_id: str
    legal_hold: LegalHoldEntry | None = Field(description="The hold as placed first; null if none")


class SetLegalHoldResponse(BaseResponse[LegalHoldPayload]):
    """Tells whether a casefile is under legal hold now."""
