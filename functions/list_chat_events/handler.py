"""Read the events of a chat session in pages."""

from casefile import reading, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    EventPagePayload,
    ListChatEventsRequest,
    ListChatEventsResponse,
)


@operation(
    ListChatEventsRequest,
    ListChatEventsResponse,
    "GET /chat-sessions/{session_id}/events",
    needs=Needs(session=VIEWER),
)
def handle(request: ListChatEventsRequest) -> Answer[EventPagePayload]:
    """There is one event for each message that was recorded, and one for each rewinding."""
    page = reading.page(request, transcript.chat_event_count)
    events = transcript.chat_events(page.session_id, page.records)
    return Answer(EventPagePayload(events=page.arrange(events), **page.place))
