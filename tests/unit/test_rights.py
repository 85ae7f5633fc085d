"""What a role allows is what its policies say; no test can pass over what it doesn't."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from casefile import aws
from casefile.schedule import Scheduled
from tests import rights
from tests.conftest import BUCKET, Context, empty_aws
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
