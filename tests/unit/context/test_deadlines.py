"""One timer per distinct length, however many deadlines; expiry in order; nothing after clear."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.context.deadlines import Deadlines
from samovar.testing import ManualClock


class Watch:
    """Deadlines on a manual clock; `expired` has (key, seconds since the start)."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.deadlines = Deadlines(self.clock)
        self.expired: list[tuple[object, float]] = []
        self._start = self.clock.monotonic()

    def add(self, length: float, key: object, then: Callable[[], None] = lambda: None) -> None:
        def expired() -> None:
            self.expired.append((key, self.clock.monotonic() - self._start))
            then()

        self.deadlines.add(length, key, self.clock.monotonic(), expired)


def test_expires_at_its_time_and_not_before() -> None:
    watch = Watch()
    watch.add(3, "key")
    watch.clock.advance(2.999)
    assert watch.expired == []
    watch.clock.advance(0.001)
    assert watch.expired == [("key", 3)]
    watch.clock.advance(100)
    assert watch.expired == [("key", 3)]
    assert watch.clock.pending == 0


def test_a_thousand_of_one_length_have_one_timer() -> None:
    watch = Watch()
    for number in range(1000):
        watch.add(3, number)
    assert watch.clock.timers_made == 1
    for length in (1, 900, 0.5):
        for number in range(100):
            watch.add(length, number)
    assert watch.clock.timers_made == watch.clock.pending == 4


def test_a_warm_load_makes_a_timer_per_length_and_not_per_invocation() -> None:
    """Each is withdrawn long before its time comes, as nearly all are."""
    watch = Watch()
    for number in range(10_000):
        watch.add(3, number)
        watch.clock.advance(0.001)
        watch.deadlines.withdraw(3, number)
    assert watch.expired == []
    assert watch.clock.timers_made == 4  # one for every 3 of 10 seconds
    watch.clock.advance(3)
    assert watch.clock.pending == 0


def test_equal_lengths_expire_in_the_order_in_which_they_were_added() -> None:
    watch = Watch()
    for number in range(5):
        watch.add(10, number)
        watch.clock.advance(1)
    watch.clock.advance(100)
    assert watch.expired == [(0, 10), (1, 11), (2, 12), (3, 13), (4, 14)]


def test_lengths_do_not_wait_for_one_another() -> None:
    watch = Watch()
    watch.add(900, "long")
    watch.add(1, "short")
    watch.add(3, "middle")
    watch.clock.advance(900)
    assert watch.expired == [("short", 1), ("middle", 3), ("long", 900)]


def test_the_same_key_may_stand_under_two_lengths() -> None:
    watch = Watch()
    watch.add(1, "key")
    watch.add(2, "key")
    watch.deadlines.withdraw(1, "key")
    watch.clock.advance(5)
    assert watch.expired == [("key", 2)]


def test_what_is_withdrawn_does_not_expire() -> None:
    watch = Watch()
    for key in "abc":
        watch.add(3, key)
    watch.deadlines.withdraw(3, "b")
    watch.deadlines.withdraw(3, "b")
    watch.deadlines.withdraw(3, "never there")
    watch.deadlines.withdraw(4, "no such length")
    watch.clock.advance(3)
    assert watch.expired == [("a", 3), ("c", 3)]


def test_a_key_that_comes_again_gets_its_whole_time() -> None:
    watch = Watch()
    watch.add(3, "key")
    watch.clock.advance(2)
    watch.deadlines.withdraw(3, "key")
    watch.add(3, "key")
    watch.clock.advance(2)
    assert watch.expired == []
    watch.clock.advance(1)
    assert watch.expired == [("key", 5)]


def test_one_that_expires_may_withdraw_the_next() -> None:
    watch = Watch()
    watch.add(3, "first", lambda: watch.deadlines.withdraw(3, "second"))
    watch.add(3, "second")
    watch.add(3, "third")
    watch.clock.advance(3)
    assert watch.expired == [("first", 3), ("third", 3)]


@pytest.mark.parametrize("beside", [0, 1, 5])
def test_one_that_expires_may_come_again_and_there_is_still_one_timer(beside: int) -> None:
    watch = Watch()

    def again() -> None:
        if len(watch.expired) < 50:
            watch.add(3, "again", again)
            assert watch.clock.pending <= 1

    watch.add(3, "again", again)
    watch.clock.advance(1)
    for number in range(beside):
        watch.add(3, number, lambda number=number: watch.add(3, (number, "again")))
    watch.clock.advance(1)
    for _ in range(10):
        watch.clock.advance(1)
        assert watch.clock.pending == 1
    assert watch.expired[0] == ("again", 3)
    assert [when for key, when in watch.expired if key == "again"] == [3, 6, 9, 12]
    watch.deadlines.clear()
    assert watch.clock.pending == 0


def test_after_clear_nothing_expires_and_no_timer_is_left() -> None:
    watch = Watch()
    for length in (1, 2, 3):
        watch.add(length, "key")
    watch.deadlines.clear()
    assert watch.clock.pending == 0
    watch.clock.advance(10)
    assert watch.expired == []
    watch.add(1, "key")
    watch.clock.advance(1)
    assert watch.expired == [("key", 11)]


def test_clear_from_within_a_deadline() -> None:
    watch = Watch()
    watch.add(3, "first", watch.deadlines.clear)
    watch.add(3, "second")
    watch.clock.advance(10)
    assert watch.expired == [("first", 3)]
    assert watch.clock.pending == 0


def test_one_that_raises_does_not_keep_the_others_from_expiring() -> None:
    watch = Watch()

    def fail() -> None:
        raise RuntimeError("a bug")

    watch.add(3, "first", fail)
    watch.add(3, "second")
    with pytest.raises(RuntimeError, match="a bug"):
        watch.clock.advance(3)
    watch.clock.advance(1)
    assert [key for key, _ in watch.expired] == ["first", "second"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 5]),  # length
            st.sampled_from([0, 1, 2]),  # seconds until the next
            st.booleans(),  # withdrawn a second later
        ),
        max_size=30,
    )
)
def test_against_a_list_of_times(plan: list[tuple[int, int, bool]]) -> None:
    watch = Watch()
    expected, now = [], 0
    for number, (length, pause, withdrawn) in enumerate(plan):
        watch.add(length, number)
        if not withdrawn or (length <= pause):
            expected.append((now + length, number))
        watch.clock.advance(pause)
        now += pause
        if withdrawn:
            watch.deadlines.withdraw(length, number)
        assert watch.clock.pending <= 3
    watch.clock.advance(5)
    found = [(when, number) for number, when in watch.expired]
    assert sorted(found) == sorted(expected)
    assert [when for when, _ in found] == sorted(when for when, _ in found)
    watch.clock.advance(5)
    assert watch.clock.pending == 0
