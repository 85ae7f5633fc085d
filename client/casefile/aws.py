"""The service's functions called directly, by whom IAM allows to: no HTTP API, no token.

The extra `aws` brings botocore, which finds AWS credentials wherever they are, and signs; the rest
is the same client. Who may invoke the functions is trusted to name the user.

    client = casefile.Client(casefile.aws.Functions("casefile", "svc_agent"))
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import httpx

from pydantic_models.base import BaseResponse

from . import errors
from .doors import Outgoing, encoded, failure, parsed
from .operations import AnswerT, Call

_RETRYABLE = {"Sandbox.Timedout", "Runtime.ExitError", "Runtime.Unknown"}
"""What befalls a function, not its request."""


class Functions:
    """The functions of a stack, called in the name of a user.

    Credentials and region are found as AWS tools find them; `profile` and `region` choose.
    """

    def __init__(
        self,
        stack: str,
        user_id: str,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        session = botocore.session.Session(profile=profile)
        region = region or session.get_config_variable("region")
        credentials = session.get_credentials()
        if region is None or credentials is None:
            missing = "region" if region is None else "credentials"
            raise errors.CasefileError(f"No AWS {missing} found: see `aws configure`.")
        self.auth = _Signature(credentials, region)
        self._stack, self._user_id = stack, user_id
        self._endpoint = endpoint or f"https://lambda.{region}.amazonaws.com"

    def request(self, call: Call[Any]) -> Outgoing:
        """The invocation of the operation's function, whose event is the request envelope."""
        function = f"{self._stack}_{call.operation.name}"
        envelope = {
            "request_id": str(call.request_id),
            "user_id": self._user_id,
            "operation": call.operation.name,
            "payload": call.payload,
            "timestamp": call.timestamp,
            "metadata": call.metadata,
        }
        url = f"{self._endpoint}/2015-03-31/functions/{function}/invocations"
        headers = {"Content-Type": "application/json"}
        return Outgoing("POST", url, headers, content=encoded(envelope))

    def read(self, call: Call[AnswerT], response: httpx.Response) -> BaseResponse[AnswerT]:
        """The function's answer. Raises what it raised."""
        if not response.is_success:
            failed = failure(response)
            raise type(failed)(
                f"Lambda: {failed}",
                status=response.status_code,
                retry_after=failed.retry_after,
                is_final=failed.is_final,
            )
        if "X-Amz-Function-Error" in response.headers:
            raise _raised(response)
        return parsed(call.operation, response.content)


class _Signature(httpx.Auth):
    """Signs each request anew (AWS Signature Version 4), with credentials that renew themselves."""

    requires_request_body = True

    def __init__(self, credentials: botocore.credentials.Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign what is sent."""
        asked = botocore.awsrequest.AWSRequest(
            request.method,
            str(request.url),
            headers={"Content-Type": request.headers["Content-Type"]},
            data=request.content,
        )
        frozen = self._credentials.get_frozen_credentials()
        botocore.auth.SigV4Auth(frozen, "lambda", self._region).add_auth(asked)
        request.headers.update(dict(asked.headers.items()))
        yield request


def _raised(response: httpx.Response) -> errors.RequestFailed:
    told = json.loads(response.content)
    name, message = str(told.get("errorType")), str(told.get("errorMessage"))
    kind = errors.named(name.rpartition(".")[2])
    if kind is not None:
        return kind(message, is_final=errors.is_final(kind, kind.code))
    if name in _RETRYABLE:
        return errors.Unavailable(f"{name}: {message}")
    return errors.InternalError(f"{name}: {message}")
