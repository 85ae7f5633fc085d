"""Tool sessions: what tools did."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from typing_extensions import Unpack

from pydantic_models import canonical, views
from pydantic_models import operations as of
from pydantic_models.base import RequestStatus, uuid7

from .. import contents, errors, operations
from ..executions import Execution, of_call
from . import waiting
from .connection import FOLLOW_SECONDS, AsyncConnection, Order

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class AsyncToolSessions:
    """All one's tool sessions."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(
        self,
        title: str | None = None,
        *,
        casefile_id: str | None = None,
        stays_open: bool = False,
        **envelope: Unpack[operations.Envelope],
    ) -> AsyncToolSession:
        """Open a tool session, and file it in a casefile if one is given.

        If it `stays_open`, it isn't closed for having been idle.
        """
        fields = {"title": title, "casefile_id": casefile_id, "stays_open": stays_open or None}
        created = await self._connection.call(operations.CREATE_SESSION, fields, envelope)
        return AsyncToolSession(self._connection, created.payload.session_id)

    def list(
        self, *, limit: int | None = None, **filters: Any
    ) -> AsyncIterator[views.SessionSummary]:
        """Tool sessions, the last created first; filters as in `ListSessionsPayload`."""
        return self._connection.listed(
            operations.LIST_SESSIONS, filters, lambda page: page.sessions, limit
        )


