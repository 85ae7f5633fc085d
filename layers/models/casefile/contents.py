"""The bucket: content too large for the table, and what users upload.

Content is put here first, under its session and its SHA-256, and only then does a record point at
it. So a record never points at nothing, putting it again changes nothing, and no session's content
is another's: deleting a session deletes what is under its name, and can't touch more.

    content/<session_id>/<sha256>    what records of that session point at
    incoming/<user>/<sha256>         uploaded by that user; it expires, and a record has a copy
"""

from __future__ import annotations

import contextlib
import functools
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic_models import operations
from pydantic_models.base.times import now, to_milliseconds, to_text
from pydantic_models.canonical.content import AttachmentPayload, ContentLink

from . import aws
from .attempts import attempts
from .aws import Refused
from .config import configuration
from .errors import ContentMissing, NotFound
from .parallel import in_parallel

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectTypeDef

    from pydantic_models.operations import CreateUploadPayload, UploadCreatedPayload

LINK_LIFE = timedelta(minutes=15)

COPY_SECONDS = 10
"""What a copy of the largest attachment may take."""

MAX_DELETED = 1000
"""Keys of one DeleteObjects."""

_NOT_THERE = {"403", "404", "AccessDenied", "NoSuchKey", "NotFound", "PreconditionFailed"}
"""S3 says 403 of what isn't there to those who may not list the bucket."""


class NotThere(Refused):
    """S3 has no such object."""


class Calling(aws.Calling):
    """A call about one object, which may not be there.

    `with` it around the call: it raises NotThere, and what any call to AWS raises.
    """

    def _meaning(self, error: Exception) -> Exception:
        meant = super()._meaning(error)
        if isinstance(meant, Refused) and meant.code in _NOT_THERE:
            return NotThere(meant.response)
        return meant


@functools.cache
def client() -> S3Client:
    """The one client of this execution environment, made when it is first needed."""
    made: S3Client = aws.client(
        "s3",
        read_seconds=COPY_SECONDS,
        attempts=2,
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},  # The region's own address, also in links.
    )
    return made


def put(session_id: str, content: str) -> None:
    """Put the content of a record where the record will point. Doing it again changes nothing."""
    body = content.encode()
    digest = sha256(body)
    with aws.Calling():
        client().put_object(
            Bucket=bucket(),
            Key=content_key(session_id, digest.hexdigest()),
            Body=body,
            ContentType="application/json",
            ChecksumSHA256=b64encode(digest.digest()).decode(),
        )


def get_many(session_id: str, digests: Sequence[str]) -> list[str]:
    """The contents that records point at. Raises NotFound if the session was just deleted."""
    if digests:
        client()  # Where there are none, nobody waits for it: it takes a quarter of a second.
    return in_parallel(lambda digest: _get(session_id, digest), digests)


def _get(session_id: str, digest: str) -> str:
    return fetch(content_key(session_id, digest)).decode()


def fetch(key: str, begin: int = 0, end: int | None = None) -> bytes:
    """An object, or its bytes from one up to another. Raises NotFound."""
    last = "" if end is None else end - 1
    try:
        with Calling():
            found = client().get_object(Bucket=bucket(), Key=key, Range=f"bytes={begin}-{last}")
            return found["Body"].read()
    except NotThere:
        raise NotFound("The content of this session is not there any more.") from None


def size_of(key: str) -> int | None:
    """How many bytes an object has; None if there is none."""
    try:
        with Calling():
            return client().head_object(Bucket=bucket(), Key=key)["ContentLength"]
    except NotThere:
        return None


def take_over(session_id: str, user_id: str, attachments: Iterable[AttachmentPayload]) -> None:
    """Make what a user uploaded the session's own. Doing it again changes nothing.

    Raises ContentMissing for what isn't there, whole and with that digest; if that shows at the
    first look, none is copied.
    """
    wanted = list({(each.sha256, each.size): each for each in attachments}.values())
    client()
    tags = in_parallel(lambda each: _lacking(session_id, user_id, each), wanted)
    lacking = [(each, tag) for each, tag in zip(wanted, tags, strict=True) if tag is not None]
    in_parallel(lambda each: _copy(session_id, user_id, *each), lacking)


def _lacking(session_id: str, user_id: str, attachment: AttachmentPayload) -> str | None:
    """The entity tag of the upload, if the session lacks it. Else the upload may be gone."""
    kept = _tag(content_key(session_id, attachment.sha256), attachment)
    return _uploaded(user_id, attachment) if kept is None else None


def _uploaded(user_id: str, attachment: AttachmentPayload) -> str:
    """The entity tag of an upload. Raises ContentMissing."""
    tag = _tag(_incoming_key(user_id, attachment.sha256), attachment)
    if tag is None:
        raise ContentMissing(
            f"There is no upload of yours with SHA-256 {attachment.sha256} and "
            f"{attachment.size} bytes. Upload it (POST /uploads), then send this again."
        )
    return tag


