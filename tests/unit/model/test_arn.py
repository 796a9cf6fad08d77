"""Every form of a function's name that AWS accepts, and the texts for those that it doesn't."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.doors.http.api_model import service_model
from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.arn import (
    QUALIFIED_PATTERN,
    UNQUALIFIED_PATTERN,
    FunctionReference,
    function_arn,
)

REGION = "us-east-1"
ACCOUNT = "000000000000"
PREFIX = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"


def parse(text: str, qualifier: str | None = None, max_length: int = 256) -> FunctionReference:
    return FunctionReference.parse(
        text, qualifier, region=REGION, account=ACCOUNT, max_length=max_length
    )


@pytest.mark.parametrize(
    ("text", "name", "qualifier"),
    [
        ("f", "f", None),
        ("my-fn_2", "my-fn_2", None),
        ("f:1", "f", "1"),
        ("f:prod", "f", "prod"),
        ("f:$LATEST", "f", "$LATEST"),
        ("f:$latest", "f", "$latest"),  # well-formed; it is the look-up that finds nothing
        (f"{ACCOUNT}:function:f", "f", None),
        (f"{ACCOUNT}:function:f:live", "f", "live"),
        ("function:f", "f", None),
        ("function:f:2", "f", "2"),
        (f"{REGION}:{ACCOUNT}:function:f", "f", None),
        (f"{REGION}:{ACCOUNT}:function:f:$LATEST", "f", "$LATEST"),
        (f"{PREFIX}:f", "f", None),
        (f"{PREFIX}:f:prod", "f", "prod"),
        (PREFIX, "function", None),
        ("function", "function", None),
    ],
)
def test_every_form_is_understood(text: str, name: str, qualifier: str | None) -> None:
    reference = parse(text)
    assert (reference.name, reference.qualifier) == (name, qualifier)
    assert reference.arn == function_arn(REGION, ACCOUNT, name, qualifier)


def test_the_arn_is_qualified_only_if_asked() -> None:
    assert function_arn(REGION, ACCOUNT, "f") == f"{PREFIX}:f"
    assert function_arn(REGION, ACCOUNT, "f", "$LATEST") == f"{PREFIX}:f:$LATEST"


def test_the_parameter_gives_the_qualifier_where_the_name_has_none() -> None:
    assert parse("f", "7").qualifier == "7"
    assert parse("f:7", "7").qualifier == "7"


def refusal(text: str, qualifier: str | None = None, max_length: int = 256) -> ClientError:
    with pytest.raises(ClientError) as caught:
        parse(text, qualifier, max_length)
    return caught.value


def test_two_different_qualifiers() -> None:
    error = refusal("f:1", "2")
    assert error.error is AWS.INVALID_PARAMETER
    assert error.message == (
        "The derived qualifier from the function name does not match the specified qualifier."
    )


def test_another_region() -> None:
    error = refusal(f"arn:aws:lambda:ap-southeast-1:{ACCOUNT}:function:f")
    assert error.error is AWS.RESOURCE_NOT_FOUND
    assert error.message == (
        "Functions from 'ap-southeast-1' are not reachable in this region ('us-east-1')"
    )


@pytest.mark.parametrize("text", [f"{PREFIX}:f", f"{ACCOUNT}:function:f"])
def test_another_account(text: str) -> None:
    error = refusal(text.replace(ACCOUNT, "123456789012"))
    assert error.error is AWS.ACCESS_DENIED
    assert "123456789012" in error.message


@pytest.mark.parametrize(
    "text", ["a b", "f:", ":f", "f:1:2", "fü", "arn:aws:s3:::bucket", "f\n", "f:a/b"]
)
def test_what_is_no_reference(text: str) -> None:
    error = refusal(text)
    assert error.error is AWS.VALIDATION
    assert error.message.startswith(
        f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
    )


def test_all_that_is_wrong_with_the_text_is_told_at_once() -> None:
    at = "at 'functionName' failed to satisfy constraint: Member must"
    assert refusal("").message.startswith(
        f"2 validation errors detected: Value '' {at} have length greater than or equal to 1; "
        f"Value '' {at} satisfy regular expression pattern: "
    )
    text = "x " * 71
    assert refusal(text, max_length=140).message == (
        f"2 validation errors detected: Value '{text}' {at} have length less than or equal to 140; "
        f"Value '{text}' {at} satisfy regular expression pattern: {UNQUALIFIED_PATTERN}"
    )
    assert refusal(text).message == (
        f"1 validation error detected: Value '{text}' {at} satisfy regular expression pattern: "
        f"{QUALIFIED_PATTERN}"
    )


@pytest.mark.parametrize(
    ("shape", "length", "pattern"),
    [
        ("FunctionName", limits.UNQUALIFIED_REFERENCE_LENGTH, UNQUALIFIED_PATTERN),
        ("NamespacedFunctionName", limits.QUALIFIED_REFERENCE_LENGTH, QUALIFIED_PATTERN),
    ],
)
def test_limits_and_patterns_are_the_service_models(shape: str, length: int, pattern: str) -> None:
    metadata = service_model().shape_for(shape).metadata
    assert (metadata["max"], metadata["pattern"]) == (length, pattern)


def test_the_limit_of_the_whole_text() -> None:
    fits = f"{PREFIX}:{'f' * 64}"
    text = fits + ":" + "q" * (140 - len(fits) - 1)
    assert parse(text, max_length=140).name == "f" * 64
    error = refusal(text + "q", max_length=140)
    assert error.error is AWS.VALIDATION
    assert error.message.endswith("Member must have length less than or equal to 140")


def test_the_limit_of_the_name_and_of_the_qualifier() -> None:
    assert refusal("f" * 65).error is AWS.VALIDATION
    error = refusal("f", "q" * 129)
    assert error.message.endswith(
        "at 'qualifier' failed to satisfy constraint: "
        "Member must have length less than or equal to 128"
    )


def test_a_new_name() -> None:
    def new(text: str) -> FunctionReference:
        return FunctionReference.parse_new(text, region=REGION, account=ACCOUNT)

    assert new("f").name == "f"
    assert new(f"{PREFIX}:f").name == "f"
    with pytest.raises(ClientError) as caught:
        new("f" * 65)
    assert caught.value.error is AWS.INVALID_PARAMETER
    assert caught.value.message == (
        f"1 validation error detected: Value '{'f' * 65}' at 'functionName' failed to satisfy "
        "constraint: Member must have length less than or equal to 64"
    )
    with pytest.raises(ClientError, match="leave the qualifier out"):
        new("f:1")
    with pytest.raises(ClientError, match="regular expression pattern"):
        new("a.b")


@given(st.text(max_size=300), st.none() | st.text(max_size=140))
def test_no_text_breaks_the_parser(text: str, qualifier: str | None) -> None:
    try:
        reference = parse(text, qualifier)
    except ClientError:
        return
    assert parse(reference.arn).name == reference.name or len(reference.arn) > 256
