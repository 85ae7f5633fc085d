"""Read a chat session: its head, or the whole record with messages, indexes and events."""

from casefile import reading, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ChatSessionDataPayload,
    GetChatSessionRequest,
    GetChatSessionResponse,
)


@operation(
    GetChatSessionRequest,
    GetChatSessionResponse,
    "GET /chat-sessions/{session_id}",
    needs=Needs(session=VIEWER),
)
def handle(request: GetChatSessionRequest) -> Answer[ChatSessionDataPayload]:
    """Counts and state are those of the log's newest record."""
    asked = request.payload
    log = reading.read(asked.session_id, request.user_id, with_content=asked.include_messages)
    messages = transcript.messages_left(asked.session_id, log.records)
    return Answer(
        ChatSessionDataPayload(
            **log.about,
            message_count=log.totals.messages,
            event_count=log.totals.events,
            messages=[message.model_dump(mode="json") for message in messages],
            message_index=transcript.message_index(messages),
            request_index=transcript.request_index(messages),
            events=transcript.chat_events(asked.session_id, log.records),
        )
    )
