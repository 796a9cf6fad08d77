"""What an event costs does not depend on what stands idle beside it: operations, not time.

Every line that runs is counted, and every item that is looked at in the state's own dictionaries
and queues, which would otherwise be walked through unseen.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import StartContext
from samovar.scheduler.events import (
    ContextDied,
    ContextReady,
    Event,
    InvocationEnded,
    InvokeRequested,
    PoolRetired,
)
from samovar.scheduler.policy import Policy
from samovar.scheduler.state import SchedulerState

FEW, MANY = 2, 1000


class Watched(dict[Any, Any]):
    """A dictionary that goes through its items in lines that count."""

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():  # noqa: UP028  # a line per item is the point
            yield key

    def keys(self) -> Any:
        return list(iter(self))

    def values(self) -> Any:
        return [self[key] for key in self]

    def items(self) -> Any:
        return [(key, self[key]) for key in self]


class Crowd:
    """A state with `count` idle contexts that have nothing to do with pool «mine»."""

    def __init__(self, count: int, same_pool: bool) -> None:
        self.state = SchedulerState(Policy(10.0, 10 * MANY))
        self.state.contexts = Watched()
        self.state.pools = Watched()
        for number in range(count):
            self.start("other" if same_pool else f"other-{number}", number)
        for context in list(self.state.contexts):
            self.ended(context)
        self.mine = self.start("mine", -1)

    def start(self, pool: str, ticket: int) -> int:
        """A context of `pool` that runs `ticket`."""
        (start,) = self.state.handle(InvokeRequested(pool, ticket, 0.0))
        assert isinstance(start, StartContext)
        start.lifecycle.move(ContextState.INITIALIZING)
        self.state.handle(ContextReady(start.lifecycle.context, 0.0))
        start.lifecycle.move(ContextState.BUSY)
        return start.lifecycle.context

    def ended(self, context: int) -> None:
        self.state.handle(InvocationEnded(context, 0.0))

    def cost(self, event: Event) -> int:
        return lines_of(lambda: self.state.handle(event))


def lines_of(call: Callable[[], object]) -> int:
    """How many lines of Python `call` runs, in itself and all that it calls."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    gc.disable()  # which would run the finalizers of other tests' objects in here
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def costs(count: int, same_pool: bool) -> dict[str, int]:
    """The cost of each event of pool «mine» beside `count` idle contexts."""
    crowd = Crowd(count, same_pool)
    mine, cost = crowd.mine, crowd.cost
    found = {"ended": cost(InvocationEnded(mine, 0.0))}
    found["dispatch"] = cost(InvokeRequested("mine", "t", 0.0))
    crowd.state.contexts[mine].move(ContextState.BUSY)
    found["start"] = cost(InvokeRequested("mine", "t", 0.0))
    coming = crowd.state.contexts[mine + 1]
    coming.move(ContextState.INITIALIZING)
    found["ready"] = cost(ContextReady(coming.context, 0.0))
    coming.move(ContextState.BUSY)
    found["died"] = cost(ContextDied(coming.context, "killed", 0.0))
    crowd.ended(mine)
    found["retired"] = cost(PoolRetired("mine"))
    return found


@pytest.mark.parametrize("same_pool", [False, True], ids=["many pools", "one pool"])
def test_no_event_costs_more_beside_a_thousand_idle_contexts(same_pool: bool) -> None:
    few, many = costs(FEW, same_pool), costs(MANY, same_pool)
    assert many == few
    assert 0 < few["dispatch"] <= 26


def test_a_walk_over_all_contexts_would_be_seen() -> None:
    """The measure itself: it must be able to tell."""
    few, many = Crowd(FEW, False), Crowd(MANY, False)
    for walk in (
        lambda crowd: list(crowd.state.contexts),
        lambda crowd: min(crowd.state.contexts.values(), key=id),
        lambda crowd: any(pool.waiting for pool in crowd.state.pools.values()),
    ):
        seen = [lines_of(lambda walk=walk, crowd=crowd: walk(crowd)) for crowd in (few, many)]
        assert seen[1] > 100 * seen[0]
