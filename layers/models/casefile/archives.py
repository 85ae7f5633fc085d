"""The archive: a closed session as compressed JSON Lines in the bucket.

The lines are an export's, so whoever holds the object can verify it with nothing else. They are
compressed in parts, one gzip member after the other, and a manifest says where each begins. So to
gunzip or Athena it is one file, and to us a page of it is one small read, however long it is. What
lay in the bucket already is named by its digest, and stays where it is.

What follows: a record never changes and nothing follows a closing, so the archive of a session is
always the same. Written again it changes nothing, and where the table has a record no more, this is
the record that it had.

    archive/sessions/created=2026-11-21/<session_id>.jsonl.gz
    archive/manifests/created=2026-11-21/<session_id>.json
"""

from __future__ import annotations

import functools
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import IO, TYPE_CHECKING

from pydantic_models.base.json_values import to_json
from pydantic_models.base.times import text_of
from pydantic_models.canonical.record import Record
from pydantic_models.export import head_line, read_record_line, record_line, verify

from . import aws, contents
from .errors import NotFound
from .parallel import AT_ONCE

if TYPE_CHECKING:
    from .sessions import SessionHead

FORMAT = "casefile archive 1"

PART_CHARACTERS = 1024 * 1024
"""Of lines that are compressed together: what is read of an archive at once."""

MAX_LOADED_CHARACTERS = 8 * 1024 * 1024
"""Of lines read at once: a page ends with the part, or the content, that brings it to this."""

IN_MEMORY = 32 * 1024 * 1024
"""Compressed bytes of a session; beyond that they wait on disk."""

Stored = tuple[Record, "bytes | None"]
"""A record with its content, or with the digest of content that lies in the bucket."""


class Broken(Exception):
    """What the table holds of a session does not verify. It must stay as it is."""


@dataclass(frozen=True)
class Manifest:
    """What an archive holds: times in ISO 8601, sizes in bytes.

    `parts` are the number of the first record of each, and the byte at which it begins.
    """

    session_id: str
    user_id: str
    casefile_id: str | None
    title: str | None
    created_at: str
    closed_at: str
    records: int
    seal: str
    size: int
    sha256: str
    parts: list[tuple[int, int]]
    contents: list[str] = field(default_factory=list)
    format: str = FORMAT


def write(head: SessionHead, stored: Iterable[Stored]) -> None:
    """Put a closed session, whose records come in their order, in the archive.

    Raises Broken, before anything is put, if they don't verify or don't end with a closing.
    """
    import tempfile

    session_id = head.session_id
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        writer = _Writer(file)
        first = head_line(session_id, head.user_id, head.created_at)
        try:
            verified = verify(writer.writing(first, _lines(session_id, stored)))
        except ValueError as error:
            raise Broken(f"Session {session_id} does not verify: {error}") from error
        if not verified.is_closed:
            raise Broken(f"Session {session_id} ends with record {verified.records}, not closed.")
        manifest = Manifest(
            session_id=session_id,
            user_id=head.user_id,
            casefile_id=head.casefile_id,
            title=head.title,
            created_at=text_of(head.created_at),
            closed_at=text_of(writer.last_at),
            records=verified.records,
            seal=verified.seal,
            size=file.tell(),
            sha256=writer.digest.hexdigest(),
            parts=writer.parts,
            contents=sorted(set(verified.linked.values())),
        )
        file.seek(0)
        with aws.Calling():
            # In parts, and several at once, if it is large.
            contents.client().upload_fileobj(
                Fileobj=file,
                Bucket=contents.bucket(),
                Key=_session_key(session_id),
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},
            )
    with aws.Calling():
        contents.client().put_object(
            Bucket=contents.bucket(),
            Key=_manifest_key(session_id),
            Body=to_json(asdict(manifest)).encode() + b"\n",
            ContentType="application/json",
            ChecksumAlgorithm="SHA256",
        )


class _Writer:
    """Lines into compressed parts; the head is one by itself, before the first of records."""

    def __init__(self, file: IO[bytes]) -> None:
        self.digest, self.last_at = sha256(), 0
        self.parts: list[tuple[int, int]] = []
        self._file, self._first, self._characters = file, 0, 0
        self._waiting: list[str] = []

    def writing(self, head: str, records: Iterable[tuple[Record, str]]) -> Iterator[str]:
        """The lines, each on its way into the file."""
        self._put([head])
        yield head
        for record, line in records:
            if not self._waiting:
                self._first = record.number
            self._waiting.append(line)
            self._characters += len(line)
            self.last_at = record.at
            yield line
            if self._characters >= PART_CHARACTERS:
                self._end_part()
        self._end_part()

    def _end_part(self) -> None:
        if self._waiting:
            self.parts.append((self._first, self._file.tell()))
            self._put(self._waiting)
            self._waiting, self._characters = [], 0

    def _put(self, lines: list[str]) -> None:
        import gzip

        # Without the time, so that the same lines are the same bytes.
        part = gzip.compress("".join(f"{line}\n" for line in lines).encode(), 6, mtime=0)
        self.digest.update(part)
        self._file.write(part)


