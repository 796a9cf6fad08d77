"""Policies and their statements: AWS's texts, and what is true of every policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.policy import Policy, Statement, condition, principal

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def statement(sid: str = "s1", **changes: Any) -> Statement:
    given: dict[str, Any] = {
        "sid": sid,
        "principal": "*",
        "action": "lambda:InvokeFunction",
        "resource": ARN,
        "condition": {},
        **changes,
    }
    return Statement(**given)


def test_a_statement_is_written_as_aws_writes_it() -> None:
    asked = condition(source_account="000000000001", source_arn="arn:aws:s3:::b")
    written = statement(principal={"Service": "s3.amazonaws.com"}, condition=asked).text()
    assert written == (
        '{"Sid":"s1","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},'
        f'"Action":"lambda:InvokeFunction","Resource":"{ARN}",'
        '"Condition":{"StringEquals":{"AWS:SourceAccount":"000000000001"},'
        '"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}'
    )


def test_a_policy_is_written_as_aws_writes_it() -> None:
    policy = Policy().adding(statement("a")).adding(statement("b"))
    assert policy.text() == (
        '{"Version":"2012-10-17","Id":"default","Statement":['
        f"{statement('a').text()},{statement('b').text()}]}}"
    )
    assert Policy().text() == '{"Version":"2012-10-17","Id":"default","Statement":[]}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", "*"),
        ("s3.amazonaws.com", {"Service": "s3.amazonaws.com"}),
        ("logs.eu-west-1.amazonaws.com", {"Service": "logs.eu-west-1.amazonaws.com"}),
        ("states.cn-north-1.amazonaws.com.cn", {"Service": "states.cn-north-1.amazonaws.com.cn"}),
        ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
        ("123456789012", {"AWS": "arn:aws:iam::123456789012:root"}),
        ("arn:aws:iam::123456789012:root", {"AWS": "arn:aws:iam::123456789012:root"}),
        ("arn:aws:iam::123456789012:role/a/b", {"AWS": "arn:aws:iam::123456789012:role/a/b"}),
        (
            "arn:aws:sts::123456789012:assumed-role/r/s",
            {"AWS": "arn:aws:sts::123456789012:assumed-role/r/s"},
        ),
    ],
)
def test_principals(text: str, expected: object) -> None:
    assert principal(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "me", "12345678901", "1234567890123", "**", "amazonaws.com", "example.com", "arn:x"],
)
def test_what_is_no_principal(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        principal(text)
    assert caught.value.error is AWS.INVALID_PARAMETER
    assert caught.value.message == (
        "The provided principal was invalid. Please check the principal and try again."
    )


def test_every_condition_has_its_place() -> None:
    assert condition() == {}
    assert condition(
        source_account="0" * 12,
        organization="o-0123456789",
        source_arn="arn:aws:s3:::b",
        event_source_token="t",
        function_url_auth_type="NONE",
        invoked_via_function_url=True,
    ) == {
        "StringEquals": {
            "AWS:SourceAccount": "0" * 12,
            "aws:PrincipalOrgID": "o-0123456789",
            "lambda:EventSourceToken": "t",
            "lambda:FunctionUrlAuthType": "NONE",
        },
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        "Bool": {"lambda:InvokedViaFunctionUrl": "true"},
    }
    assert condition(invoked_via_function_url=False) == {
        "Bool": {"lambda:InvokedViaFunctionUrl": "false"}
    }


def test_an_id_that_is_taken_and_one_that_is_not_there() -> None:
    policy = Policy().adding(statement("s1"))
    with pytest.raises(ClientError) as taken:
        policy.adding(statement("s1", action="*"))
    assert taken.value.error is AWS.RESOURCE_CONFLICT
    assert taken.value.message == (
        "The statement id (s1) provided already exists. Please provide a new statement id, or "
        "remove the existing statement."
    )
    with pytest.raises(ClientError) as missing:
        policy.removing("s2")
    assert missing.value.error is AWS.RESOURCE_NOT_FOUND
    assert missing.value.message == "Statement s2 is not found in resource policy."


def test_a_policy_may_have_20_kb_and_not_a_byte_more() -> None:
    room = limits.POLICY_SIZE - len(Policy((statement("s1", action=""),)).text())
    fits = Policy().adding(statement("s1", action="a" * room))
    assert len(fits.text()) == limits.POLICY_SIZE == 20480
    with pytest.raises(ClientError) as caught:
        Policy().adding(statement("s1", action="é" + "a" * (room - 1)))  # bytes, not characters
    assert caught.value.error is AWS.POLICY_LENGTH_EXCEEDED
    assert caught.value.message == "The final policy size (20481) is bigger than the limit (20480)."


SIDS = st.text("abc-_09", min_size=1, max_size=4)
STATEMENTS = st.builds(
    Statement,
    SIDS,
    st.sampled_from(["*", {"Service": "s3.amazonaws.com"}, {"AWS": "arn:aws:iam::1:root"}]),
    st.sampled_from(["*", "lambda:*", "lambda:InvokeFunction"]),
    st.just(ARN),
    st.builds(
        condition,
        source_account=st.none() | st.just("0" * 12),
        source_arn=st.none() | st.text(min_size=1, max_size=9),
        invoked_via_function_url=st.none() | st.booleans(),
    ),
)


@given(st.lists(STATEMENTS, max_size=8), SIDS)
def test_a_policy_keeps_what_it_was_given_in_its_order(items: list[Statement], gone: str) -> None:
    policy = Policy()
    kept: dict[str, Statement] = {}
    for item in items:
        if item.sid in kept:
            with pytest.raises(ClientError):
                policy.adding(item)
        else:
            policy = policy.adding(item)
            kept[item.sid] = item
    assert policy.statements == tuple(kept.values())
    assert Policy.of(json.loads(policy.text())) == policy
    if gone in kept:
        left = policy.removing(gone)
        assert left.statements == tuple(item for item in kept.values() if item.sid != gone)
        assert left.find(gone) is None
