"""Read the events of a tool session in pages."""

from itertools import chain

from casefile import reading, records, transcript
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    EventPagePayload,
    ListToolEventsRequest,
    ListToolEventsResponse,
)


@operation(
    ListToolEventsRequest,
    ListToolEventsResponse,
    "GET /tool-sessions/{session_id}/events",
    needs=Needs(session=VIEWER),
)
def handle(request: ListToolEventsRequest) -> Answer[EventPagePayload]:
    """Events come in the order of the records that brought them."""
    page = reading.page(request, transcript.tool_event_count)
    begun = records.get_many(page.session_id, transcript.begun_elsewhere(page.records))
    events = transcript.tool_events(page.session_id, page.records, chain(begun, page.records))
    return Answer(EventPagePayload(events=page.arrange(events), **page.place))
