"""AWS's rules for configurations and tags, at their edges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samovar.errors import AWS, ClientError
from samovar.model.function import Configuration
from samovar.registry.rules import RESERVED_VARIABLES, check_configuration, check_tags

GOOD = Configuration("app.handler", "python3.12", "arn:aws:iam::000000000000:role/r")
CANT = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)


def refusal(**changes: object) -> ClientError:
    with pytest.raises(ClientError) as caught:
        check_configuration(replace(GOOD, **changes))  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"timeout": 1},
        {"timeout": 900},
        {"memory_size": 128},
        {"memory_size": 10240},
        {"ephemeral_storage": 512},
        {"ephemeral_storage": 10240},
        {"description": "d" * 256},
        {"handler": "a/b.c" + "d" * 123},
        {"handler": "nodot"},  # AWS finds out at the init
        {"role": "arn:aws-us-gov:iam::123456789012:role/service-role/x+=,.@-_y"},
        {"log_group": "/aws/lambda/f-1_2.3#4"},
        {"environment": {}},
        {"environment": {"PATH": "/x", "ab": "", "A_1": "ü\n"}},
    ],
)
def test_what_is_allowed(changes: dict[str, object]) -> None:
    check_configuration(replace(GOOD, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "value", "field", "rule"),
    [
        ({"timeout": 0}, "0", "timeout", "value greater than or equal to 1"),
        ({"timeout": 901}, "901", "timeout", "value less than or equal to 900"),
        ({"memory_size": 127}, "127", "memorySize", "value greater than or equal to 128"),
        ({"memory_size": 10241}, "10241", "memorySize", "value less than or equal to 10240"),
        (
            {"ephemeral_storage": 511},
            "511",
            "ephemeralStorage.size",
            "value greater than or equal to 512",
        ),
        (
            {"description": "d" * 257},
            "d" * 257,
            "description",
            "length less than or equal to 256",
        ),
        ({"handler": "h" * 129}, "h" * 129, "handler", "length less than or equal to 128"),
    ],
)
def test_numbers_and_lengths(changes: dict[str, object], value: str, field: str, rule: str) -> None:
    error = refusal(**changes)
    assert error.error is AWS.VALIDATION
    assert error.message == (
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy "
        f"constraint: Member must have {rule}"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", ""),
        ("role", "role"),
        ("role", "arn:aws:iam::12345:role/r"),
        ("role", "arn:aws:iam::000000000000:user/r"),
        ("role", "arn:aws:iam::000000000000:role/r\n"),
        ("handler", "app.hand ler"),
        ("handler", "app.handler\n"),
        ("log_group", ""),
        ("log_group", "with space"),
    ],
)
def test_forms(field: str, value: str) -> None:
    error = refusal(**{field: value})
    assert error.error is AWS.VALIDATION
    assert "Member must satisfy regular expression pattern: " in error.message


@pytest.mark.parametrize("missing", ["handler", "runtime"])
def test_handler_and_runtime_are_needed(missing: str) -> None:
    error = refusal(**{missing: ""})
    assert error.error is AWS.INVALID_PARAMETER
    assert error.message.startswith("Runtime and Handler are mandatory parameters")


def test_reserved_variables() -> None:
    for key in RESERVED_VARIABLES:
        assert key in refusal(environment={key: "x"}).message
    error = refusal(environment={"AWS_REGION": "x", "OK": "x", "LAMBDA_TASK_ROOT": "x"})
    assert error.error is AWS.INVALID_PARAMETER
    assert error.message == (
        f"{CANT}contains reserved keys that are currently not supported for modification. "
        "Reserved keys used in this request: AWS_REGION, LAMBDA_TASK_ROOT"
    )


def test_a_wrapper_in_the_interpreters_place_is_refused_by_name() -> None:
    error = refusal(environment={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"})
    assert error.error is AWS.INVALID_PARAMETER
    assert "AWS_LAMBDA_EXEC_WRAPPER" in error.message


def test_the_size_of_the_environment() -> None:
    # {"KEY":"…"} is 10 bytes around the value.
    check_configuration(replace(GOOD, environment={"KEY": "v" * 4086}))
    error = refusal(environment={"KEY": "v" * 4087})
    assert error.error is AWS.INVALID_PARAMETER
    measured = '{"KEY":"' + "v" * 4087 + '"}'
    assert error.message == f"{CANT}exceeded the 4KB limit. String measured: {measured}"
    refusal(environment={"KEY": "ü" * 2044})  # bytes, not characters


@pytest.mark.parametrize("key", ["", "a", "1a", "_a", "a-b", "a b", "ä1", "ab\n"])
def test_names_of_variables(key: str) -> None:
    error = refusal(environment={key: "secret"})
    assert error.error is AWS.VALIDATION
    assert "Map keys must satisfy constraint" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_values_that_no_process_can_be_given(value: str) -> None:
    assert "environment variable KEY" in refusal(environment={"KEY": value}).message
    refusal(description=value.replace("\0", "\ud800"))


def test_tags() -> None:
    check_tags({f"k{number}": "" for number in range(50)})
    check_tags({"k" * 128: "v" * 256})
    for tags, text in (
        ({f"k{number}": "" for number in range(51)}, "Number of tags exceeds resource tag limit."),
        ({"": "v"}, "must have 1 to 128 characters"),
        ({"k" * 129: "v"}, "must have 1 to 128 characters"),
        ({"aws:x": "v"}, "must not begin with aws:"),
        ({"k": "v" * 257}, "is longer than 256 characters"),
        ({"k": "\udfff"}, "is not valid Unicode"),
    ):
        with pytest.raises(ClientError) as caught:
            check_tags(tags)
        assert caught.value.error is AWS.INVALID_PARAMETER
        assert text in caught.value.message
