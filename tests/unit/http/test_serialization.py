"""Replies, read back by botocore's own parser."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import create_parser

from samovar.doors.http.api_model import operation_models, service_model
from samovar.doors.http.faults import BAD_REQUEST, NOT_FOUND, REQUEST_TIMEOUT, UNAVAILABLE
from samovar.doors.http.replies import Reply, aws_error, error_reply
from samovar.doors.http.serialization import last_modified, serialize
from samovar.errors import AWS, AwsError, ClientError, EngineError


class Body(bytes):
    """What botocore takes for a streaming body."""


def parsed(name: str, reply: Reply) -> dict[str, Any]:
    headers = {key.decode(): value.decode() for key, value in reply.headers}
    response = {"status_code": reply.status, "headers": headers, "body": reply.body}
    shape = operation_models()[name].output_shape
    found: dict[str, Any] = create_parser("rest-json").parse(response, shape)
    found.pop("ResponseMetadata")
    return found


@pytest.mark.parametrize(
    ("name", "result", "status"),
    [
        (
            "CreateFunction",
            {
                "FunctionName": "größe",
                "CodeSize": 10**12,
                "Environment": {"Variables": {"A": "", "B": "ß"}},
                "Layers": [{"Arn": "a", "CodeSize": 3}],
                "Architectures": ["x86_64"],
                "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            },
            201,
        ),
        ("ListFunctions", {"Functions": [], "NextMarker": "m"}, 200),
        ("ListTags", {"Tags": {}}, 200),
        ("GetAccountSettings", {"AccountLimit": {"CodeSizeZipped": 5}}, 200),
        (
            "GetEventSourceMapping",
            {"UUID": "u", "LastModified": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)},
            200,
        ),
        ("GetFunctionUrlConfig", {"CreationTime": "2026-01-02T03:04:05Z"}, 200),
        ("UpdateAlias", {"RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}, 200),
    ],
)
def test_results_round_trip(name: str, result: dict[str, Any], status: int) -> None:
    reply = serialize(operation_models()[name], result)
    assert reply.status == status
    assert parsed(name, reply) == result


def test_absent_members_are_left_out() -> None:
    result = {"FunctionName": "f", "StateReason": None, "VpcConfig": {"VpcId": None}}
    reply = serialize(operation_models()["GetFunctionConfiguration"], result)
    assert reply.body == b'{"FunctionName":"f","VpcConfig":{}}'


def test_a_status_within_the_result_wins_over_the_models() -> None:
    reply = serialize(operation_models()["DeleteFunction"], {"StatusCode": 204})
    assert (reply.status, reply.headers, reply.body) == (204, [], b"")
    assert parsed("DeleteFunction", reply) == {"StatusCode": 204}


def test_operations_without_output() -> None:
    assert serialize(operation_models()["TagResource"], {}) == Reply(204)
    with pytest.raises(KeyError):
        serialize(operation_models()["TagResource"], {"Tags": {}})


def test_a_member_that_the_model_does_not_know_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        serialize(operation_models()["GetFunctionConfiguration"], {"FunctionNmae": "f"})


def test_headers_and_payload_of_an_invocation() -> None:
    result = {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b"\xff{}"}
    reply = serialize(operation_models()["Invoke"], result)
    assert reply.body == b"\xff{}"
    assert (b"x-amz-function-error", b"Unhandled") in reply.headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1764025691.123, "2025-11-24T23:08:11.123+0000"),
        (0, "1970-01-01T00:00:00.000+0000"),
        (1764025691.9999, "2025-11-24T23:08:11.999+0000"),
    ],
)
def test_the_spelling_of_last_modified(seconds: float, text: str) -> None:
    assert last_modified(seconds) == text


EVERY_ERROR = [value for value in vars(AWS).values() if isinstance(value, AwsError)] + [
    UNAVAILABLE,
    REQUEST_TIMEOUT,
    BAD_REQUEST,
    NOT_FOUND,
]


# The first four are AWS's (recorded), the rest is ours.
UNMODELLED = {
    "AccessDeniedException",
    "RequestEntityTooLargeException",
    "UnknownOperationException",
    "ValidationException",
    "BadRequestException",
    "NotFoundException",
    "NotImplementedException",
    "RequestTimeoutException",
    "ServiceUnavailableException",
}


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: error.code)
def test_botocore_reads_every_error(error: AwsError) -> None:
    reply = aws_error(error, "what «happened» \ud800")
    found = parsed("GetFunction", reply)
    assert reply.status == error.status
    assert found["Error"]["Code"] == error.code
    assert found["Error"]["Message"] == "what «happened» ?"


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: error.code)
def test_modelled_errors_use_the_models_spelling(error: AwsError) -> None:
    model = service_model()
    shape = model.shape_for(error.code) if error.code in model.shape_names else None
    if shape is None:
        assert error.code in UNMODELLED
        return
    assert error.message_key in shape.members
    assert ("Type" in shape.members) is (error.fault is not None)
    assert shape.metadata["error"]["httpStatusCode"] == error.status


def test_a_throttle_has_its_reason_and_when_to_come_back() -> None:
    error = ClientError(
        AWS.TOO_MANY_REQUESTS, "Rate Exceeded.", Reason="Why", retryAfterSeconds="1"
    )
    reply = error_reply(error, "id")
    assert reply.body == b'{"Reason":"Why","Type":"User","message":"Rate Exceeded."}'
    assert (b"retry-after", b"1") in reply.headers


def test_validation_errors_have_no_type() -> None:
    assert error_reply(ClientError(AWS.VALIDATION, "m"), "id").body == b'{"message":"m"}'


def test_our_own_faults_tell_what_broke(caplog: pytest.LogCaptureFixture) -> None:
    reply = error_reply(EngineError("the disk is full"), "the-id")
    assert reply.status == 500
    assert reply.body == b'{"Type":"Service","Message":"the disk is full"}'
    assert "the-id" in caplog.text


def test_surprises_are_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    reply = error_reply(ZeroDivisionError("secret"), "the-id")
    assert reply.status == 500
    assert (b"x-amzn-errortype", b"ServiceException") in reply.headers
    assert b"secret" not in reply.body
    assert b"the-id" in reply.body
    assert "ZeroDivisionError: secret" in caplog.text