def _copy(session_id: str, user_id: str, attachment: AttachmentPayload, tag: str) -> None:
    incoming = _incoming_key(user_id, attachment.sha256)
    for _ in attempts(f"Upload {attachment.sha256}"):
        try:
            with Calling(COPY_SECONDS):
                client().copy_object(
                    Bucket=bucket(),
                    Key=content_key(session_id, attachment.sha256),
                    CopySource={"Bucket": bucket(), "Key": incoming},
                    CopySourceIfMatch=tag,
                )
            return
        except NotThere:  # It went or changed just now: look again.
            tag = _uploaded(user_id, attachment)
    raise AssertionError("attempts() ends by raising")


def _tag(key: str, attachment: AttachmentPayload) -> str | None:
    """The entity tag of an object if it is what the attachment says, else None.

    S3 itself has checked the digest, when the object was put.
    """
    try:
        with Calling():
            found = client().head_object(Bucket=bucket(), Key=key, ChecksumMode="ENABLED")
    except NotThere:
        return None
    digest = b64encode(bytes.fromhex(attachment.sha256)).decode()
    is_it = found.get("ChecksumSHA256") == digest and found["ContentLength"] == attachment.size
    return found["ETag"] if is_it else None


def upload_link(user_id: str, upload: CreateUploadPayload) -> UploadCreatedPayload:
    """A link by which a user may put just these bytes under `incoming/`, without credentials."""
    digest = b64encode(bytes.fromhex(upload.sha256)).decode()
    url = client().generate_presigned_url(
        "put_object",
        Params={
            "Bucket": bucket(),
            "Key": _incoming_key(user_id, upload.sha256),
            "ContentLength": upload.size,
            "ContentType": upload.content_type,
            "ChecksumSHA256": digest,
        },
        ExpiresIn=int(LINK_LIFE.total_seconds()),
    )
    return operations.UploadCreatedPayload(
        sha256=upload.sha256,
        size=upload.size,
        url=url,
        headers={"Content-Type": upload.content_type, "x-amz-checksum-sha256": digest},
        expires_at=to_text(now() + LINK_LIFE),
    )


def link(
    session_id: str,
    digest: str,
    size: int,
    *,
    content_type: str = "application/json",
    name: str | None = None,
) -> ContentLink:
    """A link from which a session's content can be fetched, without credentials."""
    # A name of its own keeps a browser from showing what a stranger uploaded.
    file_name = quote(name or digest, safe="")
    url = client().generate_presigned_url(
        "get_object",
        Params={
            "Bucket": bucket(),
            "Key": content_key(session_id, digest),
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{file_name}",
            "ResponseContentType": content_type,
        },
        ExpiresIn=int(LINK_LIFE.total_seconds()),
    )
    return ContentLink(sha256=digest, size=size, url=url, expires_at=to_text(now() + LINK_LIFE))


def discard(session_id: str, digests: Iterable[str]) -> None:
    """Delete some contents of a session that is gone."""
    for digest in digests:
        delete(content_key(session_id, digest))


def uploads(user_id: str, until: int) -> Iterator[str]:
    """The keys of a user's uploads that are still there, up to a time in milliseconds since 1970.

    S3 tells whole seconds: what came later in the same one is among them.
    """
    last = prefix = _incoming_key(user_id, "")
    while found := _listed(prefix, last):
        for each in found:
            if to_milliseconds(each["LastModified"]) <= until:
                yield each["Key"]
        last = found[-1]["Key"]


def delete(key: str) -> None:
    """Delete an object, if it is there."""
    with aws.Calling():
        client().delete_object(Bucket=bucket(), Key=key)


def _listed(prefix: str, after: str | None = None) -> list[ObjectTypeDef]:
    """Some objects whose keys begin so, the first after a key; none if there is none."""
    with aws.Calling():
        found = client().list_objects_v2(
            Bucket=bucket(), Prefix=prefix, StartAfter=after or prefix, MaxKeys=MAX_DELETED
        )
    return found.get("Contents", [])


def delete_all(session_id: str) -> None:
    """Delete all content of a session. Interrupted, it goes on when it is done again."""
    while found := _listed(content_key(session_id, "")):
        keys: list[Any] = [{"Key": each["Key"]} for each in found]
        with aws.Calling():
            answer = client().delete_objects(
                Bucket=bucket(), Delete={"Objects": keys, "Quiet": True}
            )
        if answer.get("Errors"):
            raise aws.come_back()


_are_linked: ContextVar[bool] = ContextVar("are_linked", default=False)


@contextlib.contextmanager
def linked() -> Iterator[None]:
    """Let answers that are made inside give links in place of large contents."""
    token = _are_linked.set(True)
    try:
        yield
    finally:
        _are_linked.reset(token)


def are_linked() -> bool:
    """Whether large contents are to be told by links."""
    return _are_linked.get()


def bucket() -> str:
    """The name of the bucket."""
    return configuration().bucket_name


def content_key(session_id: str, digest: str) -> str:
    """Where a session's content of this digest lies."""
    return f"content/{session_id}/{digest}"


def _incoming_key(user_id: str, digest: str) -> str:
    return f"incoming/{sha256(user_id.encode()).hexdigest()}/{digest}"
