"""Read who may do what with a casefile."""

from casefile import casefiles
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ListPermissionsRequest,
    ListPermissionsResponse,
    PermissionListPayload,
)


@operation(
    ListPermissionsRequest,
    ListPermissionsResponse,
    "GET /casefiles/{casefile_id}/permissions",
    needs=Needs(casefile=VIEWER),
)
def handle(request: ListPermissionsRequest) -> Answer[PermissionListPayload]:
    """Admins see everybody, others themselves and who owns it."""
    casefile_id = request.payload.casefile_id
    acl = casefiles.access_list(casefile_id, request.user_id)
    return Answer(
        PermissionListPayload(
            casefile_id=casefile_id,
            owner_id=acl.owner_id,
            public_access=acl.public_access,
            permissions=acl.permissions,
            total_users=1 + len(acl.permissions),
        )
    )
