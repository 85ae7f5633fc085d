"""Take away what somebody was granted in a casefile, or everybody."""

from casefile import grants
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    PermissionRevokedPayload,
    RevokePermissionRequest,
    RevokePermissionResponse,
)


@operation(
    RevokePermissionRequest,
    RevokePermissionResponse,
    "DELETE /casefiles/{casefile_id}/permissions/{target_user_id}",
    needs=Needs(casefile=VIEWER),
)
def handle(request: RevokePermissionRequest) -> Answer[PermissionRevokedPayload]:
    """Nobody takes from somebody who has as much, and nobody from the owner; anybody may leave."""
    at = grants.revoke(request)
    revoked = PermissionRevokedPayload(
        casefile_id=request.payload.casefile_id,
        target_user_id=request.payload.target_user_id,
        revoked_by=request.user_id,
        revoked_at=text_of(at),
    )
    return Answer(revoked, at=at)
