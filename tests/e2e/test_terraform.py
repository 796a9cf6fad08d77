"""Terraform: what its AWS provider asks for, and that nothing drifts afterwards."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from tests.e2e.house import ACCOUNT, ARN, AT_ONCE, ECHO, REGION, ROLE, RUNTIME, new, zipped
from tests.e2e.provider import Alias, EventInvokeConfig, Function, plan, statement

from samovar.doors.http.operations.rendering import ARCHITECTURE

CODE = zipped({"app.py": ECHO})
NEWER = zipped({"app.py": ECHO.replace('"event": event', '"newer": event'), "other.py": ECHO})
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
LEAST: dict[str, Any] = {
    "Handler": "app.handler",
    "Role": ROLE,
    "Runtime": RUNTIME,
    "ZipFile": CODE,
}
MUCH: dict[str, Any] = {
    **LEAST,
    "Architectures": [ARCHITECTURE],
    "DeadLetterConfig": {"TargetArn": QUEUE},
    "Description": "über",
    "Environment": {"Variables": {"EDITION": "one", "OTHER": ""}},
    "EphemeralStorage": {"Size": 1024},
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/terraform/f"},
    "MemorySize": 512,
    "Tags": {"Name": "f", "team": ""},
    "Timeout": 10,
    "TracingConfig": {"Mode": "PassThrough"},
}


def settled(function: Function, given: dict[str, Any], state: dict[str, Any]) -> None:
    """The plan after an apply is empty, and so is the one after that."""
    assert plan(given, state) == {}
    assert function.read() == state
    digest = base64.b64encode(hashlib.sha256(given["ZipFile"]).digest()).decode()
    assert state["CodeSha256"] == digest
    assert (state["Version"], state["QualifiedArn"]) == ("$LATEST", f"{ARN}{function.name}:$LATEST")


def test_a_function_of_which_nothing_drifts(aws: Any) -> None:
    function = Function(aws, "f")
    for given in (LEAST, MUCH):
        settled(function, given, function.create(given))
        function.delete()


def test_updates_in_the_order_of_the_provider(aws: Any) -> None:
    function = Function(aws, "f")
    settled(function, LEAST, function.create(LEAST))
    before = LEAST
    for given in (
        MUCH,
        {**MUCH, "Environment": {"Variables": {"EDITION": "two"}}, "ZipFile": NEWER},
        {**MUCH, "Tags": {"team": "tea"}, "ZipFile": NEWER, "Handler": "other.handler"},
        # Every block taken away; what the service has chosen since then stays.
        {**LEAST, "ZipFile": NEWER},
    ):
        settled(function, given, function.update(before, given))
        before = given
    reply = json.load(aws.invoke(FunctionName="f", Payload=b"1")["Payload"])
    assert reply == {"newer": 1, "edition": "none"}
    function.delete()


def test_publish_and_an_alias(aws: Any) -> None:
    function = Function(aws, "f")
    given = {**LEAST, "Publish": True}
    state = function.create(given)
    assert plan(given, state) == {}
    assert (state["Version"], state["QualifiedArn"]) == ("1", f"{ARN}f:1")
    alias = Alias(aws, "f", "live")
    asked: dict[str, Any] = {"FunctionVersion": "1"}
    kept = {"AliasArn": f"{ARN}f:live", "Description": "", "Weights": {}}
    assert alias.create(asked) == {**kept, **asked}
    for change, version in (
        ({}, "1"),  # nothing changed, nothing published
        ({"Tags": {"a": "b"}}, "1"),
        ({"ZipFile": NEWER}, "2"),
        ({"Timeout": 9}, "3"),
    ):
        state = function.update(given, {**given, **change})
        given = {**given, **change}
        assert plan(given, state) == {}
        assert (state["Version"], state["QualifiedArn"]) == (version, f"{ARN}f:{version}")
    reply = aws.invoke(FunctionName=kept["AliasArn"], Payload=b"1")
    assert reply["ExecutedVersion"] == "1"
    assert json.load(reply["Payload"]) == {"event": 1, "edition": "none"}
    asked = {"FunctionVersion": "3", "Description": "d", "Weights": {"1": 0.5}}
    assert alias.update(asked) == {**kept, **asked}
    moved = {"FunctionVersion": "3"}
    assert alias.update(moved) == {**kept, **moved}
    assert json.load(aws.invoke(FunctionName="f:live", Payload=b"1")["Payload"])["newer"] == 1
    alias.delete()
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        alias.read()
    function.delete()


def test_reserved_concurrency(aws: Any) -> None:
    function = Function(aws, "f")
    given = {**LEAST, "ReservedConcurrentExecutions": 5}
    settled(function, given, function.create(given))
    for wanted in (0, 7, -1):
        before, given = given, {**LEAST, "ReservedConcurrentExecutions": wanted}
        settled(function, given, function.update(before, given))
    function.delete()


def test_what_becomes_of_events(aws: Any) -> None:
    aws.create_function(**new("f", Publish=True))
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    Alias(aws, "f", "live").create({"FunctionVersion": "1"})
    for name, qualifier in (("f", ""), (ARN + "f", "live"), ("f", "1"), (ARN + "f", "$LATEST")):
        config = EventInvokeConfig(aws, name, qualifier)
        for given in (
            {"OnFailure": QUEUE},
            {"OnFailure": QUEUE, "OnSuccess": TOPIC, "MaximumRetryAttempts": 0},
            {"OnSuccess": TOPIC, "MaximumEventAgeInSeconds": 60},
            {"MaximumRetryAttempts": 1},
        ):
            state = config.apply(given)
            assert state == {**EventInvokeConfig.DEFAULTS, **given}
            assert config.read() == state
        config.delete()
        assert config.read() is None
        config.delete()  # one that somebody else has deleted


def test_a_permission(aws: Any) -> None:
    aws.create_function(**new("f"))
    asked = {
        "FunctionName": "f",
        "StatementId": "AllowExecutionFromS3",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::bucket",
    }
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    added = json.loads(aws.add_permission(**asked)["Statement"])
    aws.add_permission(**{**asked, "StatementId": "other"})
    found = statement(aws, "f", asked["StatementId"])
    assert (
        found
        == added
        == {
            "Sid": asked["StatementId"],
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": ARN + "f",
            "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}},
        }
    )
    aws.remove_permission(FunctionName="f", StatementId=asked["StatementId"])
    assert statement(aws, "f", asked["StatementId"]) is None
    assert statement(aws, "f", "other") is not None
    aws.remove_permission(FunctionName="f", StatementId="other")
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.get_policy(FunctionName="f")


def test_a_layer(aws: Any) -> None:
    source = "WORD = 'from the layer'\n"
    asked = {
        "LayerName": "words",
        "Content": {"ZipFile": zipped({"python/words.py": source})},
        "CompatibleRuntimes": [RUNTIME],
        "Description": "",
        "LicenseInfo": "",
    }
    made = aws.publish_layer_version(**asked)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:words"
    assert (made["LayerArn"], made["LayerVersionArn"], made["Version"]) == (arn, f"{arn}:1", 1)
    read = aws.get_layer_version(LayerName="words", VersionNumber=1)
    for state in (made, read):
        assert state["CompatibleRuntimes"] == [RUNTIME]
        assert state["Description"] == ""
        assert state["Content"]["CodeSha256"] == made["Content"]["CodeSha256"]
    code = "import words\ndef handler(event, context):\n    return words.WORD\n"
    function = Function(aws, "f")
    given = {**LEAST, "ZipFile": zipped({"app.py": code}), "Layers": [f"{arn}:1"]}
    settled(function, given, function.create(given))
    assert json.load(aws.invoke(FunctionName="f")["Payload"]) == "from the layer"
    less = {**LEAST}
    settled(function, less, function.update(given, less))
    aws.delete_layer_version(LayerName="words", VersionNumber=1)
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.get_layer_version(LayerName="words", VersionNumber=1)
