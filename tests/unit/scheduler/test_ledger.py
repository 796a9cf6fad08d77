"""Who may have how many invocations in flight, by example: reserved, provisioned, and rates."""

from __future__ import annotations

import pytest

from samovar.scheduler.commands import Refusal
from samovar.scheduler.ledger import ConcurrencyLedger, Share
from samovar.scheduler.policy import Policy


def ledger(account: int = 10, scaling_rate: int = 0, request_rate: int = 0) -> ConcurrencyLedger:
    return ConcurrencyLedger(Policy(10.0, 100, 0, account, scaling_rate, request_rate))


def admitted(share: Share, wanted: int, now: float = 0.0) -> int:
    """How many of so many invocations at once are admitted on demand."""
    return sum(share.admit(now) is None for _ in range(wanted))


def test_what_is_not_reserved_is_there_for_all_others() -> None:
    books = ledger()
    a, b, c = (books.share(name) for name in "abc")
    books.reserve(a, 4, 0)
    assert admitted(b, 5) == 5
    assert admitted(c, 5) == 1
    assert c.admit(0.0) is Refusal.ACCOUNT
    assert admitted(a, 5) == 4  # guaranteed, and no more
    assert a.admit(0.0) is Refusal.RESERVED


def test_nothing_reserved_is_off() -> None:
    books = ledger()
    books.reserve(books.share("a"), 0, 0)
    assert books.share("a").admit(0.0) is Refusal.RESERVED


def test_reserving_counts_what_is_in_flight() -> None:
    books = ledger()
    a = books.share("a")
    assert admitted(a, 6) == 6
    books.reserve(a, 4, 6)
    assert (a.allowance.left, books.unreserved.left) == (-2, 6)
    assert a.admit(0.0) is Refusal.RESERVED
    for _ in range(3):
        a.allowance.left += 1  # three of them end
    assert admitted(a, 5) == 1
    books.reserve(a, None, 4)
    assert books.unreserved.left == 6


def test_provisioned_contexts_take_their_places_from_those_on_demand() -> None:
    books = ledger()
    a = books.share("a")
    books.reserve(a, 3, 0)
    a.provisioned, a.allowance.left = 3, 0  # as when three of them got ready
    assert a.admit(0.0) is Refusal.RESERVED
    assert [a.admit_provisioned(0.0) for _ in range(3)] == [None] * 3


def test_provisioned_contexts_that_got_ready_while_all_was_in_flight() -> None:
    books = ledger()
    a = books.share("a")
    books.reserve(a, 3, 0)
    assert admitted(a, 3) == 3
    a.provisioned, a.allowance.left = 2, -2
    assert a.admit_provisioned(0.0) is Refusal.RESERVED  # never more than three
    a.allowance.left += 1
    assert a.admit_provisioned(0.0) is None
    assert a.admit_provisioned(0.0) is Refusal.RESERVED


def test_a_deleted_function_gives_back_what_it_had_reserved() -> None:
    books = ledger()
    a = books.share("a")
    books.reserve(a, 4, 0)
    books.reserve(a, None, 0)
    a.deleted = True
    books.forget_unused(a)
    assert books.unreserved.left == 10
    assert books.shares() == []


def test_a_function_of_the_same_name_keeps_the_share_of_one_that_drains() -> None:
    books = ledger()
    a = books.share("a")
    a.deleted, a.pools = True, 1
    books.forget_unused(a)
    books.reserve(books.share("a"), 2, 0)
    a.pools = 0
    books.forget_unused(a)
    assert books.share("a").reserved == 2


@pytest.mark.parametrize(
    ("reserved", "refusal"),
    [(None, Refusal.REQUEST_RATE), (2, Refusal.RESERVED_REQUEST_RATE)],
    ids=["of the account", "of the function"],
)
def test_requests_per_second(reserved: int | None, refusal: Refusal) -> None:
    books = ledger(account=3, request_rate=10)
    a = books.share("a")
    books.reserve(a, reserved, 0)
    allowed = 10 * (reserved or 3)

    def request(now: float) -> Refusal | None:
        refused = a.admit(now)
        if refused is None:
            a.allowance.left += 1
        return refused

    assert [request(5.0) for _ in range(allowed)] == [None] * allowed
    assert request(5.999) is refusal
    assert request(6.0) is None


@pytest.mark.parametrize(
    ("reserved", "refusal"),
    [(None, Refusal.SCALING_RATE), (5, Refusal.RESERVED_SCALING_RATE)],
    ids=["of the account", "of the function"],
)
def test_contexts_in_ten_seconds(reserved: int | None, refusal: Refusal) -> None:
    books = ledger(scaling_rate=20)
    a = books.share("a")
    books.reserve(a, reserved, 0)
    assert [a.admit_start(100.0) for _ in range(20)] == [None] * 20
    assert a.admit_start(100.0) is refusal
    assert a.admit_start(100.5) is None  # two a second
    assert a.admit_start(100.5) is refusal
    assert [a.admit_start(500.0) for _ in range(20)] == [None] * 20
    assert a.admit_start(500.0) is refusal  # what was not used is not kept for later


def test_no_rate_is_no_limit() -> None:
    books = ledger(account=100_000)
    a = books.share("a")
    assert admitted(a, 50_000) == 50_000
    assert {a.admit_start(0.0) for _ in range(10_000)} == {None}
