"""Record chat messages in a chat session: one to a hundred, all or none."""

from casefile import session_log, transcript
from casefile.access import EDITOR, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import ChatRequest, ChatResponse, ChatResultPayload


@operation(
    ChatRequest,
    ChatResponse,
    "POST /chat-sessions/{session_id}/messages",
    needs=Needs(session=EDITOR),
    status=201,
)
def handle(request: ChatRequest) -> Answer[ChatResultPayload]:
    """All messages of a request are one record, so they stay together and in order."""
    session_id = request.payload.session_id
    record = session_log.append(session_id, request.user_id, transcript.chat_entry(request))
    messages = transcript.chat_messages(session_id, [record])
    first, *others = messages
    return Answer(
        ChatResultPayload(
            message=first,
            related_messages=others,
            events=transcript.message_events(messages),
            session_id=session_id,
            record=record.number,
            recorded_at=first.timestamp,
        ),
        at=record.at,
    )
