"""The model of the session log, on tables and buckets of the local cloud."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from dev.local_cloud import REGION
from dev.local_stack import Stack
from dev.template import create_table
from tests.unit.test_session_log import Log


def test_the_log_is_the_list_on_an_engine_that_is_right_under_concurrency(stack: Stack) -> None:
    class LogOnTheLocalCloud(Log):
        environment: ClassVar = {
            "TABLE_NAME": "casefile-model",
            "BUCKET_NAME": "casefile-model",
            "AWS_ENDPOINT_URL": stack.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }

        @contextmanager
        def aws(self) -> Iterator[None]:
            yield

    create_table(stack.client("dynamodb"), "casefile-model")
    stack.client("s3").create_bucket(Bucket="casefile-model")
    run_state_machine_as_test(
        LogOnTheLocalCloud,
        settings=settings(max_examples=40, stateful_step_count=30, deadline=None),
    )
