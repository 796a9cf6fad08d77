"""Who may do what: principals in all their forms, conditions, and how policies are combined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.model import policy
from samovar.model.access import (
    Caller,
    Decision,
    Named,
    account_of,
    covers,
    decide,
    holds,
    named,
    root_arn,
)
from samovar.model.policy import Statement

OWNER, OTHER, THIRD = "000000000000", "111122223333", "444455556666"
IAM, STS = f"arn:aws:iam::{OTHER}:", f"arn:aws:sts::{OTHER}:"
ROOT = root_arn(OTHER)
USER, ROLE = f"{IAM}user/ann", f"{IAM}role/reader"
SESSION = f"{STS}assumed-role/reader/monday"
OWN_USER = f"arn:aws:iam::{OWNER}:user/ann"
GET = "lambda:GetFunction"


@pytest.mark.parametrize(
    ("principal", "caller", "how"),
    [
        ("*", USER, Named.ITSELF),
        (OTHER, USER, Named.BY_ACCOUNT),
        (OTHER, ROOT, Named.ITSELF),
        (THIRD, USER, Named.NOT),
        (ROOT, SESSION, Named.BY_ACCOUNT),
        (root_arn(THIRD), SESSION, Named.NOT),
        (USER, USER, Named.ITSELF),
        (f"{IAM}user/bob", USER, Named.NOT),
        (f"{IAM}user/team/ann", USER, Named.NOT),
        (USER, f"{IAM}role/ann", Named.NOT),
        (ROLE, ROLE, Named.ITSELF),
        (ROLE, SESSION, Named.ITSELF),
        (f"{IAM}role/team/reader", SESSION, Named.ITSELF),
        (f"{IAM}role/team", SESSION, Named.NOT),
        (f"{IAM}role/reader/team", SESSION, Named.NOT),
        (f"{IAM}user/role/reader", SESSION, Named.NOT),
        (f"arn:aws:iam::{THIRD}:role/reader", SESSION, Named.NOT),
        (f"arn:aws-cn:iam::{OTHER}:role/reader", SESSION, Named.NOT),
        (SESSION, SESSION, Named.ITSELF),
        (SESSION, f"{STS}assumed-role/reader/tuesday", Named.NOT),
        (SESSION, ROLE, Named.NOT),
        (f"{IAM}role/read", SESSION, Named.NOT),
        ("s3.amazonaws.com", USER, Named.NOT),
        ("arn:aws:iam::cloudfront:user/x", USER, Named.NOT),
    ],
)
def test_how_a_principal_means_a_caller(principal: str, caller: str, how: Named) -> None:
    written = policy.principal(principal)  # as AddPermission writes it
    assert named(written, Caller(OTHER, caller)) is how


@pytest.mark.parametrize(
    ("asked", "true"),
    [
        ({}, True),
        ({"organization": "o-1234567890"}, True),
        ({"organization": "o-0987654321"}, False),
        ({"source_arn": "*"}, False),
        ({"source_account": OTHER}, False),
        ({"event_source_token": "t"}, False),
        ({"function_url_auth_type": "NONE"}, False),
        ({"invoked_via_function_url": True}, False),
        ({"invoked_via_function_url": False}, True),
        ({"organization": "o-1234567890", "source_account": OTHER}, False),
    ],
)
def test_conditions_of_a_direct_call(asked: dict[str, str], true: bool) -> None:
    condition = policy.condition(**asked)  # type: ignore[arg-type]
    assert holds(condition, Caller(OTHER, USER, organization="o-1234567890")) is true
    if "organization" in asked:
        assert not holds(condition, Caller(OTHER, USER))


def test_an_operator_that_is_not_known_never_holds() -> None:
    for account in (OTHER, THIRD):
        condition = {"StringNotEquals": {"aws:PrincipalAccount": account}}
        assert not holds(condition, Caller(OTHER, USER))


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        (GET, True),
        ("lambda:getfunction", True),
        ("lambda:Get*", True),
        ("lambda:*", True),
        ("*", True),
        ("lambda:GetFunctio?", True),
        ("lambda:GetFunction?", False),
        ("lambda:GetFunctionConfiguration", False),
        ("lambda.GetFunction", False),
        ("GetFunction", False),
        ("lambda:Get", False),
    ],
)
def test_actions(pattern: str, meant: bool) -> None:
    assert covers(pattern, GET) is meant


@pytest.mark.parametrize("name", ["root", "user/a", "user/x/y/a", "role/x/a"])
def test_whose_an_arn_is(name: str) -> None:
    assert account_of(IAM + name) == OTHER


@pytest.mark.parametrize(
    "arn",
    [
        "*",
        OTHER,
        IAM,
        f"{IAM}role/",
        f"{IAM}group/g",
        f"{STS}role/x",
        f"{IAM}assumed-role/a/bc",
        f"{STS}assumed-role/a",
        "arn:aws:iam::cloudfront:user/x",
        f"{ROLE}\n",
    ],
)
def test_what_is_nobodys_arn(arn: str) -> None:
    assert account_of(arn) is None


PATTERNS = st.sampled_from([GET, "lambda:*", "*", "lambda:Get*", "lambda:DeleteFunction"])
PRINCIPALS = st.sampled_from(
    ["*", OWNER, OTHER, THIRD, USER, ROLE, SESSION, "s3.amazonaws.com", OWN_USER]
).map(policy.principal)
CONDITIONS = st.sampled_from(
    [{}, policy.condition(organization="o-1234567890"), policy.condition(source_arn="*")]
)
STATEMENTS = st.lists(
    st.builds(Statement, st.just("s"), PRINCIPALS, PATTERNS, st.just("arn"), CONDITIONS), max_size=5
)
CALLERS = st.builds(
    lambda arn, allow, organization: Caller(str(account_of(arn)), arn, allow, organization),
    st.sampled_from([ROOT, USER, ROLE, SESSION, OWN_USER]),
    st.none() | st.lists(PATTERNS, max_size=3).map(tuple),
    st.none() | st.just("o-1234567890"),
)
ACTIONS = st.sampled_from([GET, "lambda:DeleteFunction", "lambda:InvokeFunction"])


@given(CALLERS, ACTIONS, STATEMENTS)
def test_both_policies_across_accounts_and_either_within(
    caller: Caller, action: str, statements: list[Statement]
) -> None:
    by_identity = caller.allow is None or any(covers(one, action) for one in caller.allow)
    means = {
        named(one.principal, caller)
        for one in statements
        if covers(one.action, action) and holds(one.condition, caller)
    } - {Named.NOT}
    if caller.account == OWNER:
        allowed = by_identity or Named.ITSELF in means
    else:
        allowed = by_identity and bool(means)
    decision = decide(caller, OWNER, action, statements)
    assert (decision is Decision.ALLOWED) is allowed
    if not allowed:
        missing = Decision.NOT_BY_RESOURCE if by_identity else Decision.NOT_BY_IDENTITY
        assert decision is missing


@given(CALLERS, ACTIONS, STATEMENTS, STATEMENTS)
def test_a_statement_never_takes_away(
    caller: Caller, action: str, some: list[Statement], more: list[Statement]
) -> None:
    if decide(caller, OWNER, action, some) is Decision.ALLOWED:
        assert decide(caller, OWNER, action, some + more) is Decision.ALLOWED


@given(CALLERS, ACTIONS, STATEMENTS)
def test_nothing_is_allowed_to_others_that_no_statement_names(
    caller: Caller, action: str, statements: list[Statement]
) -> None:
    others = [one for one in statements if named(one.principal, caller) is Named.NOT]
    decision = decide(caller, OWNER, action, others)
    assert decision is decide(caller, OWNER, action, ())
    if caller.account != OWNER:
        assert decision is not Decision.ALLOWED
