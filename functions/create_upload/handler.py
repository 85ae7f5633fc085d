"""Let content be uploaded that is too large to be sent with a request."""

from casefile import contents, creation
from casefile.access import ONES_OWN
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    CreateUploadRequest,
    CreateUploadResponse,
    UploadCreatedPayload,
)


@operation(
    CreateUploadRequest,
    CreateUploadResponse,
    "POST /uploads",
    needs=ONES_OWN,
    status=201,
)
def handle(request: CreateUploadRequest) -> Answer[UploadCreatedPayload]:
    """Nothing is stored for it; what is uploaded and never referred to expires."""
    creation.check_not_in_future(request.made_at(), request.request_id)
    return Answer(contents.upload_link(request.user_id, request.payload))
