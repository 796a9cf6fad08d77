"""What no scheduler does without: a pool is looked up, a context taken off a stack and put back."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.subject import BlockingSubject

_clock = time.perf_counter_ns


class BareDecision(BlockingSubject):
    """`pools` pools of one context, of which `asked` have their turn, in a random order."""

    def __init__(self, pools: int, asked: int) -> None:
        keys = [f"arn:function-{number}:$LATEST#1" for number in range(pools)]
        self._pools = {key: deque([number]) for number, key in enumerate(keys)}
        self._order = random.Random(1).sample(keys, asked)
        self._at = 0

    def commands(self) -> dict[str, Callable[..., Any]]:
        return {"decide": self._run}

    def _run(self, count: int) -> dict[str, Any]:
        started = _clock()
        latencies = [self._decide() for _ in range(count)]
        return {"elapsed": (_clock() - started) / 1e9, "latencies": latencies}

    def _decide(self) -> int:
        self._at = (self._at + 1) % len(self._order)
        key = self._order[self._at]
        pools = self._pools
        before = _clock()
        context = pools[key].pop()
        between = _clock()
        again = _clock()
        pools[key].append(context)
        return _clock() - again + between - before
