"""Requests and responses of the operations that share a casefile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ..base.envelopes import (
    BaseRequest,
    BaseResponse,
    CursorPayload,
    RequestPayload,
    ResponsePayload,
)
from ..base.identifiers import CasefileId, UserId, lower_case
from ..base.times import Timestamp
from ..canonical.casefile import PermissionEntry
from ..canonical.permission_level import PermissionLevel

Grantee = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^(\*|[^\s\x00-\x1f\x7f]{3,254})$"),
    lower_case,
]
"""A user, or * for everybody signed in."""


class GrantPermissionPayload(RequestPayload):
    """Who may do what with a casefile from now on."""

    casefile_id: CasefileId
    target_user_id: Grantee = Field(description="A user, or * for everybody signed in")
    permission: PermissionLevel = Field(description="`owner` hands the casefile over")
    expires_at: Timestamp | None = None
    notes: str | None = Field(None, max_length=2000)


class GrantPermissionRequest(BaseRequest[GrantPermissionPayload]):
    """Give somebody a level in a casefile."""

    operation: Literal["grant_permission"] = "grant_permission"


class PermissionGrantedPayload(ResponsePayload):
    """What was granted."""

    casefile_id: str
    target_user_id: str
    permission: PermissionLevel
    granted_by: str
    granted_at: str


class GrantPermissionResponse(BaseResponse[PermissionGrantedPayload]):
    """Tells what was granted."""


class RevokePermissionPayload(RequestPayload):
    """Whose grant is to be taken away."""

    casefile_id: CasefileId
    target_user_id: Grantee = Field(description="A user, or * for everybody signed in")


class RevokePermissionRequest(BaseRequest[RevokePermissionPayload]):
    """Take away what somebody was granted."""

    operation: Literal["revoke_permission"] = "revoke_permission"


class PermissionRevokedPayload(ResponsePayload):
    """What was taken away."""

    casefile_id: str
    target_user_id: str
    revoked_by: str
    revoked_at: str


class RevokePermissionResponse(BaseResponse[PermissionRevokedPayload]):
    """Tells whose grant was taken away."""


class ListPermissionsPayload(CursorPayload):
    """A casefile whose access list to read, and which page of it."""

    casefile_id: CasefileId
    limit: int = Field(100, ge=1, le=100, strict=True, description="How many at most")


class ListPermissionsRequest(BaseRequest[ListPermissionsPayload]):
    """Read who may do what with a casefile."""

    operation: Literal["list_permissions"] = "list_permissions"


class PermissionListPayload(ResponsePayload):
    """Who may do what, as far as the caller may see it: admins see all, others themselves."""

    casefile_id: str
    owner_id: str
    public_access: PermissionLevel
    permissions: list[PermissionEntry] = Field(description="By name, a page of them")
    total_users: int = Field(
        description="How many may use it by name, the owner included, as far as they were read: "
        "see `total_is_exact`"
    )
    total_is_exact: bool = Field(description="True on the last page that an admin reads")
    cursor: str | None = Field(
        None, description="Where the next page begins; null if there is none"
    )


class ListPermissionsResponse(BaseResponse[PermissionListPayload]):
    """Gives the access list of a casefile."""


class CheckPermissionPayload(RequestPayload):
    """Whether somebody may do something with a casefile."""

    casefile_id: CasefileId
    user_id: UserId = Field(description="Whom it is about; of others than oneself, admins may ask")
    required_permission: PermissionLevel


class CheckPermissionRequest(BaseRequest[CheckPermissionPayload]):
    """Ask what somebody may do with a casefile."""

    operation: Literal["check_permission"] = "check_permission"


class PermissionCheckPayload(ResponsePayload):
    """What somebody may do."""

    casefile_id: str
    user_id: str
    permission: PermissionLevel
    can_read: bool
    can_write: bool
    can_share: bool
    can_delete: bool
    has_required_permission: bool


class CheckPermissionResponse(BaseResponse[PermissionCheckPayload]):
    """Tells what somebody may do with a casefile."""
