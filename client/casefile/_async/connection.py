"""Sending a request until it is answered, and reading what comes in pages."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import httpx
from pydantic_core import from_json
from typing_extensions import Self

from pydantic_models import canonical
from pydantic_models import operations as of
from pydantic_models.base import BaseResponse
from pydantic_models.base.json_values import to_json

from .. import contents, doors, errors, operations
from ..operations import AnswerT, Call, Envelope, Operation
from ..retries import Retries
from . import waiting

T = TypeVar("T")
RecordsT = TypeVar("RecordsT", bound="of.PageOfRecordsPayload")
ListT = TypeVar("ListT", bound="of.ListPagePayload")

Order = Literal["oldest", "newest"]

FOLLOW_SECONDS = 20
"""How long the service waits for something to come, at most."""

LATE_SECONDS = 10.0
"""How much later an answer may come that waits for something."""


class AsyncConnection:
    """Sends requests by one door, again and again until there is an answer."""

    def __init__(
        self, door: doors.Door, retries: Retries, timeout: float, http: httpx.AsyncClient | None
    ) -> None:
        self.door = door
        self._retries = retries
        self._timeout = timeout
        self.is_ours = http is None
        """Whether the HTTP client is one that we made, which sends each request once."""
        self._given = http
        self._made = {} if http else {waiting.place(): httpx.AsyncClient()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _http(self) -> httpx.AsyncClient:
        """The HTTP client; ours is another one in each place, which connections can't leave.

        Two processes would mix up their answers, and an event loop takes its own along when it
        ends. Several loops may run at once, in threads.
        """
        if self._given is not None:
            return self._given
        place = waiting.place()
        if place not in self._made:
            for each in filter(waiting.is_gone, list(self._made)):
                self._made.pop(each, None)  # Not closed: it can't be from here.
            self._made.setdefault(place, httpx.AsyncClient())
        return self._made[place]

    async def aclose(self) -> None:
        """Close the connections that were opened from here, unless an HTTP client was given."""
        if self.is_ours:
            await self._http.aclose()

    def once(self) -> AsyncConnection:
        """The same connection, but it tries each request once."""
        return AsyncConnection(self.door, Retries(attempts=1), self._timeout, self._http)

    async def call(
        self,
        operation: Operation[AnswerT],
        fields: Mapping[str, Any],
        envelope: Envelope | None = None,
    ) -> BaseResponse[AnswerT]:
        """Do an operation; the response envelope has its payload, and metadata about it.

        Raises RequestFailed, and Unreachable if no answer came.
        """
        return await self.send(operations.call(operation, fields, envelope or {}))

    async def send(self, call: Call[AnswerT]) -> BaseResponse[AnswerT]:
        """Send a request, as often as it takes: it is the same request each time."""
        outgoing = self.door.request(call)
        timeout = httpx.Timeout(self._timeout)
        if wait := call.payload.get("wait"):  # The service is asked to take its time.
            timeout = httpx.Timeout(self._timeout, read=max(self._timeout, wait + LATE_SECONDS))

        async def attempt() -> BaseResponse[AnswerT]:
            request = self._http.build_request(**outgoing._asdict(), timeout=timeout)
            # A redirect is none of ours, and would take an API key along to wherever it leads.
            response = await self._http.send(request, auth=self.door.auth, follow_redirects=False)
            return self.door.read(call, response)

        return await self._insist(attempt)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, as often as may be."""
        tries = 0
        while True:
            tries += 1
            failed: errors.CasefileError
            try:
                return await attempt()
            except httpx.RequestError as error:
                failed = doors.unreachable(error)
            except errors.RETRYABLE as error:
                failed = error
            wait = self._retries.wait(tries, failed)
            if wait is None:
                raise failed
            await waiting.sleep(wait)

    async def pages(
        self,
        operation: Operation[RecordsT],
        session_id: str,
        take: Callable[[RecordsT], Sequence[T]],
        *,
        after: int | None = None,
        before: int | None = None,
        order: Order = "oldest",
        limit: int | None = None,
    ) -> AsyncIterator[T]:
        """What the records of a session hold, page by page, `limit` of them at most.

        What was recorded before is in it, whoever recorded it.
        """
        left = limit
        while left is None or left > 0:
            asked: dict[str, Any] = {"session_id": session_id, "after": after, "before": before}
            asked |= {
                "order": order,
                "consistent": True,
                "limit": contents.PAGE if left is None else min(left, contents.PAGE),
            }
            page = (await self.call(operation, asked)).payload
            for each in take(page)[:left]:
                yield each
                left = left and left - 1
            if not page.has_more:
                return
            after = page.next_after if order == "oldest" else after
            before = page.next_before if order == "newest" else before

    async def listed(
        self,
        operation: Operation[ListT],
        fields: Mapping[str, Any],
        take: Callable[[ListT], Sequence[T]],
        limit: int | None,
    ) -> AsyncIterator[T]:
        """The entries of a list, page by page, `limit` of them at most.

        They are ordered by creation, unless the fields say otherwise: nothing moves meanwhile, so
        each is there once.
        """
        left, asked = limit, {"order": "creation", **fields}
        while left is None or left > 0:
            size = contents.PAGE if left is None else min(left, contents.PAGE)
            page = (await self.call(operation, asked | {"limit": size})).payload
            for each in take(page):
                yield each
                left = left and left - 1
            if page.cursor is None:
                return
            asked |= {"cursor": page.cursor, "offset": None}

    async def exported(
        self, operation: Operation[of.ExportPayload], session_id: str
    ) -> AsyncIterator[str]:
        """The lines of a session, part by part."""
        after: int | None = 0
        while after is not None:
            part = (await self.call(operation, {"session_id": session_id, "after": after})).payload
            for line in part.lines.splitlines():
                yield line
            after = part.next_after

    async def upload(
        self, source: Path | bytes, *, name: str | None = None, content_type: str | None = None
    ) -> canonical.AttachmentPayload:
        """Upload a file or bytes; the answer goes with `attachments` of what is recorded next."""
        attachment = await waiting.run(contents.describe, source, name, content_type)
        asked = attachment.model_dump(exclude={"name"})
        link = (await self.call(operations.CREATE_UPLOAD, asked)).payload
        headers = link.headers | {"Content-Length": str(attachment.size)}

        async def attempt() -> None:
            request = self._http.build_request(
                "PUT", link.url, headers=headers, content=_chunks(source), timeout=self._timeout
            )
            contents.check_uploaded(await self._http.send(request, auth=None))

        try:
            await self._insist(attempt)
        except errors.CasefileError as error:
            error.is_of_bucket = True
            raise
        return attachment

    async def _uploaded(self, attachments: Sequence[Any]) -> list[Any]:
        """Attachments, those that are files uploaded first."""
        return [await self.upload(each) if isinstance(each, Path) else each for each in attachments]

    async def carried(
        self,
        parts: Sequence[dict[str, Any]],
        names: Sequence[str],
        uploaded: dict[str, canonical.AttachmentPayload] | None = None,
    ) -> list[dict[str, Any]]:
        """Parts of a request that can be carried: their files, and what is too large, uploaded.

        Whoever reads them with this client gets them whole; others find the attachment named. What
        is `uploaded` already, by digest, is not again, and what is now is added. Raises BadRequest,
        before any is, if there is more than can be attached.
        """
        places = contents.too_large(parts, names)
        parts = [
            part | {"attachments": await self._uploaded(part["attachments"])}
            if part.get("attachments")
            else dict(part)
            for part in parts
        ]
        uploaded = {} if uploaded is None else uploaded
        for place in places:
            value = place.read(parts)
            told = to_json(value).encode()
            sha256 = hashlib.sha256(told).hexdigest()
            if sha256 not in uploaded:
                uploaded[sha256] = await self.upload(told, name=f"{place.name}.json")
            place.put(parts, contents.moved(value, sha256))
            part = parts[place.part]
            attachments = part.get("attachments") or ()
            if uploaded[sha256] not in attachments:
                part["attachments"] = [*attachments, uploaded[sha256]]
        return parts

    async def restored(self, value: T, attachments: Sequence[canonical.Attachment]) -> T:
        """A value as it was recorded, fetched if it was too large to be carried."""
        attachment = contents.moved_to(value, attachments)
        if attachment is None:
            return value
        whole: T = from_json(await self.download(attachment))
        return whole

    async def download(self, link: canonical.ContentLink) -> bytes:
        """What a link leads to, its digest checked."""

        async def attempt() -> bytes:
            request = self._http.build_request("GET", link.url, timeout=self._timeout)
            return contents.checked(link, await self._http.send(request, auth=None))

        return await self._insist(attempt)

    async def save(self, link: canonical.ContentLink, path: Path) -> None:
        """Write what a link leads to into a file: there whole and checked, or not at all."""
        partial = path.with_name(f"{path.name}.part")

        async def attempt() -> None:
            request = self._http.build_request("GET", link.url, timeout=self._timeout)
            response = await self._http.send(request, auth=None, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise contents.storage_failure(response)
                digest = hashlib.sha256()
                with partial.open("wb") as file:
                    async for chunk in response.aiter_bytes(contents.CHUNK):
                        digest.update(chunk)
                        await waiting.run(file.write, chunk)
            finally:
                await response.aclose()
            contents.check_digest(link, digest.hexdigest())

        try:
            await self._insist(attempt)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


async def _chunks(source: Path | bytes) -> AsyncIterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := await waiting.run(file.read, contents.CHUNK):
            yield chunk
