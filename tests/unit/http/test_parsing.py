"""Requests as botocore writes them, and as it never would."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.serialize import create_serializer

from samovar.doors.http.api_model import operation_models
from samovar.doors.http.parsing import parse_request
from samovar.doors.http.routes import lambda_router
from samovar.errors import AWS, ClientError


def parse(name: str, body: bytes | Any = b"", **places: Any) -> dict[str, Any]:
    given = {"labels": {"FunctionName": "f", "Resource": "r"}, "query": [], "headers": []}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_request(operation_models()[name], **{**given, **places}, body=raw)


def through_botocore(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters after botocore has serialized them and we have parsed them."""
    operation = operation_models()[name]
    request = create_serializer("rest-json").serialize_to_request(params, operation)
    query = "&".join(
        f"{key}={item}"
        for key, value in request["query_string"].items()
        for item in (value if isinstance(value, list) else [value])
    )
    path = request["url_path"].partition("?")[0]
    match = lambda_router().match(request["method"], path, query)
    assert match.operation.name == name
    return parse_request(
        operation,
        labels=match.labels,
        query=match.query,
        headers=[(k.lower().encode(), v.encode()) for k, v in request["headers"].items()],
        body=request["body"],
    )


@pytest.mark.parametrize(
    ("name", "params"),
    [
        (
            "CreateFunction",
            {
                "FunctionName": "größe",
                "Runtime": "python3.12",
                "Role": "arn:aws:iam::000000000000:role/r",
                "Handler": "m.h",
                "Code": {"ZipFile": b"\x00\xffPK"},
                "Description": "ünïcode \U0001f375",
                "Timeout": 900,
                "Publish": False,
                "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
                "Environment": {"Variables": {"KEY": "", "OTHER": "v"}},
                "Tags": {"a": "b"},
                "Layers": [],
                "FileSystemConfigs": [{"Arn": "arn", "LocalMountPath": "/mnt/x"}],
                "EphemeralStorage": {"Size": 1024},
            },
        ),
        ("UntagResource", {"Resource": "arn:aws:lambda:x", "TagKeys": ["a", "b", "a"]}),
        ("ListFunctions", {"FunctionVersion": "ALL", "MaxItems": 7}),
        ("Invoke", {"FunctionName": "f:1", "LogType": "Tail", "Payload": b"{}"}),
        (
            "CreateEventSourceMapping",
            {
                "FunctionName": "f",
                "StartingPositionTimestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
            },
        ),
        (
            "UpdateAlias",
            {
                "FunctionName": "f",
                "Name": "live",
                "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.25}},
            },
        ),
        ("PublishLayerVersion", {"LayerName": "l", "Content": {"ZipFile": b"z"}}),
        ("GetLayerVersion", {"LayerName": "l", "VersionNumber": 3}),
        ("InvokeAsync", {"FunctionName": "f", "InvokeArgs": b"\xff"}),
        ("GetFunction", {"FunctionName": "a b/c+d", "Qualifier": "$LATEST"}),
    ],
)
def test_what_botocore_sends_comes_back_whole(name: str, params: dict[str, Any]) -> None:
    assert through_botocore(name, params) == params


def test_nulls_are_absent() -> None:
    body = {"FunctionName": "f", "Nonsense": None, "Timeout": None, "Code": {"ZipFile": None}}
    assert parse("CreateFunction", body) == {"FunctionName": "f", "Code": {}}


