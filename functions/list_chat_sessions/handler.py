"""List one's own chat sessions, or a casefile's."""

from casefile import sessions
from casefile.access import VIEWER, Needs
from casefile.entry import Answer, operation
from pydantic_models.operations import (
    ChatSessionListPayload,
    ListChatSessionsRequest,
    ListChatSessionsResponse,
)


@operation(
    ListChatSessionsRequest,
    ListChatSessionsResponse,
    "GET /chat-sessions",
    needs=Needs(casefile=VIEWER),
)
def handle(request: ListChatSessionsRequest) -> Answer[ChatSessionListPayload]:
    """The newest fifty of ten thousand are one query, as of fifty."""
    page = sessions.listed(request, "chat")
    summaries = [sessions.chat_summary(entry) for entry in page.items]
    return Answer(ChatSessionListPayload(sessions=summaries, **page.place))
