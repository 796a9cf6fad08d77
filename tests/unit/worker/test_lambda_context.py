"""The `context` of a handler: each attribute of reference 2.1, and its type."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker import pipes
from samovar_worker.lambda_context import LambdaContext
from samovar_worker.wire.records import Deframer

ID = "8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f:live"
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/31/[$LATEST]0123456789abcdef0123456789abcdef",
}
# What the environment gives stands on the class: one of these per process, and one per test here.
TAKEN = (
    "function_name", "function_version", "memory_limit_in_mb", "log_group_name", "log_stream_name",
)  # fmt: skip


@pytest.fixture
def in_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in TAKEN:
            patch.setattr(LambdaContext, name, None)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        LambdaContext.adopt_environment()
        yield


def make(client_context: str | None = None, deadline_ms: int = 0) -> LambdaContext:
    return LambdaContext(ID, deadline_ms, ARN, client_context)


@pytest.mark.usefixtures("in_environment")
def test_each_attribute() -> None:
    context = make()
    assert context.aws_request_id == ID
    assert context.function_name == "f"
    assert context.function_version == "$LATEST"
    assert context.memory_limit_in_mb == "128"  # text, as on AWS
    assert context.log_group_name == "/aws/lambda/f"
    assert context.log_stream_name == ENVIRONMENT["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert context.invoked_function_arn == ARN
    assert context.client_context is None
    assert context.tenant_id is None
    assert context.identity is not None
    assert context.identity.cognito_identity_id is None
    assert context.identity.cognito_identity_pool_id is None
    public = {name for name in dir(context) if not name.startswith("_")}
    assert public - {"adopt_environment"} == {
        "aws_request_id", "client_context", "function_name", "function_version",
        "get_remaining_time_in_millis", "identity", "invoked_function_arn", "log",
        "log_group_name", "log_stream_name", "memory_limit_in_mb", "tenant_id",
    }  # fmt: skip


@pytest.mark.usefixtures("in_environment")
def test_it_prints_as_on_aws() -> None:
    stream = ENVIRONMENT["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert str(make('{"client": {"app_title": "t"}, "custom": {"k": 1}}')) == (
        f"LambdaContext([aws_request_id={ID},log_group_name=/aws/lambda/f,"
        f"log_stream_name={stream},function_name=f,memory_limit_in_mb=128,"
        f"function_version=$LATEST,invoked_function_arn={ARN},"
        "client_context=ClientContext([custom={'k': 1},env=None,"
        "client=Client([installation_id=None,app_title=t,app_version_name=None,"
        "app_version_code=None,app_package_name=None])]),"
        "identity=CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None]),"
        "tenant_id=None])"
    )


def test_a_changed_environment_changes_no_context(in_environment: None) -> None:
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "other"
    assert make().function_name == "f"


def test_the_remaining_time() -> None:
    now = int(time.time() * 1000)
    left = make(deadline_ms=now + 60_000).get_remaining_time_in_millis()
    assert type(left) is int
    assert 0 < left <= 60_000
    assert make(deadline_ms=now - 1).get_remaining_time_in_millis() == 0
    assert make(deadline_ms=0).get_remaining_time_in_millis() == 0


def test_a_whole_client_context() -> None:
    context = make(
        '{"client": {"installation_id": "i", "app_title": "t", "app_version_name": "1.0",'
        ' "app_version_code": 7, "app_package_name": "p", "unknown": 1},'
        ' "custom": {"k": ["v"]}, "env": {"locale": "de"}, "unknown": 2}'
    ).client_context
    assert context is not None
    client = context.client
    assert client is not None
    assert {name: getattr(client, name) for name in client.__slots__} == {
        "installation_id": "i",
        "app_title": "t",
        "app_version_name": "1.0",
        "app_version_code": 7,
        "app_package_name": "p",
    }
    assert context.custom == {"k": ["v"]}
    assert context.env == {"locale": "de"}
    for thing in (client, context):
        with pytest.raises(AttributeError):
            thing.unknown  # noqa: B018


def test_an_empty_client_context_object() -> None:
    context = make("{}").client_context
    assert context is not None
    assert (context.client, context.custom, context.env) == (None, None, None)
    client = make('{"client": {}}').client_context.client  # type: ignore[union-attr]
    assert client.app_title is None  # type: ignore[union-attr]


@pytest.mark.parametrize("text", [None, "", "null"])
def test_no_client_context(text: str | None) -> None:
    assert make(text).client_context is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("x", "Expecting value: line 1 column 1 (char 0)"),
        ("{} {}", "Extra data: line 1 column 4 (char 3)"),
        ("[]", "Expecting an object"),
        ('"text"', "Expecting an object"),
    ],
)
def test_a_bad_client_context(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(text)
    assert str(caught.value) == complaint


@given(st.text(max_size=40))
def test_no_client_context_raises_anything_else(text: str) -> None:
    try:
        make(text)
    except ValueError:
        pass


def test_a_client_context_as_deep_as_fits() -> None:
    """Of 3,583 bytes: too deep for some Pythons, unfinished for the others."""
    for text in ('{"a":' * 716, "[" * 3583, "[" * 1790 + "]" * 1790):
        with pytest.raises(ValueError):
            make(text)


def test_contexts_share_nothing_but_the_function() -> None:
    one, two = make('{"custom": {"a": 1}}'), make()
    assert two.client_context is None
    one.tenant_id = "changed by the function"  # type: ignore[assignment]
    assert two.tenant_id is None


def test_log_writes_what_it_is_given() -> None:
    """No level, no newline, and whatever can be made a text of; each is one event."""
    read_end, write_end = os.pipe()
    os.dup2(write_end, pipes.OUTPUT)
    os.close(write_end)
    try:
        context = make()
        for message in ("Käthe ", 7, "\n", "\ud800", ["x"]):
            context.log(message)
    finally:
        os.close(pipes.OUTPUT)
    with open(read_end, "rb") as file:
        found = Deframer().feed(file.read())
    assert found == [(True, text.encode()) for text in ("Käthe ", "7", "\n", "\\ud800", "['x']")]
    make().log("nobody hears this, and nothing breaks")
