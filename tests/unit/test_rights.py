"""What a role allows is what its policies say; no test can pass over what it doesn't."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ClientError

from casefile import aws
from casefile.schedule import Scheduled
from tests import rights
from tests.conftest import BUCKET, FUNCTIONS, Context, empty_aws
from tests.rights import TABLE, Need


@pytest.mark.parametrize(
    ("function", "need", "allowed"),
    [
        ("chat", Need("dynamodb:PutItem", TABLE, "SESSION#x"), True),
        ("chat", Need("dynamodb:DeleteItem", TABLE, "SESSION#x"), False),
        ("chat", Need("dynamodb:Query", f"{TABLE}/index/by_owner_activity"), False),
        ("list_casefiles", Need("dynamodb:Query", f"{TABLE}/index/by_owner_activity"), True),
        ("list_casefiles", Need("dynamodb:Query", f"{TABLE}/index/by_casefile_activity"), False),
        ("list_casefiles", Need("dynamodb:PutItem", TABLE, "KEY#cursors"), True),
        ("list_casefiles", Need("dynamodb:PutItem", TABLE, "SESSION#x"), False),
        ("list_casefiles", Need("dynamodb:PutItem", TABLE), False),
        ("get_session", Need("s3:GetObject", f"{rights.BUCKET}/content/x/y"), True),
        ("get_session", Need("s3:GetObject", f"{rights.BUCKET}/incoming/x/y"), False),
        ("erase_user", Need("dynamodb:Query", f"{TABLE}/index/by_stage_since"), False),
        ("delete_casefile", Need("dynamodb:Query", f"{TABLE}/index/by_stage_since"), False),
        ("finish_deletions", Need("dynamodb:Query", f"{TABLE}/index/by_stage_since"), True),
        ("describe_api", Need("dynamodb:GetItem", TABLE, "SESSION#x"), False),
    ],
)
def test_a_role_allows_what_its_policies_say(function: str, need: Need, allowed: bool) -> None:
    assert rights.allows(function, need) is allowed


APPENDING = "chat rewind_ tool_"
CHANGING = "add_ close_ create_chat create_session grant_ remove_ revoke_ set_ update_"
DELETING = "delete_ erase_ finish_"
LISTING = "list_casefile_sessions list_chat_sessions list_sessions"
READING = "export_ get_chat get_session get_tool list_chat_events list_chat_messages list_tool"
SIGNING = f"get_casefile list_casefiles list_permissions update_casefile {LISTING}"
MAY = {
    "dynamodb:BatchGetItem Table": f"check_ get_ list_ on_news {APPENDING} {CHANGING} {DELETING}"
    f" {READING}",
    "dynamodb:BatchWriteItem Table": f"archive_ {DELETING}",
    "dynamodb:ConditionCheckItem Table": "grant_ revoke_",
    "dynamodb:GetItem Table": "archive_ export_ get_casefile get_tool list_c list_s list_t"
    f" on_session {APPENDING} {CHANGING} {DELETING}",
    "dynamodb:GetItem Table KEY#cursors": SIGNING,
    "dynamodb:PutItem Table": f"archive_ create_casefile {APPENDING} {CHANGING} {DELETING}",
    "dynamodb:PutItem Table KEY#cursors": SIGNING,
    "dynamodb:Query Table": "archive_ close_ get_casefile list_permissions update_casefile"
    f" {APPENDING} {DELETING} {READING}",
    "dynamodb:Query Table/index/by_casefile_activity": LISTING,
    "dynamodb:Query Table/index/by_casefile_creation": "delete_casefile erase_ finish_ get_casefile"
    f" update_casefile {LISTING}",
    "dynamodb:Query Table/index/by_owner_activity": "list_casefiles list_chat_sessions"
    " list_sessions",
    "dynamodb:Query Table/index/by_owner_creation": "erase_ finish_ list_casefiles"
    " list_chat_sessions list_sessions",
    "dynamodb:Query Table/index/by_stage_since": "archive_ close_idle finish_",
    "dynamodb:UpdateItem Table": f"archive_ on_session {CHANGING} {DELETING}",
    "events:PutEvents Bus": "on_news",
    "lambda:InvokeFunction ${AWS::StackName}_*": "on_request",
    "s3:AbortMultipartUpload Contents/archive/*": "archive_",
    "s3:DeleteObject Contents/archive/*": f"archive_ {DELETING}",
    "s3:DeleteObject Contents/content/*": f"{APPENDING} {DELETING}",
    "s3:DeleteObject Contents/incoming/*": "erase_ finish_",
    "s3:GetObject Contents/archive/*": f"archive_ close_chat close_session {APPENDING} {READING}",
    "s3:GetObject Contents/content/*": f"on_news {APPENDING} {READING}",
    "s3:GetObject Contents/incoming/*": APPENDING,
    "s3:ListBucket Contents": DELETING,
    "s3:PutObject Contents/archive/*": "archive_",
    "s3:PutObject Contents/content/*": APPENDING,
    "s3:PutObject Contents/incoming/*": "create_upload",
}
"""Every right, and how the names of those functions begin that have it."""


def test_no_role_allows_more_than_is_told_here() -> None:
    """A right more is one for whoever takes over the function: here it is thought of twice."""
    given: dict[str, set[str]] = {}
    for function, statements in rights.statements().items():
        for said in statements:
            for action, resource in product(said.actions, said.resources):
                place = re.sub(r".*:function:|\${(\w+)\.Arn}", r"\1", resource)
                right = " ".join([action, place, *(said.keys or ())])
                given.setdefault(right, set()).add(function)
    assert given == {
        right: {name for name in FUNCTIONS if name.startswith(tuple(beginnings.split()))}
        for right, beginnings in MAY.items()
    }


@dataclass
class Done:
    pass


KEY = {"pk": {"S": "PLACE#open"}, "sk": {"S": "HEAD"}}
CALLS: dict[str, Callable[[Any], Any]] = {
    "dynamodb:DeleteItem": lambda client: client.delete_item(TableName="casefile-test", Key=KEY),
    "s3:PutObject": lambda client: client.upload_fileobj(io.BytesIO(b"text"), BUCKET, "content/x"),
}


@pytest.mark.parametrize("action", CALLS)
def test_what_is_refused_fails_the_test_even_if_the_function_bears_it(
    monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def run() -> None:
        with rights.judged():
            client = aws.client(action.partition(":")[0])

            def bear_it() -> Done:
                with pytest.raises(ClientError, match="AccessDenied"):
                    CALLS[action](client)
                return Done()

            CALLS[action](client)  # by nobody
            Scheduled("close_idle_sessions", bear_it)({}, Context())

    with empty_aws(), pytest.raises(AssertionError, match=f"close_idle_sessions may not {action}"):
        run()
