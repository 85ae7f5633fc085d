"""Read a chat session: its head, or the whole record with messages, indexes and events."""

from casefile import reading, transcript
from casefile.entry import Answer, operation
from pydantic_models.base.times import text_of
from pydantic_models.operations import (
    ChatSessionDataPayload,
    GetChatSessionRequest,
    GetChatSessionResponse,
)


@operation(GetChatSessionRequest, GetChatSessionResponse, "GET /chat-sessions/{session_id}")
def handle(request: GetChatSessionRequest) -> Answer[ChatSessionDataPayload]:
    """Counts and state are those of the log's newest record."""
    asked = request.payload
    log = reading.read(asked.session_id, request.user_id, with_content=asked.include_messages)
    messages = transcript.chat_messages(asked.session_id, log.records)
    return Answer(
        ChatSessionDataPayload(
            session_id=asked.session_id,
            user_id=log.head.user_id,
            casefile_id=log.head.casefile_id,
            created_at=text_of(log.head.created_at),
            updated_at=text_of(log.updated_at),
            active=log.closed_at is None,
            closed_at=None if log.closed_at is None else text_of(log.closed_at),
            seal=log.seal,
            title=log.head.title,
            metadata=log.head.metadata,
            message_count=log.totals.messages,
            event_count=log.totals.events,
            messages=[message.model_dump(mode="json") for message in messages],
            message_index=transcript.message_index(messages),
            request_index=transcript.request_index(messages),
            events=transcript.chat_events(messages),
        )
    )
