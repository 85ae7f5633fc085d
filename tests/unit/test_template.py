"""Template, code, tests and README agree: an operation can't be half there."""

import ast
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import botocore.session
import pytest

from casefile import aws, deletion, dispatch, retention
from casefile.creation import MAX_AGE
from dev import openapi
from pydantic_models.base import BaseRequest
from pydantic_models.domain_events import DomainEvent
from tests.conftest import FUNCTIONS as FOLDERS
from tests.conftest import OPERATIONS, PAGES, load
from tests.doors.test_api import NULLS
from tests.events import DOORS
from tests.template import ROOT, camel, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")


def test_every_function_folder_is_in_the_template_and_the_reverse() -> None:
    assert {name: function["CodeUri"] for name, function in FUNCTIONS.items()} == {
        camel(name): f"functions/{name}" for name in FOLDERS
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_folder_operation_route_and_rights_agree(operation: str) -> None:
    handler = load(operation)
    assert handler.name == operation
    assert routes(operation) == [handler.route]
    payload_type: Any = handler.request_type.model_fields["payload"].annotation
    assert set(re.findall(r"{(\w+)}", handler.route)) <= set(payload_type.model_fields)


@pytest.mark.parametrize("name", FOLDERS)
def test_rights_are_named_one_by_one(name: str) -> None:
    for statement in statements(camel(name), "Allow"):
        assert not any("*" in action for action in statement["Action"])
        resource = json.dumps(statement["Resource"])
        named = r"Contents.Arn}/(content|incoming|archive)/\*|:function:\$\{AWS::StackName}_\*"
        assert "*" not in re.sub(named, "", resource)


def statements(function: str, effect: str) -> list[dict[str, Any]]:
    """What a function's policies allow, or deny."""
    said = [policy["Statement"] for policy in FUNCTIONS[function].get("Policies", [])]
    every = [each for told in said for each in (told if isinstance(told, list) else [told])]
    return [statement for statement in every if statement["Effect"] == effect]


STREAM = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_reads_no_queue_and_no_stream_but_those_of_its_events(name: str) -> None:
    """SAM adds a policy of AWS's own for such events, which allows it of all."""
    denied: dict[str, list[Any]] = {}
    for event in FUNCTIONS[name]["Events"].values():
        if event["Type"] == "SQS":
            denied.setdefault("sqs:*", []).append(event["Properties"]["Queue"])
        elif event["Type"] == "DynamoDB":
            denied |= dict.fromkeys(STREAM, event["Properties"]["Stream"])
    assert denied == {
        action: statement["NotResource"]
        for statement in statements(name, "Deny")
        for action in statement["Action"]
    }


def routes(name: str) -> list[str]:
    return [
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}"
        for event in FUNCTIONS[camel(name)]["Events"].values()
        if event["Type"] == "Api"
    ]


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_their_routes_no_rights_their_tests_and_an_event(name: str) -> None:
    served = {route.removeprefix("GET ") for route in routes(name)}
    pages: Any = load(name)
    assert {re.sub("(?<=/docs/).*", "{file}", path) for path in pages.files} == served
    assert "Policies" not in FUNCTIONS[camel(name)]
    assert (ROOT / f"tests/operations/test_{name}.py").is_file()
    assert list((ROOT / "tests/events" / name).glob("*.json"))