class AsyncToolSession:
    """One tool session, by its id. Making this object asks nothing of the service."""

    def __init__(self, connection: AsyncConnection, session_id: str) -> None:
        self._connection = connection
        self.session_id = session_id

    async def read(
        self, *, include_requests: bool = False, include_events: bool = False
    ) -> of.SessionDataPayload:
        """Its state and totals; its requests and events on demand, if they fit an answer."""
        fields = {"include_requests": include_requests, "include_events": include_events}
        answer = await self._connection.call(operations.GET_SESSION, self._fields(fields))
        told = answer.payload
        requests = [await self._whole(each) for each in told.requests]
        return told.model_copy(update={"requests": requests})

    async def update(
        self,
        *,
        title: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        envelope: operations.Envelope | None = None,
    ) -> of.SessionUpdatedPayload:
        """Change what it says of itself; what is None stays."""
        fields = self._fields({"title": title, "tags": tags, "metadata": metadata})
        return (await self._connection.call(operations.UPDATE_SESSION, fields, envelope)).payload

    async def record(
        self,
        tool_name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        result: Mapping[str, Any] | None = None,
        error_message: str | None = None,
        prompt: str | None = None,
        duration_ms: int | None = None,
        events: Sequence[Mapping[str, Any]] | None = None,
        attachments: Sequence[canonical.AttachmentPayload | Path] | None = None,
        session_request_id: str | None = None,
        casefile_id: str | None = None,
        **envelope: Unpack[operations.Envelope],
    ) -> of.ToolResponsePayload:
        """Record a tool execution, with its result or error message; without, it is pending.

        Attachments that are files are uploaded first, and so is what is too large for a request.
        """
        fields = await self._carried(
            {
                "tool_name": tool_name,
                "parameters": parameters,
                "result": result,
                "error_message": error_message,
                "prompt": prompt,
                "duration_ms": duration_ms,
                "events": events,
                "attachments": attachments,
                "session_request_id": session_request_id,
                "casefile_id": casefile_id,
            }
        )
        answer = await self._connection.call(operations.TOOL_EXECUTION, fields, envelope)
        return contents.as_given(answer.payload, result)

    async def begin(
        self,
        tool_name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        prompt: str | None = None,
        **envelope: Unpack[operations.Envelope],
    ) -> UUID:
        """Record that a tool execution began; return the id to complete it by."""
        request_id = envelope.setdefault("request_id", uuid7())
        await self.record(tool_name, parameters, prompt=prompt, **envelope)
        return request_id

    async def complete(
        self,
        request_id: UUID,
        *,
        result: Mapping[str, Any] | None = None,
        error_message: str | None = None,
        duration_ms: int | None = None,
        events: Sequence[Mapping[str, Any]] | None = None,
        attachments: Sequence[canonical.AttachmentPayload | Path] | None = None,
        envelope: operations.Envelope | None = None,
    ) -> of.ToolResponsePayload:
        """Record how a pending tool execution ended: with a result, or an error message."""
        fields = await self._carried(
            {
                "request_id": request_id,
                "result": result,
                "error_message": error_message,
                "duration_ms": duration_ms,
                "events": events,
                "attachments": attachments,
            }
        )
        answer = await self._connection.call(operations.TOOL_RESULT, fields, envelope)
        return contents.as_given(answer.payload, result)

    @asynccontextmanager
    async def recording(
        self, tool_name: str, parameters: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Execution]:
        """Record what happens inside as a tool execution, its duration and exception included.

        Set `result` of the execution that this gives. What it does or raises is what the caller
        gets to see, even if it could not be recorded; that is logged, as an error.
        """
        execution = Execution(tool_name, parameters)
        try:
            yield execution
        except BaseException as error:
            await self._keep(execution, error)
            raise
        await self._keep(execution)

    async def _keep(self, execution: Execution, error: BaseException | None = None) -> None:
        """Record how an execution ended, or log that it wasn't."""
        try:
            with waiting.allowed():
                await self.record(**execution.fields(error), metadata=execution.metadata)
        except Exception:  # Of a token's source, too.
            log.exception("an execution of %s was not recorded", execution.tool_name)

    def recorded(
        self, tool_name: str | None = None
    ) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
        """Make each call of a function a recorded tool execution, named after the function.

        What it returns or raises is what the caller gets, as by `recording`. Raises TypeError for
        a function that is of the other kind, asynchronous or not.
        """

        def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
            waiting.check_kind(function)

            @functools.wraps(function)
            async def call(*arguments: P.args, **named: P.kwargs) -> T:
                asked = of_call(function, tool_name, arguments, named)
                async with self.recording(asked.tool_name, asked.parameters) as execution:
                    execution.result = result = await function(*arguments, **named)
                    return result

            return call

        return decorate

    async def requests(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        order: Order = "oldest",
        limit: int | None = None,
    ) -> AsyncIterator[canonical.ToolRequest]:
        """Its tool executions; `after` and `before` are numbers of records."""
        async for request in self._connection.pages(
            operations.LIST_TOOL_REQUESTS,
            self.session_id,
            lambda page: page.requests,
            after=after,
            before=before,
            order=order,
            limit=limit,
        ):
            yield await self._whole(request)

    async def request(self, request_id: UUID) -> canonical.ToolRequest:
        """One of its tool executions."""
        return await self._whole(await self._told(request_id))

    async def _told(self, request_id: UUID) -> canonical.ToolRequest:
        fields = self._fields({"request_id": request_id})
        answer = await self._connection.call(operations.GET_TOOL_REQUEST, fields)
        return answer.payload.request

    def events(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        order: Order = "oldest",
        limit: int | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """What happened inside its tool executions."""
        return self._connection.pages(
            operations.LIST_TOOL_EVENTS,
            self.session_id,
            lambda page: page.events,
            after=after,
            before=before,
            order=order,
            limit=limit,
        )

    async def follow(self, *, after: int = 0) -> AsyncIterator[canonical.ToolRequest]:
        """Tool executions as they are recorded, until the session is closed.

        One that comes pending is given once more when it has its outcome.
        """
        pending: dict[UUID, None] = {}
        ended = False
        while not ended:
            asked = self._fields({"after": after, "wait": FOLLOW_SECONDS, "consistent": True})
            page = (await self._connection.call(operations.LIST_TOOL_REQUESTS, asked)).payload
            if page.next_after != after:
                for request_id in list(pending):
                    request = await self.request(request_id)
                    if request.status is not RequestStatus.PENDING:
                        del pending[request_id]
                        yield request
            for told in page.requests:
                request = await self._whole(told)
                if request.status is RequestStatus.PENDING:
                    pending[request.request_id] = None
                yield request
            ended, after = page.ended, page.next_after or after

    async def close(
        self, *, force: bool = False, **envelope: Unpack[operations.Envelope]
    ) -> of.SessionClosedPayload:
        """Close it, and be told its totals; `force` fails what is pending."""
        fields = self._fields({"force": force})
        return (await self._connection.call(operations.CLOSE_SESSION, fields, envelope)).payload

    def export(self) -> AsyncIterator[str]:
        """Its lines as `pydantic_models.export.verify` checks them, and `casefile verify`."""
        return self._connection.exported(operations.EXPORT_SESSION, self.session_id)

    async def delete(self) -> of.SessionDeletedPayload:
        """Delete it for good, all its records with it."""
        fields = self._fields({"confirm": True})
        return (await self._connection.call(operations.DELETE_SESSION, fields)).payload

    def _fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"session_id": self.session_id, **fields}

    async def _carried(self, fields: dict[str, Any]) -> dict[str, Any]:
        (carried,) = await self._connection.carried([fields], ("parameters", "prompt", "result"))
        return self._fields(carried)

    async def _whole(self, request: canonical.ToolRequest) -> canonical.ToolRequest:
        """A request with what was left out of it.

        If its links have ended, as they do after a while, it is read once more.
        """
        try:
            return await self._restored(request)
        except errors.Forbidden:
            return await self._restored(await self._told(request.request_id))

    async def _restored(self, request: canonical.ToolRequest) -> canonical.ToolRequest:
        for link in request.left_out:
            content = await self._connection.download(link)
            request = contents.restored_request(request, link, content)
        attachments = [*request.attachments, *request.result_attachments]
        if attachments:
            restore = self._connection.restored
            request = request.model_copy(
                update={
                    "parameters": await restore(request.parameters, attachments),
                    "prompt": await restore(request.prompt, attachments),
                    "result": await restore(request.result, attachments),
                }
            )
        return request
