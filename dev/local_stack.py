"""Deploys template.yaml to the local cloud, and makes its users.

CloudFormation there understands SAM itself, so the template is deployed as it is; only the folders
it names are replaced by what has been uploaded. Deploying again changes what has changed, nothing
if nothing has. It can never touch AWS: address and credentials are always given, and it refuses
to go on unless the account that answers is the local one.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import environments, local_cloud, packages
from dev.console import Problem, step

STACK = "casefile"
BUCKET = "casefile-code"
# Where the defaults of the template suit AWS better than a try at home.
PARAMETERS = {
    "DeletionProtection": "false",
    "IdTokenHours": "24",
    "RefreshSeconds": "1",
    "TlsOnly": "false",
}
_TEMPLATE = "template.json"
_LOCAL_ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Stack:
    """What is deployed in the local cloud at `endpoint`."""

    endpoint: str
    outputs: dict[str, str]

    @property
    def url(self) -> str:
        api, stage = self.outputs["ApiId"], self.outputs["ApiStage"]
        return f"{self.endpoint}/_aws/execute-api/{api}/{stage}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a program that uses the stack as its functions do."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": local_cloud.ROOT_CREDENTIALS["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": local_cloud.ROOT_CREDENTIALS["SecretAccessKey"],
            "AWS_DEFAULT_REGION": local_cloud.REGION,
            "TABLE_NAME": self.outputs["TableName"],
            "BUCKET_NAME": self.outputs["BucketName"],
            "POWERTOOLS_LOG_LEVEL": "ERROR",
        }

    def function(self, folder: str) -> str:
        """The name of the function that is deployed from functions/<folder>."""
        cloudformation = self.client("cloudformation")
        name = "".join(map(str.capitalize, folder.split("_")))
        try:
            found = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId=name)
        except cloudformation.exceptions.ClientError as error:
            raise Problem(f"{folder} is not deployed: a parameter turns it on.") from error
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def client(self, service: str) -> Any:
        return local_cloud.client(self.endpoint, service)

    def token(self, email: str) -> str:
        """Sign in as the user of this address, who need not exist yet; return the ID token."""
        cognito = self.client("cognito-idp")
        pool = {"UserPoolId": self.outputs["UserPoolId"]}
        attributes = {"email": email, "email_verified": "true"}
        password = f"Aa1!{secrets.token_urlsafe(24)}"
        try:
            cognito.admin_create_user(
                **pool,
                Username=email,
                UserAttributes=[{"Name": n, "Value": v} for n, v in attributes.items()],
                MessageAction="SUPPRESS",
            )
        except cognito.exceptions.UsernameExistsException:
            pass
        except cognito.exceptions.InvalidParameterException as error:
            raise Problem(f"{email!r} is no e-mail address: nobody was made.") from error
        cognito.admin_set_user_password(**pool, Username=email, Password=password, Permanent=True)
        signed_in = cognito.admin_initiate_auth(
            **pool,
            ClientId=self.outputs["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
        token: str = signed_in["AuthenticationResult"]["IdToken"]
        return token


def deploy(
    cloud: local_cloud.LocalCloud, root: Path = environments.ROOT, **parameters: str
) -> Stack:
    """Bring the stack to what template.yaml, the code under `root` and some parameters say."""
    from dev import template  # it needs PyYAML; all else here can be imported without

    _refuse_any_other_account(cloud.client("sts"))
    document = template.load(root / "template.yaml")
    s3 = cloud.client("s3")
    used = _upload_code(s3, document, root)
    # By its address, since a request takes no more than 51,200 bytes of it (CloudFormation quotas).
    s3.put_object(Bucket=BUCKET, Key=_TEMPLATE, Body=json.dumps(document))
    with step("Deploying template.yaml"):
        _apply(
            cloud.client("cloudformation"), document.get("Parameters", {}), PARAMETERS | parameters
        )
    _forget_all_but(used, s3)
    return find(cloud.endpoint)


def find(endpoint: str) -> Stack:
    """The stack that is deployed at this endpoint."""
    described = _describe(local_cloud.client(endpoint, "cloudformation"))
    if described is None:
        raise Problem("Nothing is deployed there yet: make start")
    return Stack(endpoint, {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]})


def _refuse_any_other_account(sts: Any) -> None:
    account = sts.get_caller_identity()["Account"]
    if account != _LOCAL_ACCOUNT:
        raise Problem(f"This is account {account}, not the local cloud: nothing was deployed.")


def _upload_code(s3: Any, document: dict[str, Any], root: Path) -> set[str]:
    """Put s3:// addresses where the template names folders; return the names of what they hold."""
    s3.create_bucket(Bucket=BUCKET)
    present = _keys(s3)
    used = set()
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            place, package = "CodeUri", packages.of_function(root / properties["CodeUri"])
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            folder = root / properties["ContentUri"]
            place, package = "ContentUri", packages.of_layer(folder, environments.CLOUD.python)
        else:
            continue
        if package.name not in present:
            s3.put_object(Bucket=BUCKET, Key=package.name, Body=package.make())
            present.add(package.name)
        properties[place] = f"s3://{BUCKET}/{package.name}"
        used.add(package.name)
    return used


def _apply(cloudformation: Any, declared: dict[str, Any], parameters: dict[str, str]) -> None:
    request = {
        "StackName": STACK,
        "TemplateURL": f"https://s3.amazonaws.com/{BUCKET}/{_TEMPLATE}",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters.items()
            if name in declared
        ],
    }
    began = time.time()
    before = _describe(cloudformation)
    if before is not None and before["StackStatus"] in {"ROLLBACK_COMPLETE", "CREATE_FAILED"}:
        cloudformation.delete_stack(StackName=STACK)  # it never worked, so it holds nothing
        _wait(cloudformation)
        before = None
    try:
        if before is None:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except cloudformation.exceptions.ClientError as error:
        message = error.response["Error"]["Message"]
        if "No updates are to be performed" in message:
            return
        raise Problem(f"template.yaml was refused: {message}") from error
    status = _wait(cloudformation)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        reasons = _failures(cloudformation, began)
        raise Problem("\n".join([*reasons, "", f"Deploying template.yaml failed: {status}"]))


def _wait(cloudformation: Any) -> str:
    while True:
        described = _describe(cloudformation)
        status: str = described["StackStatus"] if described else "DELETE_COMPLETE"
        if not status.endswith("_IN_PROGRESS"):
            return status
        time.sleep(0.1)


def _describe(cloudformation: Any) -> dict[str, Any] | None:
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _failures(cloudformation: Any, began: float) -> list[str]:
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    return [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
        for event in reversed(events)
        if event["Timestamp"].timestamp() >= began - 1
        and "FAILED" in event["ResourceStatus"]
        and event.get("ResourceStatusReason")
    ]


def _keys(s3: Any) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {found["Key"] for page in pages for found in page.get("Contents", [])}


def _forget_all_but(used: set[str], s3: Any) -> None:
    for key in _keys(s3) - used:
        s3.delete_object(Bucket=BUCKET, Key=key)
