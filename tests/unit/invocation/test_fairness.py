"""Events beside calls: what a function leaves, how it gives way, and when it grows."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.invocation.fairness import HOLD, TICK, Fairness, Lack
from samovar.scheduler.headroom import Headroom

PLENTY = Headroom(1000, 1000, 1000, inf, 0.0, inf)


class Load:
    """Events without end of one function, each of which takes `duration` seconds."""

    def __init__(self, fairness: Fairness, duration: float, name: str = "f") -> None:
        self.fairness = fairness
        self.duration = duration
        self.name = name
        self.ends: list[float] = []

    def fill(self, now: float, headroom: Headroom = PLENTY) -> Lack:
        while True:
            lack = self.fairness.lack(self.name, headroom, now)
            if lack is not None:
                return lack
            self.fairness.claim(self.name, 1)
            self.fairness.begin(self.name)
            self.ends.append(now + self.duration)

    def turn(self, now: float, *, busy: bool = False, calls: bool = False) -> int:
        """A tick's time: what is over is replaced; how many run then."""
        over = [end for end in self.ends if end <= now]
        for _ in over:
            self.fairness.end(self.name, self.duration)
        self.ends = [end for end in self.ends if end > now]
        self.fill(now)
        self.fairness.tick(now, busy=busy, calls=calls)
        self.fill(now)
        return len(self.ends)

    def play(self, seconds: float, start: float = 0.0, **host: bool) -> int:
        running = 0
        for number in range(int(seconds / TICK)):
            running = self.turn(start + number * TICK, **host)
        return running


@pytest.mark.parametrize("duration", [0.2, 10.0, 900.0])
def test_handlers_that_wait_have_their_hundred_within_a_second(duration: float) -> None:
    assert Load(Fairness(2, 100), duration).play(1.0) == 100


def test_handlers_that_take_no_time_stay_with_as_many_as_there_are_processors() -> None:
    assert Load(Fairness(2, 100), 0.0002).play(5.0) == 2


def test_who_was_taken_to_be_slow_by_his_init_becomes_fewer_again() -> None:
    load = Load(Fairness(2, 100), 0.0002)
    load.fill(0.0)
    load.fairness._flow("f").limit = 64.0
    assert load.play(2.0) == 2


def test_handlers_that_compute_do_not_become_many() -> None:
    assert Load(Fairness(2, 100), 1.0).play(5.0, busy=True) == 8


def test_beside_calls_they_become_fewer_on_a_busy_host() -> None:
    load = Load(Fairness(2, 100), 0.2)
    assert load.play(1.0) == 100
    assert load.play(10.0, start=1.0, busy=True, calls=True) == 1


def test_a_place_is_left_to_calls_where_there_is_more_than_one() -> None:
    for places, limit, runs in ((1, 1, True), (1, 2, False), (2, 2, True), (1, 1000, False)):
        fairness = Fairness(2, 100)
        lack = fairness.lack("f", Headroom(places, limit, 10, inf, 0.0, inf), 0.0)
        assert (lack is None) is runs, (places, limit)
        assert runs or lack is Lack.PLACES


@pytest.mark.parametrize(
    ("requests", "rate", "runs"),
    [(1, 1, True), (0, 1, False), (3, 10, True), (2, 10, False), (inf, inf, True), (2, 2, True)],
)
def test_a_part_of_the_rate_is_left_to_calls(requests: float, rate: float, runs: bool) -> None:
    lack = Fairness(2, 100).lack("f", Headroom(5, 5, 5, requests, 1.0, rate), 0.0)
    assert lack is (None if runs else Lack.REQUESTS)


def test_without_a_context_nothing_begins() -> None:
    assert Fairness(2, 100).lack("f", PLENTY._replace(startable=0), 0.0) is Lack.CONTEXTS


def test_what_is_to_be_ended_needs_no_place() -> None:
    fairness = Fairness(2, 0)
    fairness.call_throttled("f", 0.0)
    assert fairness.lack("f", Headroom(0, 0, 0, 0.0, 0.0, 0.0), 0.0) is None


