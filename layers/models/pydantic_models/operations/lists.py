"""Lists: sessions and casefiles, newest first, in pages.

A page tells where the next one begins (`cursor`), so what is added meanwhile neither repeats nor
hides anything. By activity, the default, what is active meanwhile moves up, above the cursor, and
who reads all pages may miss it; by creation nothing moves, and all pages have each once. `offset`
counts from the top each time, and is for short lists.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..base.envelopes import BaseRequest, BaseResponse, CursorPayload, ResponsePayload
from ..base.identifiers import CasefileId, UserId
from ..base.times import Timestamp
from ..canonical.casefile import Tags
from ..views import CasefileSummary, ChatSessionSummary, SessionSummary

MAX_OFFSET = 10_000


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


TagFilter = Annotated[Tags, BeforeValidator(_one_or_more)]


class ListPayload(CursorPayload):
    """Which page of a list, and of what."""

    user_id: UserId | None = Field(None, description="Only what this user owns")
    tags: TagFilter | None = Field(None, description="Only what bears all of these tags")
    since: Timestamp | None = Field(
        None, description="Only from this time on: of last activity or of creation, as ordered"
    )
    until: Timestamp | None = Field(None, description="Only before this time")
    order: Literal["activity", "creation"] = Field(
        "activity",
        description="What was last active comes first, or what was created last. To read all "
        "pages, order by creation: by activity, what is closed, updated or appended to meanwhile "
        "moves up, above the cursor, and may be in none of them",
    )
    cursor: str | None = Field(
        None,
        max_length=2000,
        description="Of the page before: go on where it ended. By order=creation, all pages "
        "together have each entry once, whatever happens to it meanwhile",
    )
    offset: int = Field(
        0, ge=0, strict=True, description=f"How many to pass over, up to {MAX_OFFSET:,}"
    )
    exact_total: bool = Field(
        False, strict=True, description="Count all, however many; it reads the whole list"
    )

    @model_validator(mode="after")
    def _is_one_place(self) -> ListPayload:
        if self.offset and self.cursor is not None:
            raise ValueError("give an offset or a cursor, not both")
        if self.offset > MAX_OFFSET:
            raise ValueError(f"an offset is at most {MAX_OFFSET}; go on by cursor")
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since must be before until")
        return self


class ListSessionsPayload(ListPayload):
    """Which of one's own sessions, or of a casefile's."""

    casefile_id: CasefileId | None = Field(None, description="Those filed here, whoever owns them")
    active_only: bool = Field(True, strict=True, description="Leave out those that are closed")


class ListChatSessionsPayload(ListSessionsPayload):
    """Which of one's own chat sessions, or of a casefile's."""


class ListCasefileSessionsPayload(ListPayload):
    """Which of a casefile's sessions, of both kinds."""

    casefile_id: CasefileId
    active_only: bool = Field(False, strict=True, description="Leave out those that are closed")


class ListCasefilesPayload(ListPayload):
    """Which of one's own casefiles, or of those that are shared."""

    scope: Literal["own", "shared", "public"] = Field(
        "own",
        description="Those of one's own; those that others share with oneself; or those that are "
        "open to everybody. What is not one's own is ordered, since and until included, by the "
        "time of the grant",
    )
    search_query: str | None = Field(
        None,
        max_length=500,
        description="Words, or how they begin, that title or description must have: letters and "
        "digits, whatever is between them; capitals and accents don't matter. Anything else alone "
        "is refused; blank is no filter",
    )


class ListPagePayload(ResponsePayload):
    """How a page lies in its list."""

    total_count: int = Field(
        ge=0, description="How many the list has, or how many at least: see `total_is_exact`"
    )
    total_is_exact: bool
    offset: int = Field(ge=0)
    limit: int = Field(ge=1)
    cursor: str | None = Field(
        None, description="Where the next page begins; null if there is none"
    )


class ListSessionsRequest(BaseRequest[ListSessionsPayload]):
    """List tool sessions."""

    operation: Literal["list_sessions"] = "list_sessions"


class SessionListPayload(ListPagePayload):
    """Tool sessions, newest first."""

    sessions: list[SessionSummary] = Field(default_factory=list)


class ListSessionsResponse(BaseResponse[SessionListPayload]):
    """Gives a page of tool sessions."""


class ListChatSessionsRequest(BaseRequest[ListChatSessionsPayload]):
    """List chat sessions."""

    operation: Literal["list_chat_sessions"] = "list_chat_sessions"


class ChatSessionListPayload(ListPagePayload):
    """Chat sessions, newest first."""

    sessions: list[ChatSessionSummary] = Field(default_factory=list)


class ListChatSessionsResponse(BaseResponse[ChatSessionListPayload]):
    """Gives a page of chat sessions."""


class ListCasefileSessionsRequest(BaseRequest[ListCasefileSessionsPayload]):
    """List the sessions filed in a casefile."""

    operation: Literal["list_casefile_sessions"] = "list_casefile_sessions"


class CasefileSessionListPayload(ListPagePayload):
    """Sessions of both kinds, newest first."""

    casefile_id: str
    sessions: list[SessionSummary | ChatSessionSummary] = Field(default_factory=list)


class ListCasefileSessionsResponse(BaseResponse[CasefileSessionListPayload]):
    """Gives a page of a casefile's sessions."""


class ListCasefilesRequest(BaseRequest[ListCasefilesPayload]):
    """List casefiles."""

    operation: Literal["list_casefiles"] = "list_casefiles"


class CasefileListPayload(ListPagePayload):
    """Casefiles, newest first."""

    casefiles: list[CasefileSummary] = Field(default_factory=list)


class ListCasefilesResponse(BaseResponse[CasefileListPayload]):
    """Gives a page of casefiles."""
