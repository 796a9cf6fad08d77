"""The scheduler's state alone, with contexts that only it knows of: what a decision costs.

No loop, no process, no clock: the state is pure. What stands around a decision (a context that
gets ready, one that dies) happens outside of the time that is taken.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from typing import Any

from benchmarks.subject import BlockingSubject
from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import Dispatch, Reject, StartContext, StopContext
from samovar.scheduler.events import (
    ContextDied,
    ContextReady,
    InvocationEnded,
    InvokeRequested,
    Tick,
)
from samovar.scheduler.policy import Policy
from samovar.scheduler.state import SchedulerState

_IDLE_TIMEOUT = 1e9  # seconds; nothing expires here
_clock = time.perf_counter_ns


class DecisionSubject(BlockingSubject):
    """`contexts` idle contexts in `pools` pools, as many of each, of which `asked` have their turn,
    one after the other in a random order; `decision` is one of those that there is a method for."""

    def __init__(self, contexts: int, pools: int, asked: int, decision: str) -> None:
        self._state = SchedulerState(
            Policy(_IDLE_TIMEOUT, contexts, account_concurrency=2 * contexts)
        )
        self._keys = [f"arn:function-{number}:$LATEST#1" for number in range(pools)]
        self._now = 0.0
        self._fresh = 0
        self._decide: Callable[[], int] = getattr(self, f"_{decision}")
        self._asked = random.Random(1).sample(self._keys, asked)
        self._at = 0
        busy = [self._bring_up(key) for key in self._keys * (contexts // pools)]
        if decision != "refuse":
            for number in busy:
                self._end(number)

    def start(self) -> dict[str, Any]:
        gc.collect()
        gc.freeze()  # the crowd stands still, and so it costs the collector nothing
        return {}

    def commands(self) -> dict[str, Callable[..., Any]]:
        return {"decide": self._run}

    def _run(self, count: int) -> dict[str, Any]:
        started = _clock()
        latencies = [self._decide() for _ in range(count)]
        return {"elapsed": (_clock() - started) / 1e9, "latencies": latencies}

    # -- decisions, each with the ns that it took

    def _warm(self) -> int:
        """An invocation on an idle context, and its end."""
        key = self._next_key()
        self._now += 1e-6
        handle, now = self._state.handle, self._now
        before = _clock()
        (dispatch,) = handle(InvokeRequested(key, 0, now))
        between = _clock()
        assert type(dispatch) is Dispatch
        self._state.contexts[dispatch.context].move(ContextState.BUSY)
        again = _clock()
        handle(InvocationEnded(dispatch.context, now))
        return _clock() - again + between - before

    def _evict(self) -> int:
        """An invocation of a function that has no context yet, when there is room for none."""
        self._fresh += 1
        self._now += 1e-6
        event = InvokeRequested(f"arn:new-{self._fresh}:$LATEST#1", 0, self._now)
        before = _clock()
        stop, start = self._state.handle(event)
        taken = _clock() - before
        assert type(stop) is StopContext
        assert type(start) is StartContext
        self._state.handle(ContextDied(stop.context, "evicted", self._now))
        self._ready(start.lifecycle.context)
        self._end(start.lifecycle.context)
        return taken

    def _tick(self) -> int:
        """A look for contexts that are idle for too long, when there is none."""
        self._now += 1e-6
        event = Tick(self._now)
        before = _clock()
        self._state.handle(event)
        return _clock() - before

    def _refuse(self) -> int:
        """An invocation when all contexts are busy."""
        event = InvokeRequested(self._next_key(), 0, self._now)
        before = _clock()
        (reject,) = self._state.handle(event)
        taken = _clock() - before
        assert type(reject) is Reject
        return taken

    # -- what stands around them

    def _next_key(self) -> str:
        self._at = (self._at + 1) % len(self._asked)
        return self._asked[self._at]

    def _bring_up(self, key: str) -> int:
        """A context that runs an invocation."""
        (start,) = self._state.handle(InvokeRequested(key, 0, self._now))
        assert type(start) is StartContext
        self._ready(start.lifecycle.context)
        return start.lifecycle.context

    def _ready(self, number: int) -> None:
        context = self._state.contexts[number]
        context.move(ContextState.INITIALIZING)
        self._state.handle(ContextReady(number, self._now))
        context.move(ContextState.BUSY)

    def _end(self, number: int) -> None:
        self._now += 1e-6
        self._state.handle(InvocationEnded(number, self._now))