def _lines(session_id: str, stored: Iterable[Stored]) -> Iterator[tuple[Record, str]]:
    for record, digest in stored:
        if digest is None:
            yield record, record_line(record)
        else:
            where = f"s3://{contents.bucket()}/{contents.content_key(session_id, digest.hex())}"
            yield record, record_line(record, (digest.hex(), where))


def is_whole(session_id: str, closing: Record) -> bool:
    """Whether the archive holds a session up to its closing, object and manifest."""
    try:
        manifest = _read_manifest(session_id)
    except NotFound:
        return False
    noted = (manifest.records, manifest.seal, manifest.size)
    return noted == (closing.number, closing.seal.hex(), contents.size_of(_session_key(session_id)))


def page(
    session_id: str,
    low: int,
    high: int | None,
    limit: int,
    *,
    newest_first: bool,
    with_content: bool,
) -> tuple[list[Record], int]:
    """Up to `limit` records between two numbers, in either direction, and how many there are.

    Fewer come if they are large. Raises NotFound if the session was deleted just now.
    """
    manifest = _manifest(session_id)
    high = manifest.records if high is None else min(high, manifest.records)
    found: list[Stored] = []
    if low <= high:
        begin, end = _part_of(manifest, low), _part_of(manifest, high)
        size = 0
        order = range(begin, end + 1)
        for place in reversed(order) if newest_first else order:
            part = [each for each in _part(manifest, place) if low <= each[0].number <= high]
            found += reversed(part) if newest_first else part
            size += sum(len(record.content) for record, _ in part)
            if len(found) >= limit or size >= MAX_LOADED_CHARACTERS:
                break
    _was_read.set(True)
    if not with_content:
        return [record._replace(content="") for record, _ in found[:limit]], manifest.records
    return _as_many_as_fit(session_id, found[:limit]), manifest.records


def get_many(session_id: str, numbers: Iterable[int]) -> Iterator[Record | None]:
    """Some records with their contents, in this order, loaded in turn; None for one it hasn't.

    Raises NotFound if the session was deleted just now.
    """
    _was_read.set(True)
    manifest = _manifest(session_id)
    part: dict[int, Stored] = {}
    for number in numbers:
        if number not in part:
            part = {each[0].number: each for each in _part(manifest, _part_of(manifest, number))}
        yield next(_loaded(session_id, [part[number]])) if number in part else None


def _as_many_as_fit(session_id: str, found: list[Stored]) -> list[Record]:
    fitting: list[Record] = []
    size = 0
    for record in _loaded(session_id, found):
        fitting.append(record)
        size += len(record.content)
        if size >= MAX_LOADED_CHARACTERS:
            break
    return fitting


def _loaded(session_id: str, found: list[Stored]) -> Iterator[Record]:
    """Records with their contents; of what lies in the bucket, a few at a time are fetched."""
    away = [digest.hex() for _, digest in found if digest is not None]
    loaded = (
        content
        for begin in range(0, len(away), AT_ONCE)
        for content in contents.get_many(session_id, away[begin : begin + AT_ONCE])
    )
    for record, digest in found:
        yield record if digest is None else record._replace(content=next(loaded))


def _part_of(manifest: Manifest, number: int) -> int:
    return bisect_right(manifest.parts, number, key=lambda part: part[0]) - 1


def _part(manifest: Manifest, place: int) -> list[Stored]:
    begin = manifest.parts[place][1]
    is_last = place + 1 == len(manifest.parts)
    end = manifest.size if is_last else manifest.parts[place + 1][1]
    key = _session_key(manifest.session_id)
    import gzip

    lines = gzip.decompress(contents.fetch(key, begin, end)).decode().split("\n")
    return [read_record_line(line) for line in lines if line]


@functools.lru_cache(maxsize=16)
def _manifest(session_id: str) -> Manifest:
    """The manifest, which stays the same as long as there is one."""
    return _read_manifest(session_id)


def _read_manifest(session_id: str) -> Manifest:
    found = json.loads(contents.fetch(_manifest_key(session_id)))
    if found["format"] != FORMAT:
        raise ValueError(f"The archive of session {session_id} is no {FORMAT}.")
    return Manifest(**found | {"parts": [(number, begin) for number, begin in found["parts"]]})


def delete(session_id: str) -> None:
    """Delete the archive of a session, if there is one."""
    _manifest.cache_clear()
    for key in (_manifest_key(session_id), _session_key(session_id)):
        contents.delete(key)


_was_read: ContextVar[bool] = ContextVar("was_read", default=False)


def begin() -> None:
    """Notice from now on whether a request needs the archive."""
    _was_read.set(False)


def metadata() -> dict[str, str]:
    """What an answer's metadata say of it."""
    return {"read_from": "archive"} if _was_read.get() else {}


def _session_key(session_id: str) -> str:
    return f"archive/sessions/{_created(session_id)}/{session_id}.jsonl.gz"


def _manifest_key(session_id: str) -> str:
    return f"archive/manifests/{_created(session_id)}/{session_id}.json"


def _created(session_id: str) -> str:
    """The day of its creation, as an id tells it, so that no other item is needed to find it."""
    date = session_id.split("_")[1]
    return f"created=20{date[:2]}-{date[2:4]}-{date[4:6]}"
