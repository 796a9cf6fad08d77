"""Tools that deploy: the calls that each makes of Lambda, in its order. Every call goes through, or
is refused by name for an operation or a parameter that is not carried out."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import xform_name
from tests.e2e.house import ARN, AT_ONCE, ECHO, new, zipped

from samovar.doors.http.operations import OPERATIONS
from samovar.errors import ClientError

CODE = zipped({"app.py": ECHO})
NEWER = zipped({"app.py": ECHO + "# newer\n"})
F = {"FunctionName": "f"}
RESOURCE = {"Resource": ARN + "f"}
PERMISSION = {
    **F,
    "StatementId": "s",
    "Action": "lambda:InvokeFunction",
    "Principal": "apigateway.amazonaws.com",
    "SourceArn": "arn:aws:execute-api:us-east-1:000000000000:api/*",
}
LAYER = {"LayerName": "l", "Content": {"ZipFile": zipped({"python/l.py": ""})}}
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
ALIAS = {**F, "Name": "live", "FunctionVersion": "$LATEST"}
EVENTS = {**F, "Qualifier": "live"}

Calls = list[tuple[str, dict[str, Any]]]


def failures_to(arn: str) -> dict[str, Any]:
    return {"DestinationConfig": {"OnFailure": {"Destination": arn}}}


CHALICE: Calls = [
    ("GetFunction", F),
    ("CreateFunction", new("f", Tags={"aws-chalice": "version=1"}, Timeout=60, MemorySize=128)),
    ("AddPermission", PERMISSION),
    ("GetPolicy", F),
    ("RemovePermission", {**F, "StatementId": "s"}),
    ("GetFunctionConfiguration", F),
    ("UpdateFunctionCode", {**F, "ZipFile": NEWER}),
    (
        "UpdateFunctionConfiguration",
        {**F, "Environment": {"Variables": {"A1": "b"}}, "Layers": [], "Timeout": 61},
    ),
    ("ListTags", RESOURCE),
    ("UntagResource", {**RESOURCE, "TagKeys": ["aws-chalice"]}),
    ("TagResource", {**RESOURCE, "Tags": {"aws-chalice": "version=2"}}),
    ("PutFunctionConcurrency", {**F, "ReservedConcurrentExecutions": 5}),
    ("DeleteFunctionConcurrency", F),
    ("PublishLayerVersion", {**LAYER, "CompatibleRuntimes": ["python3.12"]}),
    ("ListEventSourceMappings", {**F, "EventSourceArn": QUEUE}),
    ("CreateEventSourceMapping", {**F, "EventSourceArn": QUEUE, "BatchSize": 1}),
    ("Invoke", {**F, "InvocationType": "RequestResponse"}),
    ("DeleteFunction", F),
]

ZAPPA: Calls = [
    (
        "CreateFunction",
        new(
            "f",
            Description="Zappa Deployment",
            Timeout=30,
            MemorySize=512,
            EphemeralStorage={"Size": 512},
            Publish=True,
            VpcConfig={},
            DeadLetterConfig={},
            Environment={"Variables": {}},
            KMSKeyArn="",
            TracingConfig={"Mode": "PassThrough"},
            Layers=[],
        ),
    ),
    ("TagResource", {**RESOURCE, "Tags": {"stage": "dev"}}),
    ("CreateAlias", ALIAS),
    ("GetFunction", F),
    ("UpdateFunctionCode", {**F, "ZipFile": NEWER, "Publish": True}),
    ("UpdateAlias", {**ALIAS}),
    ("PutFunctionConcurrency", {**F, "ReservedConcurrentExecutions": 5}),
    ("DeleteFunctionConcurrency", F),
    ("ListVersionsByFunction", F),
    ("GetFunctionConfiguration", F),
    (
        "UpdateFunctionConfiguration",
        {
            **F,
            "Role": new("f")["Role"],
            "Description": "Zappa Deployment",
            "Timeout": 30,
            "MemorySize": 512,
            "EphemeralStorage": {"Size": 512},
            "VpcConfig": {},
            "Environment": {"Variables": {"A1": "b"}},
            "KMSKeyArn": "",
            "TracingConfig": {"Mode": "PassThrough"},
            "Handler": "app.handler",
            "Layers": [],
        },
    ),
    ("AddPermission", PERMISSION),
    ("GetPolicy", F),
    ("RemovePermission", {**F, "StatementId": "s"}),
    ("CreateFunctionUrlConfig", {**F, "AuthType": "NONE"}),
    ("GetFunctionUrlConfig", F),
    ("ListEventSourceMappings", F),
    ("Invoke", {**F, "InvocationType": "RequestResponse", "LogType": "Tail", "Payload": b"{}"}),
    ("Invoke", {**F, "InvocationType": "Event", "LogType": "Tail", "Payload": b"{}"}),
    ("DeleteFunction", F),
]

SAM_SYNC: Calls = [
    ("CreateFunction", new("f")),
    ("GetFunction", F),
    ("UpdateFunctionCode", {**F, "ZipFile": NEWER}),
    ("GetFunctionConfiguration", F),
    ("ListLayerVersions", {"LayerName": "l"}),
    ("PublishLayerVersion", LAYER),
    ("UpdateFunctionConfiguration", {**F, "Layers": []}),
    ("DeleteLayerVersion", {"LayerName": "l", "VersionNumber": 1}),
    ("PublishVersion", F),
    ("GetAlias", {**F, "Name": "live"}),
    ("Invoke", {**F, "LogType": "Tail"}),
    ("InvokeWithResponseStream", F),
    ("DeleteFunction", F),
]

# What CloudFormation does for AutoPublishAlias, DeadLetterQueue and EventInvokeConfig, at a first
# deployment and at a second one.
SAM_ALIAS: Calls = [
    ("CreateFunction", new("f", DeadLetterConfig={"TargetArn": QUEUE})),
    ("PublishVersion", {**F, "Description": ""}),
    ("CreateAlias", {**ALIAS, "FunctionVersion": "1", "Description": ""}),
    ("PutFunctionEventInvokeConfig", {**EVENTS, "MaximumRetryAttempts": 1, **failures_to(QUEUE)}),
    ("AddPermission", {**PERMISSION, "FunctionName": ARN + "f:live"}),
    ("UpdateFunctionCode", {**F, "ZipFile": NEWER, "Publish": False}),
    ("PublishVersion", {**F, "Description": ""}),
    ("UpdateAlias", {**ALIAS, "FunctionVersion": "2", "RoutingConfig": {}}),
    ("UpdateFunctionEventInvokeConfig", {**EVENTS, "MaximumEventAgeInSeconds": 600}),
    ("GetFunctionEventInvokeConfig", EVENTS),
    ("GetAlias", {**F, "Name": "live"}),
    ("DeleteFunction", {**F, "Qualifier": "1"}),
    ("Invoke", {"FunctionName": ARN + "f:live"}),
    ("GetPolicy", {**F, "Qualifier": "live"}),
    ("Invoke", {"FunctionName": ARN + "f:live", "InvocationType": "Event"}),
    ("DeleteFunctionEventInvokeConfig", EVENTS),
    ("UpdateFunctionConfiguration", {**F, "DeadLetterConfig": {"TargetArn": ""}}),
    ("DeleteAlias", {**F, "Name": "live"}),
    ("DeleteFunction", F),
]

# What is not there, and what is asked for all the same to see whether it is.
NOT_THERE = {("GetFunction", 0), ("ListLayerVersions", 4), ("GetAlias", 9)}


# The operations that are refused by name until they are carried out; all else must go through.
NOT_YET = {
    *("CreateFunctionUrlConfig", "GetFunctionUrlConfig"),
}
# There is no neighbour here that has queues.
NOBODY_THERE = {
    "CreateEventSourceMapping": f"The queue {QUEUE} can't be read: nobody has said where sqs is: "
    "give --aws-endpoint URL, or --endpoints sqs=URL for it alone",
}


def refusal(operation: str, params: dict[str, Any]) -> str:
    """The message that a call must end with; empty where it must go through."""
    if operation in NOT_YET:
        return f"Samovar does not carry out the operation {operation} yet."
    if operation in NOBODY_THERE:
        return NOBODY_THERE[operation]
    if operation not in OPERATIONS:  # it has a path of its own
        return ""
    try:
        OPERATIONS[operation].demand_carried_out(params)
    except ClientError as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    "calls",
    [CHALICE, ZAPPA, SAM_SYNC, SAM_ALIAS],
    ids=["chalice", "zappa", "sam sync", "sam with an alias"],
)
def test_a_deployer(aws: Any, calls: Calls) -> None:
    for at, (operation, params) in enumerate(calls):
        method = getattr(aws, xform_name(operation))
        expected = refusal(operation, params)
        try:
            method(**params)
        except aws.exceptions.ResourceNotFoundException:
            assert (operation, at) in NOT_THERE
        except aws.exceptions.ClientError as error:
            assert error.response["Error"]["Message"] == expected, operation
        else:
            assert expected == "", operation
        if expected and operation == "CreateFunction":
            less = {name: value for name, value in params.items() if name not in expected}
            assert refusal(operation, less) == ""
            aws.create_function(**less)
        if operation in ("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"):
            aws.get_waiter("function_active").wait(**F, WaiterConfig=AT_ONCE)
            aws.get_waiter("function_updated").wait(**F, WaiterConfig=AT_ONCE)
