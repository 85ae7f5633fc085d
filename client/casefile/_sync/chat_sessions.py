"""Chat sessions: what was said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import Unpack

from pydantic_models import canonical, views
from pydantic_models import operations as of

from .. import contents, errors, operations
from ..withdrawals import Withdrawal
from .connection import FOLLOW_SECONDS, Connection, Order


class ChatSessions:
    """All one's chat sessions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        title: str | None = None,
        *,
        casefile_id: str | None = None,
        stays_open: bool = False,
        **envelope: Unpack[operations.Envelope],
    ) -> ChatSession:
        """Open a chat session, and file it in a casefile if one is given.

        If it `stays_open`, it isn't closed for having been idle.
        """
        fields = {"title": title, "casefile_id": casefile_id, "stays_open": stays_open or None}
        created = self._connection.call(operations.CREATE_CHAT_SESSION, fields, envelope)
        return ChatSession(self._connection, created.payload.session_id)

    def list(
        self, *, limit: int | None = None, **filters: Any
    ) -> Iterator[views.ChatSessionSummary]:
        """Chat sessions, the last created first; filters as in `ListChatSessionsPayload`."""
        return self._connection.listed(
            operations.LIST_CHAT_SESSIONS, filters, lambda page: page.sessions, limit
        )


class ChatSession:
    """One chat session, by its id. Making this object asks nothing of the service."""

    def __init__(self, connection: Connection, session_id: str) -> None:
        self._connection = connection
        self.session_id = session_id

    def read(self, *, include_messages: bool = False) -> of.ChatSessionDataPayload:
        """Its state and totals; its messages on demand, if they fit an answer."""
        fields = self._fields({"include_messages": include_messages})
        told = (self._connection.call(operations.GET_CHAT_SESSION, fields)).payload
        whole: dict[int, bytes] = {}
        for each in told.messages:
            message = self._whole(canonical.ChatMessage.model_validate(each), whole)
            each.update(message.model_dump(mode="json", include=set(each)))
        return told

    def update(
        self,
        *,
        title: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        envelope: operations.Envelope | None = None,
    ) -> of.SessionUpdatedPayload:
        """Change what it says of itself; what is None stays."""
        fields = self._fields({"title": title, "tags": tags, "metadata": metadata})
        return (self._connection.call(operations.UPDATE_CHAT_SESSION, fields, envelope)).payload

    def say(
        self,
        content: str,
        message_type: canonical.MessageType | str = "user",
        **envelope: Unpack[operations.Envelope],
    ) -> canonical.ChatMessage:
        """Record one message."""
        message = {"content": content, "message_type": message_type}
        return (self.record([message], **envelope)).message

    def record(
        self,
        messages: Sequence[canonical.ChatMessagePayload | Mapping[str, Any]],
        *,
        session_request_id: str | None = None,
        casefile_id: str | None = None,
        **envelope: Unpack[operations.Envelope],
    ) -> of.ChatResultPayload:
        """Record messages, 1 to 100, together and in order: all of them or none.

        Attachments that are files are uploaded first, and so is what is too large for a request.
        """
        said = [operations.fields_of(message) for message in messages]
        fields = {
            "messages": self._connection.carried(said, _CARRIED),
            "session_request_id": session_request_id,
            "casefile_id": casefile_id,
        }
        answer = self._connection.call(operations.CHAT, self._fields(fields), envelope)
        told = answer.payload
        whole: dict[int, bytes] = {}
        first, *others = [
            self._whole(contents.as_said(each, said[each.position]), whole)
            for each in (told.message, *told.related_messages)
        ]
        return told.model_copy(update={"message": first, "related_messages": others})

    def messages(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        order: Order = "oldest",
        limit: int | None = None,
    ) -> Iterator[canonical.ChatMessage]:
        """Its messages; `after` and `before` are numbers of records."""
        whole: dict[int, bytes] = {}
        for message in self._connection.pages(
            operations.LIST_CHAT_MESSAGES,
            self.session_id,
            lambda page: page.messages,
            after=after,
            before=before,
            order=order,
            limit=limit,
        ):
            yield self._whole(message, whole)

    def standing(self, *, newest: int | None = None) -> list[canonical.ChatMessage]:
        """Its messages as they stood together, all or so many of the newest, in their order.

        `messages` gives each page as it is read; what is taken back meanwhile is not in here.
        """
        if newest is not None:
            return self._newest_standing(newest) if newest > 0 else []
        whole: dict[int, bytes] = {}
        standing: list[canonical.ChatMessage] = []
        after, has_more = 0, True
        while has_more:
            page = self._page(after=after)
            if page.keep is not None:
                del standing[page.keep :]
            for message in page.replaced:
                standing[message.index] = self._whole(message, whole)
            standing += [self._whole(message, whole) for message in page.messages]
            after, has_more = page.next_after or after, page.has_more
        return standing

    def _newest_standing(self, newest: int) -> list[canonical.ChatMessage]:
        whole: dict[int, bytes] = {}
        page = self._page(order="newest", limit=min(newest, contents.PAGE))
        found = deque([self._whole(each, whole) for each in page.messages[:newest]][::-1])
        left = newest - len(found)
        if not page.has_more or left == 0:  # One answer tells what stood together.
            return list(found)
        for message in self.messages(order="newest", before=page.next_before, limit=left):
            found.appendleft(message)
        if not found:
            return []
        since = self._page(after=found[-1].record)
        is_less = since.keep is not None and since.keep <= found[-1].index
        if since.has_more or is_less or since.replaced:
            return (self.standing())[-newest:]
        return list(found)

    def _page(self, **asked: Any) -> of.ChatMessagePagePayload:
        asked = {"limit": contents.PAGE, "consistent": True, **asked}
        return (self._connection.call(operations.LIST_CHAT_MESSAGES, self._fields(asked))).payload

    def rewind(
        self,
        count: int | None = None,
        *,
        keep: int | None = None,
        include_messages: bool = False,
        **envelope: Unpack[operations.Envelope],
    ) -> of.ChatRewoundPayload:
        """Withdraw the last `count` messages, or all but the first `keep`.

        It is a record of its own: readers of messages miss them, the log keeps them. The answer
        tells what was withdrawn on demand: the newest hundred of it, or as many as fit a page.
        """
        fields = {"count": count, "keep": keep, "include_messages": include_messages}
        asked = self._fields(fields)
        answer = self._connection.call(operations.REWIND_CHAT_SESSION, asked, envelope)
        told = answer.payload
        whole: dict[int, bytes] = {}
        messages = [self._whole(each, whole) for each in told.messages]
        return told.model_copy(update={"messages": messages})

    def replace(
        self,
        message: canonical.ChatMessage,
        by: canonical.ChatMessagePayload | Mapping[str, Any],
        **envelope: Unpack[operations.Envelope],
    ) -> canonical.ChatMessage:
        """Put a message in the place of another, which must stand; the log keeps both."""
        named = {"record": message.record, "message_id": message.message_id}
        (said,) = self._connection.carried([operations.fields_of(by)], _CARRIED)
        asked = self._fields({"replaces": named, "message": said})
        answer = self._connection.call(operations.REWIND_CHAT_SESSION, asked, envelope)
        if answer.payload.message is None:
            raise RuntimeError("the answer to a replacement has no message")
        return self._whole(contents.as_said(answer.payload.message, operations.fields_of(by)), {})

    def events(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        order: Order = "oldest",
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """That messages were recorded: an event each."""
        return self._connection.pages(
            operations.LIST_CHAT_EVENTS,
            self.session_id,
            lambda page: page.events,
            after=after,
            before=before,
            order=order,
            limit=limit,
        )

    def follow(self, *, after: int = 0) -> Iterator[canonical.ChatMessage | Withdrawal]:
        """Messages as they are recorded, and what is taken back, until the session is closed.

        A message that `replaces` another takes its place, which is its `index`. So
        `messages[message.index : message.index + 1] = [message]` is right for each message, and
        `del messages[withdrawal.keep :]` for each withdrawal. To go on later, give `after` the
        `record` of the last message that replaced none.
        """
        whole: dict[int, bytes] = {}
        end: int | None = 0 if after == 0 else None  # Of the messages that were told and stand.
        ended = False
        while not ended:
            asked = self._fields({"after": after, "wait": FOLLOW_SECONDS, "consistent": True})
            page = (self._connection.call(operations.LIST_CHAT_MESSAGES, asked)).payload
            if page.keep is not None and (end is None or page.keep < end):
                end = page.keep
                yield Withdrawal(keep=end)
            for message in page.replaced:
                yield self._whole(message, whole)
            for message in page.messages:
                end = message.index + 1
                yield self._whole(message, whole)
            ended, after = page.ended, page.next_after or after

    def close(self, **envelope: Unpack[operations.Envelope]) -> of.ChatSessionClosedPayload:
        """Close it, and be told its totals."""
        fields = self._fields({})
        return (self._connection.call(operations.CLOSE_CHAT_SESSION, fields, envelope)).payload

    def export(self) -> Iterator[str]:
        """Its lines as `pydantic_models.export.verify` checks them, and `casefile verify`."""
        return self._connection.exported(operations.EXPORT_CHAT_SESSION, self.session_id)

    def delete(self) -> of.SessionDeletedPayload:
        """Delete it for good, all its records with it."""
        fields = self._fields({"confirm": True})
        return (self._connection.call(operations.DELETE_CHAT_SESSION, fields)).payload

    def _fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"session_id": self.session_id, **fields}

    def _whole(
        self, message: canonical.ChatMessage, whole: dict[int, bytes]
    ) -> canonical.ChatMessage:
        """A message with what was left out of it; `whole` keeps its record's content at hand.

        If its links have ended, as they do after a while, it is read once more.
        """
        try:
            return self._restored(message, whole)
        except errors.Forbidden:
            for told in self._connection.pages(
                operations.LIST_CHAT_MESSAGES,
                self.session_id,
                lambda page: [*page.replaced, *page.messages],
                after=message.record - 1,
                before=message.record + 1,
            ):
                if told.message_id == message.message_id:
                    return self._restored(told, whole)
            raise  # It was taken back meanwhile.

    def _restored(
        self, message: canonical.ChatMessage, whole: dict[int, bytes]
    ) -> canonical.ChatMessage:
        for link in message.left_out:
            if link.record not in whole:
                whole.clear()
                whole[link.record] = self._connection.download(link)
            message = contents.restored_message(message, whole[link.record])
        if message.attachments:
            restore = self._connection.restored
            content = restore(message.content, message.attachments)
            calls: list[Any] = []
            for each in message.tool_calls:
                found: Any = restore(each, message.attachments)
                calls += found if isinstance(found, list) else [found]  # They went as one.
            message = message.model_copy(update={"content": content, "tool_calls": calls})
        return message


_CARRIED = ("content", "tool_calls")
"""What of a message goes by the bucket if it is too large for a request."""
