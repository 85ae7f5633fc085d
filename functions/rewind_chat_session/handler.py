"""Take back messages of a chat session: withdraw the last ones, or replace one in its place."""

from casefile import reading, session_log, transcript
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    ChatRewoundPayload,
    RewindChatSessionRequest,
    RewindChatSessionResponse,
)

MAX_TOLD = 100
"""Of the messages that were withdrawn: as many as a page has."""


@operation(
    RewindChatSessionRequest,
    RewindChatSessionResponse,
    "POST /chat-sessions/{session_id}/rewind",
    needs=Needs(session=EDITOR),
    status=201,
)
def handle(request: RewindChatSessionRequest) -> Answer[ChatRewoundPayload]:
    """It is a record of its own, and what it takes back stays in the log."""
    asked, user_id = request.payload, request.user_id
    entry = transcript.rewind_entry(request)
    record = session_log.append(asked.session_id, user_id, entry)
    withdrawn, page = reading.withdrawn(
        asked.session_id,
        user_id,
        record,
        MAX_TOLD if asked.include_messages else 0,
        transcript.message_count,
    )
    left = record.totals.messages
    return Answer(
        ChatRewoundPayload(
            session_id=asked.session_id,
            record=record.number,
            recorded_at=text_of(record.at),
            message_count=left,
            withdrawn_count=withdrawn,
            messages=[each for each in transcript.messages_of(page) if each.index >= left],
            message=transcript.replacement(asked.session_id, record, entry),
        ),
        at=record.at,
    )