@pytest.mark.parametrize(
    ("name", "body", "unknown"),
    [
        ("CreateFunction", {"FunctionName": "f", "Nonsense": [1]}, "Nonsense"),
        ("CreateFunction", {"Timeot": 5}, "Timeot"),
        ("CreateFunction", {"Code": {"GitUrl": "x"}}, "Code.GitUrl"),
        (
            "CreateFunction",
            {"FileSystemConfigs": [None, {"Arn": "a", "Size": 1}]},
            "FileSystemConfigs.Size",
        ),
        # Its place is the path: one in the body would be ignored.
        ("UpdateFunctionConfiguration", {"FunctionName": "g"}, "FunctionName"),
    ],
)
def test_unknown_keys_are_refused_by_name(name: str, body: dict[str, Any], unknown: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse(name, body)
    assert caught.value.error is AWS.INVALID_PARAMETER
    assert caught.value.message == (
        f"Samovar does not carry out the parameter {unknown} of {name} yet; leave it out."
    )


def test_the_keys_of_maps_are_the_users_own() -> None:
    body = {"FunctionName": "f", "Environment": {"Variables": {"ANY": "x"}}, "Tags": {"any": "y"}}
    assert parse("CreateFunction", body) == body


def test_unknown_query_parameters_are_refused_and_signatures_are_not() -> None:
    signed = [("X-Amz-Signature", "00"), ("x-amz-date", "now"), ("MaxItems", "1")]
    assert parse("ListFunctions", query=signed) == {"MaxItems": 1}
    with pytest.raises(ClientError, match="parameter Tag of ListFunctions"):
        parse("ListFunctions", query=[("Tag", "x")])


def test_the_body_of_an_operation_that_has_none_is_not_looked_at() -> None:
    assert parse("GetFunction", b"{no") == parse("DeleteFunction", b"1") == {"FunctionName": "f"}


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_an_empty_object(body: bytes) -> None:
    assert parse("UpdateFunctionCode", body) == {"FunctionName": "f"}


def test_an_empty_payload_is_absent() -> None:
    assert parse("Invoke", b"") == {"FunctionName": "f"}


def test_headers_are_found_whatever_their_case_in_the_model() -> None:
    headers = [(b"x-amz-invocation-type", b"Event"), (b"x-other", b"1")]
    assert parse("Invoke", headers=headers)["InvocationType"] == "Event"


def test_a_repeated_key_is_refused_unless_it_is_a_list() -> None:
    with pytest.raises(ClientError, match="Marker is given more than once"):
        parse("ListFunctions", query=[("Marker", "1"), ("Marker", "2")])


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"\xff\xfe\xfa",
        b"{'a': 1}",
        b'{"Timeout": NaN}',
        b'{"Timeout": -Infinity}',
        b'{"Timeout": ' + b"9" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"Code":' * 100_000 + b"1" + b"}" * 100_000,
        b"[]",
        b"null",
        b'"text"',
        b"3",
        b"true",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_bodies_that_are_no_json_object(body: bytes) -> None:
    with pytest.raises(ClientError, match="Could not parse request body into json") as caught:
        parse("CreateFunction", body)
    assert (caught.value.error.code, caught.value.error.status) == ("SerializationException", 400)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"Timeout": "3"}, "STRING_VALUE can not be converted to an Integer (at Timeout)"),
        ({"Timeout": True}, "BOOLEAN_VALUE can not be converted to an Integer (at Timeout)"),
        ({"Timeout": 3.5}, "DECIMAL_VALUE can not be converted to an Integer (at Timeout)"),
        ({"Handler": 3}, "NUMBER_VALUE can not be converted to a String (at Handler)"),
        ({"Handler": ["x"]}, "START_ARRAY can not be converted to a String (at Handler)"),
        ({"Publish": "true"}, "STRING_VALUE can not be converted to a Boolean (at Publish)"),
        ({"Code": "zip"}, "STRING_VALUE can not be converted to a Structure (at Code)"),
        ({"Code": {"ZipFile": 1}}, "NUMBER_VALUE can not be converted to a Blob"),
        ({"Code": {"ZipFile": "§"}}, "Code.ZipFile is not base64"),
        ({"Code": {"ZipFile": "abc"}}, "Code.ZipFile is not base64"),
        ({"Layers": {"a": 1}}, "START_OBJECT can not be converted to a List (at Layers)"),
        ({"Layers": ["a", 1]}, "NUMBER_VALUE can not be converted to a String (at Layers.2)"),
        ({"Tags": {"a": 1}}, "NUMBER_VALUE can not be converted to a String (at Tags.a)"),
        ({"Tags": "a=b"}, "STRING_VALUE can not be converted to a Map (at Tags)"),
        ({"Description": "\ud800"}, "Description is not valid Unicode"),
        ({"Environment": {"Variables": {"A": "\udfff"}}}, "Environment.Variables.A is not valid"),
        ({"Tags": {"\ud800": "x"}}, "Tags is not valid Unicode"),
    ],
)
def test_values_of_another_type(body: dict[str, Any], told: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse("CreateFunction", body)
    assert caught.value.error.code == "SerializationException"
    assert told in caught.value.message


@pytest.mark.parametrize("text", ["x", "", "1.5", "\u0661", "1_0", " 1", "9" * 5000])
def test_query_values_that_are_no_integer(text: str) -> None:
    with pytest.raises(ClientError, match="can not be converted to an Integer"):
        parse("ListFunctions", query=[("MaxItems", text)])


def test_query_values_that_are_no_boolean() -> None:
    given = [("IncludeExecutionData", "yes")]
    labels = {"DurableExecutionArn": "a"}
    with pytest.raises(ClientError, match="can not be converted to a Boolean"):
        parse("GetDurableExecutionHistory", query=given, labels=labels)


@pytest.mark.parametrize("value", ["yesterday", 1e300, [1]])
def test_values_that_are_no_timestamp(value: Any) -> None:
    with pytest.raises(ClientError, match="imestamp"):
        parse("CreateEventSourceMapping", {"StartingPositionTimestamp": value})


def test_timestamps_as_iso_text_and_as_seconds() -> None:
    expected = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for value in (expected.timestamp(), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05"):
        found = parse("CreateEventSourceMapping", {"StartingPositionTimestamp": value})
        assert found["StartingPositionTimestamp"] == expected


def test_base64_with_an_embedded_newline_is_refused() -> None:
    text = base64.encodebytes(b"x" * 100).decode()
    with pytest.raises(ClientError, match="not base64"):
        parse("CreateFunction", {"Code": {"ZipFile": text}})
