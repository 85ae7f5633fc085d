"""Ask what somebody may do with a casefile."""

from casefile import access, casefiles
from casefile.access import ADMIN, EDITOR, OWNER, VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    CheckPermissionRequest,
    CheckPermissionResponse,
    PermissionCheckPayload,
)


@operation(
    CheckPermissionRequest,
    CheckPermissionResponse,
    "GET /casefiles/{casefile_id}/access/{user_id}",
    needs=Needs(casefile=VIEWER),
)
def handle(request: CheckPermissionRequest) -> Answer[PermissionCheckPayload]:
    """Everybody may ask about themselves; about others, admins may."""
    asked = request.payload
    level = casefiles.level_of(request)
    return Answer(
        PermissionCheckPayload(
            casefile_id=asked.casefile_id,
            user_id=asked.user_id,
            permission=level,
            can_read=access.includes(level, VIEWER),
            can_write=access.includes(level, EDITOR),
            can_share=access.includes(level, ADMIN),
            can_delete=access.includes(level, OWNER),
            has_required_permission=access.includes(level, asked.required_permission),
        )
    )
