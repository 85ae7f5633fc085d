"""Take back messages of a chat session: withdraw the last ones, or replace one in its place."""

from casefile import session_log, transcript
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    ChatRewoundPayload,
    RewindChatSessionRequest,
    RewindChatSessionResponse,
)


@operation(
    RewindChatSessionRequest,
    RewindChatSessionResponse,
    "POST /chat-sessions/{session_id}/rewind",
    needs=Needs(session=EDITOR),
    status=201,
)
def handle(request: RewindChatSessionRequest) -> Answer[ChatRewoundPayload]:
    """It is a record of its own, and what it takes back stays in the log."""
    session_id, entry = request.payload.session_id, transcript.rewind_entry(request)
    record = session_log.append(session_id, request.user_id, entry)
    withdrawn_count, messages = transcript.withdrawn(request, record)
    return Answer(
        ChatRewoundPayload(
            session_id=session_id,
            record=record.number,
            recorded_at=text_of(record.at),
            message_count=record.totals.messages,
            withdrawn_count=withdrawn_count,
            messages=messages,
            message=transcript.replacement(session_id, record, entry),
        ),
        at=record.at,
    )
