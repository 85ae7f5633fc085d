"""Read the messages of a chat session in pages."""

from casefile import reading, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ChatMessagePagePayload,
    ListChatMessagesRequest,
    ListChatMessagesResponse,
)


@operation(
    ListChatMessagesRequest,
    ListChatMessagesResponse,
    "GET /chat-sessions/{session_id}/messages",
    needs=Needs(session=VIEWER),
)
def handle(request: ListChatMessagesRequest) -> Answer[ChatMessagePagePayload]:
    """The newest twenty of five thousand cost what twenty cost."""
    page = reading.page(request, transcript.message_count, standing_only=True)
    return Answer(
        ChatMessagePagePayload(
            messages=page.arrange(transcript.messages_of(page)),
            **transcript.changes_before(page),
            **page.place,
        )
    )