@pytest.mark.parametrize("name", sorted({*FOLDERS} - {*OPERATIONS} - {*PAGES}))
def test_what_is_no_operation_answers_no_request_and_has_its_tests_and_an_event(name: str) -> None:
    assert all(route.startswith("OPTIONS ") for route in routes(name))
    assert (ROOT / f"tests/operations/test_{name}.py").is_file()
    assert list((ROOT / "tests/events" / name).glob("*.json"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_its_tests_its_events_and_its_row(operation: str) -> None:
    assert (ROOT / f"tests/operations/test_{operation}.py").is_file()
    assert {path.stem for path in (ROOT / "tests/events" / operation).iterdir()} == set(DOORS)
    row = f"| [`{operation}`](functions/{operation}/handler.py) | `{load(operation).route}` |"
    assert row in (ROOT / "README.md").read_text()


def test_the_api_is_guarded_before_it_reaches_a_function() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    whole, *single = api["MethodSettings"]
    assert (whole["HttpMethod"], whole["ResourcePath"]) == ("*", "/*")
    asked = {"Ref": "RequestsPerSecond"}
    assert whole["ThrottlingRateLimit"] == whole["ThrottlingBurstLimit"] == asked
    known = [route for name in FOLDERS for route in routes(name)]
    limited = []
    for setting in single:
        path = setting["ResourcePath"].replace("~1", "/")[1:]
        limited.append(f"{setting['HttpMethod']} {path}")
        assert setting["ThrottlingRateLimit"] == 20
    assert set(limited) <= set(known)
    assert {route for name in PAGES for route in routes(name)} <= set(limited)
    costly = ("create_upload", "delete_", "erase_", "export_")
    assert {load(name).route for name in OPERATIONS if name.startswith(costly)} <= set(limited)
    defaults = {name: each.get("Default") for name, each in template()["Parameters"].items()}
    assert (defaults["AllowedOrigins"], defaults["ApiKeys"], defaults["CustomerKey"]) == (
        *("", ""),
        "false",
    )


def test_an_api_key_is_good_for_so_many_requests_a_day_and_a_second() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    assert api["Auth"]["ApiKeyRequired"] == {"Ref": "ApiKeys"}
    (plan,) = resources("AWS::ApiGateway::UsagePlan").values()
    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]
    assert plan["Quota"] == {"Limit": {"Ref": "RequestsPerDay"}, "Period": "DAY"}
    asked = {"Ref": "RequestsPerSecond"}
    assert plan["Throttle"] == {"RateLimit": asked, "BurstLimit": asked}
    (use,) = resources("AWS::ApiGateway::UsagePlanKey").values()
    assert (use["KeyId"], use["UsagePlanId"]) == ({"Ref": "FirstApiKey"}, {"Ref": "UsagePlan"})


def test_browsers_are_answered_on_every_route_if_origins_are_named_and_on_none_if_not() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    assert api["Auth"]["AddDefaultAuthorizerToCorsPreflight"] is False
    assert api["Auth"]["AddApiKeyRequiredToCorsPreflight"] is False
    assert "Cors" not in api, "it knows one origin"
    asked = [event["Properties"] for event in FUNCTIONS["AnswerPreflight"]["Events"].values()]
    assert {each["Method"] for each in asked} == {"options"}
    paths = {load(operation).route.split()[1] for operation in OPERATIONS}
    assert sorted(each["Path"] for each in asked) == sorted(paths)
    assert template()["Resources"]["AnswerPreflight"]["Condition"] == "HasOrigins"
    empty = {"Fn::Equals": [{"Ref": "AllowedOrigins"}, ""]}
    assert template()["Conditions"]["HasOrigins"] == {"Fn::Not": [empty]}


def test_browsers_may_send_an_upload_what_its_link_asks_for() -> None:
    (bucket,) = resources("AWS::S3::Bucket").values()
    condition, cors, _ = bucket["CorsConfiguration"]["Fn::If"]
    (rule,) = cors["CorsRules"]
    assert (condition, rule["AllowedMethods"]) == ("HasOrigins", ["GET", "PUT"])
    assert rule["AllowedHeaders"] == ["content-type", "x-amz-checksum-sha256"]


def test_a_route_that_is_not_there_is_not_found_with_a_token_and_without() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    told = api["GatewayResponses"]
    (words,) = told["INVALID_SIGNATURE"]["ResponseTemplates"].values()
    code = json.loads(words)["metadata"]["error_code"]
    known = {code for operation in OPERATIONS for code in openapi.codes(operation)[404]}
    assert code not in known  # A client may be newer than the API.
    assert told["MISSING_AUTHENTICATION_TOKEN"] == told["INVALID_SIGNATURE"]
    assert told["INVALID_SIGNATURE"]["StatusCode"] == 404
    authorizers = {json.dumps(each) for each in api["Auth"]["Authorizers"].values()}
    assert "AWS_IAM" not in str(authorizers), "a signature that is wrong would not be told"


def test_whoever_needs_an_api_key_is_told_where_it_goes_and_where_it_is() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    (words,) = api["GatewayResponses"]["INVALID_API_KEY"]["ResponseTemplates"].values()
    told = json.loads(words)
    assert "header X-Api-Key" in told["error"]
    assert "ApiKeyId" in told["error"]
    code = told["metadata"]["error_code"]
    assert all(code in openapi.codes(operation)[403] for operation in OPERATIONS)
    output = template()["Outputs"]["ApiKeyId"]
    assert (output["Condition"], output["Value"]) == ("HasApiKeys", {"Ref": "FirstApiKey"})
    assert template()["Resources"]["FirstApiKey"]["Condition"] == "HasApiKeys"


@pytest.mark.parametrize(
    ("function", "window"), [("OnSessionRecord", {"Ref": "RefreshSeconds"}), ("OnNews", 1)]
)
def test_a_batch_of_the_stream_has_the_window_that_lambda_asks_for(
    function: str, window: Any
) -> None:
    """More than ten changes at once need a window of a second at least."""
    (event,) = FUNCTIONS[function]["Events"].values()
    told = event["Properties"]
    assert told["BatchSize"] > 10
    assert told["MaximumBatchingWindowInSeconds"] == window
    assert not takes("RefreshSeconds", "0")


@pytest.mark.parametrize("function", ["OnSessionRecord", "OnNews"])
def test_no_change_is_left_out_and_what_fails_comes_again_without_the_others(
    function: str,
) -> None:
    (event,) = FUNCTIONS[function]["Events"].values()
    told = event["Properties"]
    assert told["StartingPosition"] == "TRIM_HORIZON"
    assert told["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert told["BisectBatchOnFunctionError"] is True
    assert (told["MaximumRetryAttempts"], told["MaximumRecordAgeInSeconds"]) == (20, 86400)
    assert told["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] in QUEUES


def test_the_bus_is_told_of_messages_as_the_parameter_says() -> None:
    assert FUNCTIONS["OnNews"]["Environment"]["Variables"] == {"BUS_NAME": {"Ref": "Bus"}}
    for writes_messages in ("Chat", "RewindChatSession"):
        variables = FUNCTIONS[writes_messages]["Environment"]["Variables"]
        assert variables == {"MESSAGE_EVENTS": {"Ref": "MessageEvents"}}


def test_what_a_client_leaves_empty_passes_as_an_envelope() -> None:
    """Clients send what they don't set as null, which has no length, and whose type isn't asked."""
    (api,) = resources("AWS::Serverless::Api").values()
    envelope = api["Models"]["Envelope"]
    assert "required" not in envelope
    typed = {name for name, each in envelope["properties"].items() if "type" in each}
    assert typed == {"payload"}
    assert typed.isdisjoint(NULLS), "the functions take null there"
    assert len(BaseRequest.model_fields) < envelope["maxProperties"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_body_that_must_be_there_is_validated(operation: str) -> None:
    """Whatever takes fields that can't be in its address needs a body, an envelope's."""
    handler = load(operation)
    payload_type: Any = handler.request_type.model_fields["payload"].annotation
    in_path = set(re.findall(r"{(\w+)}", handler.route))
    needed = {name for name, each in payload_type.model_fields.items() if each.is_required()}
    (event,) = FUNCTIONS[camel(operation)]["Events"].values()
    is_validated = "RequestModel" in event["Properties"]
    if needed - in_path and not handler.route.startswith("GET "):
        assert is_validated
    assert is_validated <= handler.route.startswith(("POST ", "PATCH ", "PUT "))


def test_every_route_asks_who_is_there_but_those_of_pages() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    assert api["Auth"]["DefaultAuthorizer"] in api["Auth"]["Authorizers"]
    for name in FOLDERS:
        for event in FUNCTIONS[camel(name)]["Events"].values():
            said = event["Properties"].get("Auth")
            assert said == ({"Authorizer": "NONE"} if name in PAGES else None)


QUEUES = resources("AWS::SQS::Queue")
SOURCES = {name: queue for name, queue in QUEUES.items() if "RedrivePolicy" in queue}
WEBHOOK = ("WebhookUrl", "WebhookKey")
EVENTS: tuple[Any, ...] = get_args(get_args(DomainEvent)[0])


def test_only_functions_of_operations_have_names_that_requests_can_lead_to() -> None:
    for name, function in FUNCTIONS.items():
        operation = function["CodeUri"].removeprefix("functions/")
        named = {"Fn::Sub": f"${{AWS::StackName}}_{operation}"} if operation in OPERATIONS else None
        assert function.get("FunctionName") == named, name
    (allowed,) = statements("OnRequest", "Allow")
    assert allowed["Action"] == ["lambda:InvokeFunction"]
    assert allowed["Resource"]["Fn::Sub"].endswith(":function:${AWS::StackName}_*")
    variables = FUNCTIONS["OnRequest"]["Environment"]["Variables"]
    assert variables["STACK_NAME"] == {"Ref": "AWS::StackName"}


def test_every_queue_that_is_worked_off_has_a_dead_letter_queue_and_patience() -> None:
    worked_off = {
        event["Properties"]["Queue"]["Fn::GetAtt"][0]: (function, event["Properties"])
        for function in FUNCTIONS.values()
        for event in function["Events"].values()
        if event["Type"] == "SQS"
    }
    assert set(worked_off) == set(SOURCES) == {"Requests", "OrderedRequests"}
    for name, (function, mapping) in worked_off.items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BatchSize"] == 1  # Behind what takes long, there is no time to try others.
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": 20}  # The rest is the API's.
        assert function["Timeout"] > dispatch.LONGEST_CALL
        assert SOURCES[name]["VisibilityTimeout"] >= 6 * function["Timeout"]
        redrive = SOURCES[name]["RedrivePolicy"]
        dead = QUEUES[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        assert dead.get("FifoQueue") == SOURCES[name].get("FifoQueue")
        assert redrive["maxReceiveCount"] == 5  # The fewest that throttling leaves some of.


def test_who_waits_for_a_function_waits_longer_than_it_may_take() -> None:
    longest = template()["Globals"]["Function"]["Timeout"]
    for operation in OPERATIONS:
        assert FUNCTIONS[camel(operation)].get("Timeout", longest) < dispatch.READ_SECONDS
    of_a_try = dispatch.READ_SECONDS + aws.CONNECT_SECONDS
    assert dispatch.ATTEMPTS * of_a_try < dispatch.LONGEST_CALL


def test_every_queue_is_encrypted_and_the_last_ones_keep_what_they_get_longest() -> None:
    for name, queue in QUEUES.items():
        assert queue["SqsManagedSseEnabled"] is True, name
        days = queue["MessageRetentionPeriod"] / 86400
        assert days == (10 if name in SOURCES else 14), name  # A dead letter keeps its first date.
        # Else two messages that say the same would be taken for one.
        assert "ContentBasedDeduplication" not in queue


def test_every_rule_tries_again_and_has_a_dead_letter_queue_that_only_it_may_fill() -> None:
    policies = resources("AWS::SQS::QueuePolicy").values()
    for name, rule in resources("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            tries = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
            assert target["RetryPolicy"] == tries, "which EventBridge spreads over a day"
            filled = (target["Arn"], target["DeadLetterConfig"]["Arn"])
            queues = [each["Fn::GetAtt"][0] for each in filled if each["Fn::GetAtt"][0] in QUEUES]
            assert filled[1]["Fn::GetAtt"][0] in queues
            (allowing,) = (policy for policy in policies if {"Ref": queues[0]} in policy["Queues"])
            assert allowing["Queues"] == [{"Ref": queue} for queue in queues]
            allowed = allowing["PolicyDocument"]["Statement"][0]
            assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
            assert allowed["Condition"] == {
                "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [name, "Arn"]}}
            }


def test_a_queue_in_order_holds_up_no_group_for_the_others() -> None:
    (ordered,) = (queue for queue in SOURCES.values() if queue.get("FifoQueue"))
    assert ordered["FifoThroughputLimit"] == "perMessageGroupId"
    assert ordered["DeduplicationScope"] == "messageGroup", "else the limit is refused"


def test_queues_and_bucket_refuse_what_comes_without_tls_and_nothing_else() -> None:
    policies = resources("AWS::SQS::QueuePolicy") | resources("AWS::S3::BucketPolicy")
    guarded: list[str] = []
    for name, policy in policies.items():
        *others, refusal = policy["PolicyDocument"]["Statement"]
        assert all(each["Effect"] == "Allow" for each in others), name
        if template()["Resources"][name].get("Condition") != "IsTlsOnly":
            condition, refusal, _ = refusal["Fn::If"]
            assert condition == "IsTlsOnly", name
        assert (refusal["Effect"], refusal["Principal"]) == ("Deny", "*"), name
        assert refusal["Action"] in ("sqs:*", "s3:*"), name
        bucket = [{"Fn::GetAtt": ["Contents", "Arn"]}, {"Fn::Sub": "${Contents.Arn}/*"}]
        assert refusal["Resource"] == ("*" if "Queues" in policy else bucket), name
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": False}}, name
        guarded += [each["Ref"] for each in policy.get("Queues") or [policy["Bucket"]]]
    assert sorted(guarded) == sorted([*QUEUES, "Contents"])


def test_the_webhook_is_off_unless_it_has_an_address_and_a_key() -> None:
    defaults = {name: each.get("Default") for name, each in template()["Parameters"].items()}
    assert (defaults["WebhookUrl"], defaults["WebhookKey"]) == ("", "")
    assert template()["Parameters"]["WebhookKey"]["NoEcho"] is True
    given = [{"Fn::Not": [{"Fn::Equals": [{"Ref": each}, ""]}]} for each in WEBHOOK]
    assert template()["Conditions"]["HasWebhook"] == {"Fn::And": given}
    rule = template()["Rules"]["WebhookHasKey"]
    assert rule["RuleCondition"] == given[0]
    is_word = {"Fn::Not": [{"Fn::Equals": [{"Ref": "WebhookKey"}, "none"]}]}
    assert [each["Assert"] for each in rule["Assertions"]] == [given[1], is_word]
    for name, resource in template()["Resources"].items():
        if name.startswith("Webhook"):
            assert resource["Condition"] == "HasWebhook", name


def test_the_webhook_is_sent_just_the_events_chosen_with_the_key_over_https() -> None:
    rule = resources("AWS::Events::Rule")["WebhookRule"]
    chosen = {"source": ["casefile"], "detail-type": {"Ref": "WebhookEvents"}}
    assert (rule["EventBusName"], rule["EventPattern"]) == ({"Ref": "Bus"}, chosen)
    (target,) = rule["Targets"]
    assert target["InputPath"] == "$.detail", "what events.schema.json describes, and no account id"
    (destination,) = resources("AWS::Events::ApiDestination").values()
    assert destination["InvocationEndpoint"] == {"Ref": "WebhookUrl"}
    (connection,) = resources("AWS::Events::Connection").values()
    key = connection["AuthParameters"]["ApiKeyAuthParameters"]
    assert key == {"ApiKeyName": {"Ref": "WebhookHeader"}, "ApiKeyValue": {"Ref": "WebhookKey"}}
    (policy,) = resources("AWS::IAM::Role")["WebhookRole"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["events:InvokeApiDestination"]
    assert statement["Resource"] == {"Fn::GetAtt": ["WebhookDestination", "Arn"]}


@pytest.mark.parametrize(
    ("parameter", "asked_in", "field", "taken"),
    [
        (
            *("WebhookUrl", "CreateApiDestinationRequest", "InvocationEndpoint"),
            ("", "https://hooks.example.com:8443/casefile/%20?tenant=1&of=a,b"),
        ),
        (
            *("WebhookKey", "CreateConnectionApiKeyAuthRequestParameters", "ApiKeyValue"),
            ("", "word", "Bearer q8-_.~+/=", 'with "quotes" {and} |more|'),
        ),
        (
            *("WebhookHeader", "CreateConnectionApiKeyAuthRequestParameters", "ApiKeyName"),
            ("X-Api-Key", "Authorization"),
        ),
    ],
)
def test_what_eventbridge_refuses_of_a_webhook_is_refused_before_anything_is_deployed(
    parameter: str, asked_in: str, field: str, taken: tuple[str, ...]
) -> None:
    events = botocore.session.get_session().get_service_model("events")
    shape: Any = events.shape_for(asked_in)
    asked = shape.members[field].metadata
    assert template()["Parameters"][parameter]["MaxLength"] == asked["max"]
    for value in taken:
        assert takes(parameter, value), value
        assert value == "" or re.fullmatch(asked["pattern"], value), value
    for character in map(chr, range(0x180)):
        value = f"https://a.example/{character}" if parameter == "WebhookUrl" else f"a{character}b"
        assert takes(parameter, value) <= bool(re.fullmatch(asked["pattern"], value)), value
    wrong = ("https://a.example/%2", "https://a.example/*", "http://a.example", "https://", "*")
    assert parameter != "WebhookUrl" or not any(takes(parameter, value) for value in wrong)


def test_the_webhook_can_be_sent_every_event_that_there_is_and_no_other() -> None:
    there = [get_args(each.model_fields["event_type"].annotation)[0] for each in EVENTS]
    events = template()["Parameters"]["WebhookEvents"]
    assert sorted(events["Default"].split(",")) == sorted(there)
    for name in there:
        assert re.fullmatch(events["AllowedPattern"], name)
    for wrong in ("", "session", "session.close", "session-closed", "casefile.request", "*"):
        assert not re.fullmatch(events["AllowedPattern"], wrong), wrong


def test_table_and_users_are_kept_safe() -> None:
    (table,) = resources("AWS::DynamoDB::Table").values()
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert template()["Parameters"]["DeletionProtection"]["Default"] == "true"
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
    (users,) = resources("AWS::Cognito::UserPool").values()
    assert users["DeletionProtection"] == {"Fn::If": ["IsProtected", "ACTIVE", "INACTIVE"]}
    protected = {"Fn::Equals": [{"Ref": "DeletionProtection"}, "true"]}
    assert template()["Conditions"]["IsProtected"] == protected


def test_what_is_kept_outlives_the_stack_and_is_never_replaced_by_nothing() -> None:
    """What was recorded, who may read it, and the key without which nobody can."""
    kept = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Cognito::UserPool", "AWS::KMS::Key")
    found = [each for each in template()["Resources"].values() if each["Type"] in kept]
    assert sorted(each["Type"] for each in found) == sorted(kept)
    for each in found:
        # What an update made that is rolled back is empty, but for what a key has encrypted.
        is_key = each["Type"] == "AWS::KMS::Key"
        assert each["DeletionPolicy"] == ("Retain" if is_key else "RetainExceptOnCreate")
        assert each["UpdateReplacePolicy"] == "Retain", each["Type"]


def test_what_expires_does_so_by_the_attribute_that_is_written() -> None:
    (table,) = resources("AWS::DynamoDB::Table").values()
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_nobody_signs_up_and_nobody_takes_an_address_that_is_not_shown_to_be_theirs() -> None:
    """Who asks is known by a verified address, in whatever letters it is written."""
    (users,) = resources("AWS::Cognito::UserPool").values()
    assert users["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    update = users["UserAttributeUpdateSettings"]["AttributesRequireVerificationBeforeUpdate"]
    assert users["UsernameAttributes"] == users["AutoVerifiedAttributes"] == update == ["email"]
    assert users["UsernameConfiguration"] == {"CaseSensitive": False}


def test_a_token_is_good_for_hours_and_a_wrong_address_looks_like_a_wrong_password() -> None:
    (client,) = resources("AWS::Cognito::UserPoolClient").values()
    assert client["IdTokenValidity"] == {"Ref": "IdTokenHours"}
    assert client["TokenValidityUnits"]["IdToken"] == "hours"
    assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_only_a_key_of_the_stacks_own_is_paid() -> None:
    """Without one, table and bucket are encrypted all the same, by keys that cost nothing."""
    table = resources("AWS::DynamoDB::Table")["Table"]["SSESpecification"]["Fn::If"]
    own = {"Fn::GetAtt": ["Key", "Arn"]}
    by_own_key = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": own}
    assert table == ["HasCustomerKey", by_own_key, {"SSEEnabled": False}]
    bucket = resources("AWS::S3::Bucket")["Contents"]["BucketEncryption"]
    (rule,) = bucket["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["Fn::If"] == [
        "HasCustomerKey",
        {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": own},
        {"SSEAlgorithm": "AES256"},
    ]


def test_logs_are_kept_as_long_as_asked_and_encrypted_by_the_stacks_own_key() -> None:
    (logs,) = resources("AWS::Logs::LogGroup").values()
    assert logs["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    own = {"Fn::GetAtt": ["Key", "Arn"]}
    assert logs["KmsKeyId"]["Fn::If"] == ["HasCustomerKey", own, {"Ref": "AWS::NoValue"}]


def test_nobody_of_another_account_uses_the_stacks_own_key() -> None:
    (key,) = resources("AWS::KMS::Key").values()
    (anybody,) = (s for s in key["KeyPolicy"]["Statement"] if s["Principal"] == {"AWS": "*"})
    (told,) = anybody["Condition"].values()
    assert [*anybody["Condition"]] == ["StringEquals"]
    assert told["kms:CallerAccount"] == {"Ref": "AWS::AccountId"}
    services = [each["Fn::Sub"].partition(".")[0] for each in told["kms:ViaService"]]
    assert services == ["dynamodb", "s3"]


def test_the_bucket_is_private_and_forgets_uploads_that_nobody_refers_to() -> None:
    (bucket,) = resources("AWS::S3::Bucket").values()
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    rules = bucket["LifecycleConfiguration"]["Rules"]
    expiring = {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in rules}
    assert expiring == {"incoming/": 1, None: None}
    assert template()["Parameters"]["TlsOnly"]["Default"] == "true"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_handler_is_a_definition(name: str) -> None:
    source = (ROOT / "functions" / name / "handler.py").read_text()
    assert not any(isinstance(node, ast.Try) for node in ast.walk(ast.parse(source)))
    beside = {path.name for path in (ROOT / "functions" / name).glob("*.*")} - {"handler.py"}
    pages: Any = load(name)
    served = {path.name for path in pages.files.values()} if name in PAGES else set()
    assert beside <= served


@pytest.mark.parametrize(
    ("place", "forbidden"),
    [
        ("functions/chat/handler.py", "boto3"),
        ("functions/chat/handler.py", "botocore.exceptions"),
        ("functions/chat/handler.py", "os"),
        ("functions/chat/handler.py", "json"),
        ("functions/chat/handler.py", "casefile.dynamodb"),
        ("layers/models/pydantic_models/base/times.py", "casefile.errors"),
        ("layers/models/pydantic_models/base/times.py", "boto3"),
        ("layers/models/pydantic_models/base/times.py", "os"),
        ("layers/models/casefile/sessions.py", "boto3"),
        ("layers/models/casefile/sessions.py", "functions.chat.handler"),
    ],
)
def test_the_linter_keeps_code_where_it_belongs(place: str, forbidden: str) -> None:
    linted = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--select", "TID251"),
            *("--output-format", "json", "--stdin-filename", str(ROOT / place), "-"),
        ],
        input=f"import {forbidden}\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert [found["code"] for found in json.loads(linted.stdout)] == ["TID251"]


def test_a_module_imports_from_no_line_above_its_own_in_the_map_of_the_service() -> None:
    folder = ROOT / "layers/models/casefile"
    modules = {path.stem: ast.parse(path.read_text()) for path in folder.glob("*.py")}
    described = (ast.get_docstring(modules.pop("__init__")) or "").splitlines()
    lines = {
        word: number
        for number, line in enumerate(described)
        for word in re.findall(r"\w+", line[22:] if line.startswith("    ") else "")
        if word in modules
    }
    assert {*lines} == {*modules}
    for name, module in modules.items():
        for node in module.body:
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                used = [node.module] if node.module else [each.name for each in node.names]
                assert [each for each in used if lines[each] < lines[name]] == [], name


def test_keys_stay_with_the_modules_that_store_what_they_are_of() -> None:
    modules = (ROOT / "layers/models/casefile").glob("*.py")
    assert {each.stem for each in modules if re.search(r'"[ps]k"', each.read_text())} == {
        *("dynamodb", "lists"),
        *("casefile_heads", "deletion", "grants", "records", "sessions"),
        *("cursors", "erasure", "receipts", "rounds"),
    }


SCHEDULED = {
    "CloseIdleSessions": {
        "Schedule": "rate(1 hour)",
        "Input": {"Fn::Sub": '{"idle_hours": ${IdleHours}}'},
        "State": {"Fn::If": ["HasIdleHours", "ENABLED", "DISABLED"]},
    },
    "ArchiveSessions": {
        "Schedule": "rate(1 hour)",
        "Input": {"Fn::Sub": '{"keep_days": ${KeepDays}}'},
        "State": {"Fn::If": ["HasArchive", "ENABLED", "DISABLED"]},
    },
    "FinishDeletions": {"Schedule": "rate(15 minutes)", "Input": "{}"},
}
"""How often what nobody asks for runs, by which parameter, and when it rests."""


def test_what_runs_by_the_clock_is_told_its_parameter_and_rests_only_if_never() -> None:
    told = {
        name: event["Properties"]
        for name, function in FUNCTIONS.items()
        for event in function["Events"].values()
        if event["Type"] == "Schedule"
    }
    assert told == SCHEDULED
    never = {"Fn::Equals": [{"Ref": "IdleHours"}, "0"]}
    assert template()["Conditions"]["HasIdleHours"] == {"Fn::Not": [never]}
    asked = {"Fn::Equals": [{"Ref": "Archive"}, "true"]}
    assert template()["Conditions"]["HasArchive"] == asked
    hours = int(template()["Parameters"]["IdleHours"]["Default"])
    assert hours > MAX_AGE / timedelta(hours=1), "what is sent before may still be under way"


def test_what_runs_by_the_clock_has_all_the_time_there_is() -> None:
    """As what it keeps back for a part of its work takes for granted."""
    longest = deletion.LONGEST_RUN.total_seconds()
    assert {FUNCTIONS[name]["Timeout"] for name in SCHEDULED} == {longest}
    assert longest > retention.ARCHIVING_SECONDS


def takes(parameter: str, value: str) -> bool:
    """Whether CloudFormation takes the value, which must match the whole pattern."""
    return re.fullmatch(template()["Parameters"][parameter]["AllowedPattern"], value) is not None


WHOLE_NUMBERS = {
    "IdleHours": (0, 87600),
    "IdTokenHours": (1, 24),
    "KeepDays": (0, 36500),
    "RefreshSeconds": (1, 300),
    "RequestsPerDay": (1, 100_000_000),
    "RequestsPerSecond": (1, 100_000_000),
}


@pytest.mark.parametrize(
    ("parameter", "least", "most"), [(n, *r) for n, r in WHOLE_NUMBERS.items()]
)
def test_a_number_is_refused_before_anything_is_deployed_if_it_is_not_whole(
    parameter: str, least: int, most: int
) -> None:
    default = template()["Parameters"][parameter]["Default"]
    for taken in (default, *map(str, range(least, min(most, 1000) + 1)), str(most)):
        assert takes(parameter, taken), taken
    for refused in ("0.5", "30.5", "1.0", "0.0", "1e1", "-1", "+1", "01", "", " 1", "1 ", "one"):
        assert not takes(parameter, refused), refused
    assert takes(parameter, "0") == (least == 0)
    if most <= 300:
        assert not any(takes(parameter, str(number)) for number in range(most + 1, 2000))
    assert not takes(parameter, "9" * 10)


def test_no_parameter_is_a_number_with_a_fraction() -> None:
    every = template()["Parameters"]
    numbers = [name for name, each in every.items() if each["Type"] == "Number"]
    assert [name for name in numbers if "AllowedValues" not in every[name]] == []
    digits = {name for name, each in every.items() if str(each.get("Default")).isdecimal()}
    assert digits - {*numbers} == {*WHOLE_NUMBERS}


def test_the_readme_tells_of_every_parameter() -> None:
    told = (ROOT / "README.md").read_text()
    assert [name for name in template()["Parameters"] if f"`{name}`" not in told] == []


def test_links_in_the_readme_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / "README.md").read_text()):
        assert Path(ROOT, link).exists(), link
