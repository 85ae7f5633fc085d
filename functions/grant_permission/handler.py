"""Give somebody a level in a casefile, or everybody, or hand it over."""

from casefile import grants
from casefile.access import ADMIN, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    GrantPermissionRequest,
    GrantPermissionResponse,
    PermissionGrantedPayload,
)


@operation(
    GrantPermissionRequest,
    GrantPermissionResponse,
    "POST /casefiles/{casefile_id}/permissions",
    needs=Needs(casefile=ADMIN),
    status=201,
)
def handle(request: GrantPermissionRequest) -> Answer[PermissionGrantedPayload]:
    """Nobody grants more than they have themselves."""
    at = grants.grant(request)
    granted = PermissionGrantedPayload(
        casefile_id=request.payload.casefile_id,
        target_user_id=request.payload.target_user_id,
        permission=request.payload.permission,
        granted_by=request.user_id,
        granted_at=text_of(at),
    )
    return Answer(granted, at=at)
