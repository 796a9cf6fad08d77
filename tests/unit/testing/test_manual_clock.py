"""What ManualClock does beyond what every Clock does."""

from __future__ import annotations

import pytest

from samovar.testing import ManualClock


def test_time_stands_still() -> None:
    clock = ManualClock()
    clock.call_later(0, lambda: pytest.fail("nobody advanced the clock"))
    assert clock.monotonic() == clock.monotonic() == 1_000.0
    assert clock.wall() == clock.wall() == 1_700_000_000.0


def test_both_clocks_go_on_by_what_was_asked() -> None:
    clock = ManualClock(monotonic=5.0, wall=100.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.wall()) == (7.5, 102.5)


def test_a_timer_sees_its_own_moment() -> None:
    clock = ManualClock(monotonic=0.0)
    seen: list[float] = []
    for delay in (3.0, 1.0, 2.0):
        clock.call_later(delay, lambda: seen.append(clock.monotonic()))
    clock.advance(10.0)
    assert seen == [1.0, 2.0, 3.0]
    assert clock.monotonic() == 10.0


def test_timers_of_one_moment_run_in_the_order_in_which_they_were_made() -> None:
    clock = ManualClock()
    ran: list[int] = []
    for number in range(20):
        clock.call_later(1.0, lambda number=number: ran.append(number))  # type: ignore[misc]
    clock.advance(1.0)
    assert ran == list(range(20))


def test_a_moment_is_reached_exactly_and_not_before() -> None:
    clock = ManualClock(monotonic=0.0)
    ran: list[str] = []
    clock.call_later(1.0, lambda: ran.append("due"))
    clock.advance(0.5)
    assert ran == []
    clock.advance(0.5)
    assert ran == ["due"]


def test_a_timer_made_on_the_way_runs_if_it_is_reached() -> None:
    clock = ManualClock(monotonic=0.0)
    ran: list[float] = []

    def again() -> None:
        ran.append(clock.monotonic())
        clock.call_later(1.0, again)

    clock.call_later(1.0, again)
    clock.advance(3.5)
    assert ran == [1.0, 2.0, 3.0]
    assert clock.pending == 1


def test_advancing_by_nothing_runs_what_is_due() -> None:
    clock = ManualClock()
    ran: list[str] = []
    clock.call_later(0.0, lambda: ran.append("due"))
    clock.advance(0.0)
    assert ran == ["due"]


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-0.1)


def test_pending_counts_what_is_still_to_run_and_timers_made_counts_all() -> None:
    clock = ManualClock()
    timers = [clock.call_later(delay, lambda: None) for delay in (1, 2, 3)]
    timers[1].cancel()
    assert (clock.pending, clock.timers_made) == (2, 3)
    clock.advance(1)
    assert (clock.pending, clock.timers_made) == (1, 3)


def test_what_a_callback_raises_comes_through_and_the_rest_stays() -> None:
    clock = ManualClock(monotonic=0.0)
    ran: list[str] = []
    clock.call_later(1.0, lambda: 1 / 0)
    clock.call_later(2.0, lambda: ran.append("after"))
    with pytest.raises(ZeroDivisionError):
        clock.advance(5.0)
    assert clock.monotonic() == 1.0
    clock.advance(1.0)
    assert ran == ["after"]


def test_the_wall_clock_can_be_set_without_time_passing() -> None:
    clock = ManualClock()
    clock.call_later(1.0, lambda: pytest.fail("no time has passed"))
    clock.set_wall(1_000.0)
    assert (clock.wall(), clock.monotonic()) == (1_000.0, 1_000.0)
    clock.set_wall(500.0)
    assert clock.wall() == 500.0
