"""What may be reserved and provisioned, at the edges."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from samovar.errors import ClientError
from samovar.model.concurrency import QUOTA, Account, Claim

ACCOUNT = Account.of(1000, 100)
BELOW = (
    "Specified {} for function decreases account's UnreservedConcurrentExecution below its minimum "
    "value of [{}]."
)


def refusal(demand: Callable[[], None]) -> str | None:
    try:
        demand()
    except ClientError as error:
        assert error.error is QUOTA
        return error.message
    return None


@pytest.mark.parametrize(
    ("limit", "minimum", "kept"),
    [
        (1000, 100, 100),
        (5000, 100, 100),
        (500, 100, 50),
        (50, 100, 10),
        (10, 100, 10),
        (3, 100, 10),
        (1000, 0, 0),
        (3, 0, 0),
        (1000, 7, 7),
    ],
)
def test_what_stays_unreserved(limit: int, minimum: int, kept: int) -> None:
    assert Account.of(limit, minimum) == Account(limit, kept)


def test_what_is_left_of_the_account() -> None:
    assert ACCOUNT.unreserved([]) == 1000
    # Provisioned concurrency is a part of what is reserved, or else it is taken by itself.
    assert ACCOUNT.unreserved([Claim(200, 50), Claim(None, 30), Claim(0, 0), Claim()]) == 770


@pytest.mark.parametrize(
    ("wanted", "claim", "others", "message"),
    [
        (900, Claim(), [], None),
        (901, Claim(), [], BELOW.format("ReservedConcurrentExecutions", 100)),
        (0, Claim(), [Claim(900)], None),
        (1, Claim(), [Claim(900)], BELOW.format("ReservedConcurrentExecutions", 100)),
        (1, Claim(), [Claim(None, 900)], BELOW.format("ReservedConcurrentExecutions", 100)),
        (900, Claim(5), [], None),  # in the place of what it has
        (2, Claim(None, 2), [], None),
        (
            1,
            Claim(None, 2),
            [],
            " ReservedConcurrentExecutions  1 should not be lower than function's total "
            "provisioned concurrency [2].",
        ),
        # The account is smaller than it was: nobody is kept from taking less.
        (3, Claim(5), [Claim(950)], None),
        (5, Claim(None, 5), [Claim(950)], None),
        (6, Claim(5), [Claim(950)], BELOW.format("ReservedConcurrentExecutions", 100)),
    ],
)
def test_reserving(wanted: int, claim: Claim, others: list[Claim], message: str | None) -> None:
    assert refusal(lambda: ACCOUNT.demand_reservable(wanted, claim, others)) == message


@pytest.mark.parametrize(
    ("wanted", "claim", "others", "message"),
    [
        (900, Claim(), [], None),
        (901, Claim(), [], BELOW.format("ConcurrentExecutions", 100)),
        (1000, Claim(), [], BELOW.format("ConcurrentExecutions", 100)),
        (
            1001,
            Claim(),
            [],
            "Specified ConcurrentExecutions for function is greater than account's unreserved "
            "concurrency [1000].",
        ),
        (
            11,
            Claim(None, 40),
            [Claim(950)],
            "Specified ConcurrentExecutions for function is greater than account's unreserved "
            "concurrency [10].",
        ),
        (860, Claim(None, 40), [], None),
        (861, Claim(None, 40), [], BELOW.format("ConcurrentExecutions", 100)),
        (2, Claim(5, 3), [Claim(895)], None),  # all of it is reserved already
        (
            3,
            Claim(5, 3),
            [],
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function",
        ),
    ],
)
def test_provisioning(wanted: int, claim: Claim, others: list[Claim], message: str | None) -> None:
    assert refusal(lambda: ACCOUNT.demand_provisionable(wanted, claim, others)) == message
