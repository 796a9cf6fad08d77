"""The words of broken constraints."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.doors.http.api_model import operation_models, service_model
from samovar.doors.http.constraints import check_constraints, compiled
from samovar.errors import ClientError

CREATE = {
    "FunctionName": "f",
    "Runtime": "python3.12",
    "Role": "arn:aws:iam::000000000000:role/r",
    "Handler": "m.h",
    "Code": {"ZipFile": b"x"},
}


def told(name: str, params: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        check_constraints(operation_models()[name], params)
    error = caught.value.error
    assert (error.code, error.status, error.fault) == ("ValidationException", 400, None)
    return caught.value.message


def test_a_request_that_breaks_nothing() -> None:
    check_constraints(operation_models()["CreateFunction"], CREATE)


FAILED = "failed to satisfy constraint: "


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Role": None}, "Value null at 'role' " + FAILED + "Member must not be null"),
        (
            {"Timeout": 0},
            f"Value '0' at 'timeout' {FAILED}Member must have value greater than or equal to 1",
        ),
        (  # the quota, not the wider range that the model has for managed instances
            {"Timeout": 901},
            f"Value '901' at 'timeout' {FAILED}Member must have value less than or equal to 900",
        ),
        (
            {"MemorySize": 10241},
            f"Value '10241' at 'memorySize' {FAILED}"
            "Member must have value less than or equal to 10240",
        ),
        (
            {"EphemeralStorage": {"Size": 511}},
            f"Value '511' at 'ephemeralStorage.size' {FAILED}"
            "Member must have value greater than or equal to 512",
        ),
        (
            {"EphemeralStorage": {}},
            f"Value null at 'ephemeralStorage.size' {FAILED}Member must not be null",
        ),
        (
            {"Description": "x" * 257},
            f"Value '{'x' * 257}' at 'description' {FAILED}"
            "Member must have length less than or equal to 256",
        ),
        (
            {"Handler": "has blank"},
            rf"Value 'has blank' at 'handler' {FAILED}"
            r"Member must satisfy regular expression pattern: [^\s]+",
        ),
        (
            {"TracingConfig": {"Mode": "Loud"}},
            f"Value 'Loud' at 'tracingConfig.mode' {FAILED}"
            "Member must satisfy enum value set: [Active, PassThrough]",
        ),
        (
            {"Architectures": []},
            f"Value '[]' at 'architectures' {FAILED}"
            "Member must have length greater than or equal to 1",
        ),
        (
            {"Architectures": ["sparc"]},
            f"Value '[sparc]' at 'architectures' {FAILED}Member must satisfy constraint: "
            "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
        ),
        (
            {"Architectures": [None]},
            f"Value '[null]' at 'architectures' {FAILED}Member must satisfy constraint: "
            "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
        ),
        (
            {"Code": {"S3Bucket": "x.", "S3Key": "k"}},
            rf"Value 'x.' at 'code.s3Bucket' {FAILED}"
            rf"Member must have length greater than or equal to 3; "
            rf"Value 'x.' at 'code.s3Bucket' {FAILED}"
            r"Member must satisfy regular expression pattern: [0-9A-Za-z\.\-_]*(?<!\.)",
        ),
        (
            {"FileSystemConfigs": [{"Arn": "no", "LocalMountPath": "/mnt/a"}]},
            "Value 'no' at 'fileSystemConfigs.1.member.arn' "
            f"{FAILED}Member must satisfy regular expression pattern: ",
        ),
    ],
)
def test_one_broken_constraint(changes: dict[str, Any], expected: str) -> None:
    params = {k: v for k, v in {**CREATE, **changes}.items() if v is not None}
    message = told("CreateFunction", params)
    count = 2 if "; " in expected else 1
    plural = "errors" if count > 1 else "error"
    assert message.startswith(f"{count} validation {plural} detected: {expected}")
    if not expected.endswith("pattern: "):
        assert message == f"{count} validation {plural} detected: {expected}"


def test_all_broken_constraints_come_at_once_in_the_models_order() -> None:
    assert told("CreateFunction", {"FunctionName": "f", "Timeout": 0}) == (
        f"3 validation errors detected: Value null at 'role' {FAILED}Member must not be null; "
        f"Value null at 'code' {FAILED}Member must not be null; "
        f"Value '0' at 'timeout' {FAILED}Member must have value greater than or equal to 1"
    )


def test_maps_name_keys_and_values() -> None:
    message = told(
        "TagResource",
        {
            "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Tags": {"": "v", "k": "v" * 257},
        },
    )
    assert "Value '{=v, k=vvv" in message
    assert "at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [" in message
    rule = "Map value must satisfy constraint: [Member must have length less than or equal to 256"
    assert rule in message


def test_secrets_are_not_quoted() -> None:
    variables = {"1BAD": "hunter2"}
    message = told("CreateFunction", {**CREATE, "Environment": {"Variables": variables}})
    assert message == (
        "1 validation error detected: Value at 'environment.variables' failed to satisfy "
        "constraint: Map keys must satisfy constraint: [Member must satisfy regular expression "
        "pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
    )


def test_a_null_among_map_values() -> None:
    params = {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "Tags": {"k": None}}
    assert "Value '{k=null}' at 'tags' failed" in told("TagResource", params)


def test_names_and_runtimes_are_left_to_those_who_know_more() -> None:
    params = {**CREATE, "FunctionName": "n" * 65, "Runtime": "cobol"}
    check_constraints(operation_models()["CreateFunction"], params)


def test_long_values_are_cut_in_the_message() -> None:
    assert len(told("CreateFunction", {**CREATE, "Handler": "x" * 1_000_000})) < 2000


@pytest.mark.parametrize("member", ["Marker", "MaxItems"])
def test_operations_without_required_members(member: str) -> None:
    check_constraints(operation_models()["ListFunctions"], {})


@pytest.mark.parametrize("max_items", [0, 10001])
def test_paging_has_bounds(max_items: int) -> None:
    assert f"'{max_items}' at 'maxItems'" in told("ListFunctions", {"MaxItems": max_items})


def test_every_pattern_of_the_model_compiles() -> None:
    model = service_model()
    patterns = {
        shape.metadata["pattern"]
        for shape in map(model.shape_for, model.shape_names)
        if "pattern" in shape.metadata
    }
    assert len(patterns) > 50
    for pattern in patterns:
        compiled(pattern)


TAG = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"


@pytest.mark.parametrize("text", ["", "Größe 5", "茶", "٣", "Ⅷ", "a\u2028b", "_.:/=+-@", "\u00a0"])
def test_javas_categories_match(text: str) -> None:
    assert compiled(TAG).fullmatch(text)


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "🫖", "#", "\x00"])
def test_javas_categories_refuse(text: str) -> None:
    assert not compiled(TAG).fullmatch(text)


def test_digits_of_other_scripts_are_no_digits_in_arns() -> None:
    assert compiled(r"\d{12}").fullmatch("012345678901")
    assert not compiled(r"\d{12}").fullmatch("\u0660" * 12)


@given(st.text(alphabet="ab0-_.$:", max_size=12))
def test_the_dash_after_a_range_is_a_dash(text: str) -> None:
    assert bool(compiled("[a-zA-Z0-9-_]+").fullmatch(text)) == bool(
        re.fullmatch(r"[a-zA-Z0-9\-_]+", text)
    )