def test_a_throttled_call_halves_its_functions_events_and_holds_them_back() -> None:
    fairness = Fairness(2, 100)
    load = Load(fairness, 10.0)
    assert load.play(1.0) == 100
    fairness._flow("f").pressed = False
    fairness.call_throttled("f", 1.0)
    assert fairness.lack("f", PLENTY, 1.0) is Lack.HOLD
    assert fairness.lack("other", PLENTY, 1.0) is Lack.ALL
    assert fairness.changing
    assert fairness.tick(1.0 + HOLD / 2, busy=False, calls=True) == []
    assert fairness.tick(1.0 + HOLD, busy=False, calls=True) == ["f"]
    assert not fairness.changing
    for _ in range(50):
        fairness.end("f", 10.0)
    assert fairness.lack("f", PLENTY, 2.0) is Lack.LIMIT
    fairness.end("f", 10.0)
    assert fairness.lack("f", PLENTY, 2.0) is None


def test_a_throttled_event_keeps_more_from_being_tried() -> None:
    fairness = Fairness(4, 100)
    for _ in range(3):
        fairness.claim("f", 1)
        fairness.begin("f")
    fairness.end("f", None)
    fairness.throttled("f")
    assert fairness.lack("f", PLENTY, 0.0) is Lack.LIMIT
    fairness.end("f", 0.1)
    assert fairness.lack("f", PLENTY, 0.0) is None


def test_quick_ones_are_claimed_ahead_and_slow_ones_are_not() -> None:
    for duration, claimed in ((0.0002, 2 + 32), (0.001, 2 + 20), (0.1, 2), (60.0, 2)):
        fairness = Fairness(2, 100)
        fairness.claim("f", 1)
        fairness.begin("f")
        fairness.end("f", duration)
        assert fairness.may_claim("f", 100, ahead=False) == claimed, duration
        assert fairness.may_claim("f", 100, ahead=False) == 0
    assert Fairness(2, 100).may_claim("f", 100, ahead=False) == 2, "nothing is known yet"


def test_a_claim_ahead_is_worth_its_commit() -> None:
    fairness = Fairness(2, 100)
    fairness.claim("f", 1)
    fairness.begin("f")
    fairness.end("f", 0.0001)
    assert fairness.may_claim("f", 100, ahead=True) == 34
    fairness.unclaim("f", 16)
    assert fairness.may_claim("f", 100, ahead=True) == 0
    fairness.unclaim("f", 1)
    assert fairness.may_claim("f", 100, ahead=True) == 17


def test_all_functions_together_have_their_limit() -> None:
    fairness = Fairness(2, 3)
    loads = [Load(fairness, 10.0, name) for name in "abc"]
    lacks = [load.fill(0.0) for load in loads]
    assert [len(load.ends) for load in loads] == [2, 1, 0]
    assert lacks == [Lack.LIMIT, Lack.ALL, Lack.ALL]
    assert fairness.full


def test_functions_without_events_are_forgotten_some_time() -> None:
    fairness = Fairness(2, 100)
    fairness.claim("busy", 1)
    for number in range(5000):
        fairness.lack(f"f{number}", PLENTY, 0.0)
    assert len(fairness._flows) <= 1001
    fairness.begin("busy")
    fairness.end("busy", 0.1)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.booleans()), max_size=60))
def test_counts_hold_whatever_happens(steps: list[tuple[str, int, bool]]) -> None:
    """What runs never exceeds the limits, and all counts come back to nothing."""
    fairness, now = Fairness(2, 5), 0.0
    claimed = dict.fromkeys("ab", 0)
    running = dict.fromkeys("ab", 0)
    for name, step, flag in steps:
        now += TICK
        if step == 0:
            claimed[name] += fairness.may_claim(name, 4, ahead=flag)
        elif step == 1 and claimed[name] and fairness.lack(name, PLENTY, now) is None:
            fairness.begin(name)
            claimed[name] -= 1
            running[name] += 1
        elif step == 2 and running[name]:
            fairness.end(name, 0.001 if flag else None)
            running[name] -= 1
        elif step == 3 and claimed[name]:
            fairness.unclaim(name, 1)
            claimed[name] -= 1
        elif step == 4:
            fairness.call_throttled(name, now)
        else:
            fairness.tick(now, busy=flag, calls=not flag)
        assert sum(running.values()) == fairness.running <= 5
        assert all(flow.limit >= 1 for flow in fairness._flows.values())
    for name in "ab":
        if claimed[name]:
            fairness.unclaim(name, claimed[name])
        for _ in range(running[name]):
            fairness.end(name, None)
    assert all(flow.running == flow.claimed == 0 for flow in fairness._flows.values())
