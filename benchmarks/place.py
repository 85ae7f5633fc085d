"""Where the stores keep what they are given: engines at home, or tables of one's own on AWS.

At home it is dynoxide, which counts DynamoDB's units as AWS does, and the local cloud for S3. On
AWS it is whatever account and region the user's own credentials lead to; every table and bucket
that is made there has a name of this run's own, and is deleted when it is over.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3

from benchmarks import meter
from dev import dynoxide
from dev.console import Problem, say
from dev.local_cloud import REGION, LocalCloud, free_port

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class Place:
    """The environments of workers there: in one they are counted, in the other not hindered."""

    direct: Mapping[str, str]
    metered: Mapping[str, str]


@contextlib.contextmanager
def at_home() -> Iterator[Place]:
    """Engines on this machine, and a meter before them."""
    binary = dynoxide.prepare()
    if binary is None:
        raise Problem(f"{dynoxide.NOT_HERE} With an AWS account: make bench ARGS=--aws")
    with (
        tempfile.TemporaryDirectory() as folder,
        dynoxide.running(binary) as dynamodb,
        LocalCloud(state=Path(folder, "cloud"), port=free_port()) as cloud,
        meter.metered(dynamodb, cloud.endpoint) as counting,
    ):
        common = {
            **_CREDENTIALS,
            **_common(REGION),
            **_folder(folder),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield Place(
            direct=common | _endpoints(dynamodb, cloud.endpoint),
            metered=common | _counting(counting),
        )


@contextlib.contextmanager
def on_aws(prefix: str) -> Iterator[Place]:
    """The user's own account, with names that begin with `prefix`; it is left as it was."""
    session = boto3.Session()
    credentials, region = session.get_credentials(), session.region_name
    if credentials is None or region is None:
        raise Problem("There are no AWS credentials, or no region: aws configure, or AWS_PROFILE.")
    frozen = credentials.get_frozen_credentials()
    named = {
        "AWS_ACCESS_KEY_ID": frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_SESSION_TOKEN": frozen.token,
    }
    given = {name: value for name, value in named.items() if value}
    dynamodb = session.client("dynamodb").meta.endpoint_url
    s3 = session.client("s3").meta.endpoint_url
    with (
        tempfile.TemporaryDirectory() as folder,
        meter.metered(dynamodb, s3, sign=meter.signing(session)) as counting,
    ):
        common = {**given, **_common(region), **_folder(folder), "BENCH_PREFIX": prefix}
        common |= {"TABLE_NAME": f"{prefix}casefile", "BUCKET_NAME": f"{prefix}casefile"}
        try:
            yield Place(
                direct=common,
                metered=common | _counting(counting),
            )
        finally:
            _delete(session, prefix)


def _common(region: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": "layers/models",
        "PYTHONWARNINGS": "ignore",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "TABLE_NAME": "casefile",
        "BUCKET_NAME": "casefile",
        "HOME": os.environ.get("HOME", "/"),
    }


def _folder(name: str) -> dict[str, str]:
    """Where stores keep what they keep on this machine."""
    return {"BENCH_FOLDER": name, "CHAINLIT_APP_ROOT": name}


def _endpoints(dynamodb: str, s3: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb, "AWS_ENDPOINT_URL_S3": s3}


def _counting(at: meter.Meter) -> dict[str, str]:
    """The same, counted; whatever is logged costs time, and nothing that is counted."""
    endpoints = _endpoints(at.dynamodb, at.s3)
    return endpoints | {"BENCH_METER": at.dynamodb, "POWERTOOLS_LOG_LEVEL": "ERROR"}


def _delete(session: boto3.Session, prefix: str) -> None:
    """Delete every table and bucket of this run."""
    dynamodb, s3 = session.client("dynamodb"), session.resource("s3")
    for page in dynamodb.get_paginator("list_tables").paginate():
        for name in page["TableNames"]:
            if name.startswith(prefix):
                say(f"Deleting table {name}")
                dynamodb.delete_table(TableName=name)
    for bucket in s3.buckets.all():
        if bucket.name.startswith(prefix):
            say(f"Deleting bucket {bucket.name}")
            bucket.objects.all().delete()
            bucket.delete()
