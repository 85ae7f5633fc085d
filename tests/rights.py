"""The functions' roles: a call that a function's own role does not allow is refused, and told.

moto lets everybody do everything. So each call of a function, over boto3 or by a link that it
signs, is held against the policies that the template gives that function, as IAM would. What is
refused fails the test, whatever the function makes of the refusal. Calls that a test makes by
itself are nobody's, and are not judged; nor are those of our own client, which are boto3's.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, NamedTuple
from unittest import mock

from botocore.exceptions import ClientError

from casefile import aws
from casefile.entry import Operation
from casefile.schedule import Scheduled
from tests.template import resources

TABLE, BUCKET, BUS = "${Table.Arn}", "${Contents.Arn}", "${Bus.Arn}"

UNNAMED = ("on_news", "on_request", "on_session_record")
"""Functions whose handlers don't know what they are called."""

_at_work: ContextVar[str | None] = ContextVar("at_work", default=None)


class Need(NamedTuple):
    """What a call takes: an action, on what, and the partition that it is about, if it tells."""

    action: str
    resource: str
    key: str | None = None


@contextlib.contextmanager
def judged() -> Iterator[None]:
    """Refuse what roles don't allow, as AWS would; raises AssertionError in the end if any was."""
    refused: list[str] = []

    def judge(params: dict[str, Any], model: Any, **_: Any) -> None:
        function = _at_work.get()
        if function is None:
            return
        for need in needs(model.service_model.service_name, model.name, params):
            if not allows(function, need):
                refused.append(f"{function} may not {need.action} {need.resource}")
                error = {"Code": "AccessDenied", "Message": refused[-1]}
                answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}
                raise ClientError(answer, model.name)

    make, submit = aws.client, ThreadPoolExecutor.submit

    def made(*arguments: Any, **more: Any) -> Any:
        client = make(*arguments, **more)
        client.meta.events.register("provide-client-params", judge)
        return client

    def submitted(pool: ThreadPoolExecutor, do: Any, /, *arguments: Any, **more: Any) -> Any:
        return submit(pool, copy_context().run, do, *arguments, **more)  # For uploads in parts.

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(aws, "client", made))
        stack.enter_context(mock.patch.object(ThreadPoolExecutor, "submit", submitted))
        for kind in (Operation, Scheduled):
            stack.enter_context(mock.patch.object(kind, "__call__", _as_itself(kind.__call__)))
        for name in UNNAMED:
            module: Any = import_module(f"functions.{name}.handler")
            stack.enter_context(
                mock.patch.object(module, "handle", _as_itself(module.handle, name))
            )
        yield
    assert not refused, f"the template must say so, or the function do without: {refused}"


def _as_itself(call: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """A handler's call, as the function of a name: the handler's own, unless it is given."""

    @functools.wraps(call)
    def called(first: Any, *rest: Any) -> Any:
        token = _at_work.set(name or str(first.name))
        try:
            return call(first, *rest)
        finally:
            _at_work.reset(token)

    return called


def needs(service: str, operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    """What a call takes (Service Authorization Reference)."""
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            for write in asked["TransactItems"]:
                ((kind, told),) = write.items()
                action = {"ConditionCheck": "ConditionCheckItem"}.get(kind, f"{kind}Item")
                yield Need(f"dynamodb:{action}", TABLE, _key(told))
        case "dynamodb", _:
            index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
            yield Need(f"dynamodb:{operation}", TABLE + index, _key(asked))
        case "events", "PutEvents":
            yield Need("events:PutEvents", BUS)
        case "s3", "ListObjectsV2":
            yield Need("s3:ListBucket", BUCKET)
        case "s3", "DeleteObjects":
            for told in asked["Delete"]["Objects"]:
                yield Need("s3:DeleteObject", f"{BUCKET}/{told['Key']}")
        case "s3", "CopyObject":
            yield Need("s3:GetObject", f"{BUCKET}/{asked['CopySource']['Key']}")
            yield Need("s3:PutObject", f"{BUCKET}/{asked['Key']}")
        case "s3", "HeadObject":
            yield Need("s3:GetObject", f"{BUCKET}/{asked['Key']}")
        case "s3", "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload":
            yield Need("s3:PutObject", f"{BUCKET}/{asked['Key']}")
        case "s3", "AbortMultipartUpload" | "DeleteObject" | "GetObject" | "PutObject":
            yield Need(f"s3:{operation}", f"{BUCKET}/{asked['Key']}")
        case _:
            raise AssertionError(f"what {service} {operation} takes is not known here")


def _key(told: dict[str, Any]) -> str | None:
    key = told.get("Key") or told.get("Item")
    return str(key["pk"]["S"]) if key else None


def allows(function: str, need: Need) -> bool:
    """Whether a function's role allows it."""
    return any(
        need.action in statement.actions
        and any(fnmatchcase(need.resource, pattern) for pattern in statement.resources)
        and (statement.keys is None or need.key in statement.keys)
        for statement in statements()[function]
    )


class Statement(NamedTuple):
    """What a policy allows: on all partitions, or on some."""

    actions: list[str]
    resources: list[str]
    keys: list[str] | None


@functools.cache
def statements() -> dict[str, list[Statement]]:
    """By function, what its policies say in the template."""
    return {
        properties["CodeUri"].removeprefix("functions/"): [
            _read(statement)
            for policy in properties.get("Policies", [])
            for statement in _listed(policy["Statement"])
            if statement["Effect"] == "Allow"  # What is denied, Lambda does, and no function.
        ]
        for properties in resources("AWS::Serverless::Function").values()
    }


def _read(said: dict[str, Any]) -> Statement:
    keys = None
    if "Condition" in said:
        ((operator, about),) = said["Condition"].items()
        assert (operator, *about) == ("ForAllValues:StringEquals", "dynamodb:LeadingKeys")
        keys = about["dynamodb:LeadingKeys"]
    places = [
        str(each["Fn::Sub"]) if "Fn::Sub" in each else f"${{{'.'.join(each['Fn::GetAtt'])}}}"
        for each in _listed(said["Resource"])
    ]
    return Statement(_listed(said["Action"]), places, keys)


def _listed(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]
