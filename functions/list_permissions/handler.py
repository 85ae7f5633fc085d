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
    """Admins see everybody, page by page, others themselves and who owns it."""
    return Answer(casefiles.access_list(request))
