"""Many invocations: cold ones one at a time, warm ones at a concurrency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue

from samovar.doors.cli import pages
from samovar.doors.cli.bench.caller import Caller, Target
from samovar.doors.cli.bench.sample import Round, Sample

_TRIES = 3  # for one cold start, where others keep the function warm
_RUSHES = 5  # of all callers at once, until nobody of them has a cold start


@dataclass(frozen=True, slots=True)
class Warm:
    """The samples of the warm round, and how long all of it took, in seconds."""

    samples: list[Sample]
    seconds: float


def cold_round(
    target: Target, count: int, pause: float, advance: Callable[[], None]
) -> list[Sample]:
    """`count` cold starts, one after the other; `advance` is called after each.

    Before each the idle contexts are ended, and `pause` seconds are waited: for their processes to
    be gone, and for the engine to have its spares again, as it has whenever cold starts do not
    come in a row. Where others invoke the function meanwhile, what was no cold start is tried
    again, and stays among the samples.
    """
    samples = []
    with Caller(target) as caller:
        for _ in range(count):
            for _ in range(_TRIES):
                pages.drop_idle(target.client, target.reference)
                time.sleep(pause)
                sample = caller.invoke(Round.COLD)
                samples.append(sample)
                if sample.counts:
                    break
            advance()
    return samples


def warm_round(target: Target, count: int, at_once: int, advance: Callable[[], None]) -> Warm:
    """`count` invocations by `at_once` callers; contexts are made warm first, unmeasured.

    A quick function needs fewer contexts than callers. An invocation that found no idle one all
    the same stays among the samples, as a cold one.
    """
    gate = threading.Barrier(at_once)
    free: SimpleQueue[Caller] = SimpleQueue()
    with ExitStack() as stack, ThreadPoolExecutor(at_once) as threads:
        callers = [stack.enter_context(Caller(target)) for _ in range(at_once)]

        def prepare(caller: Caller) -> bool:
            gate.wait()  # all at once, or one context would serve one after the other
            return caller.invoke(Round.WARM).counts

        def call(_: int) -> Sample:
            caller = free.get()
            try:
                sample = caller.invoke(Round.WARM)
            finally:
                free.put(caller)
            advance()
            return sample

        try:
            for _ in range(_RUSHES):
                if all(list(threads.map(prepare, callers))):
                    break
            for caller in callers:
                free.put(caller)
            began = time.perf_counter()
            samples = list(threads.map(call, range(count)))
            return Warm(samples, time.perf_counter() - began)
        except BaseException:
            # Whoever is interrupted does not wait for what a function may still take.
            threads.shutdown(wait=False, cancel_futures=True)
            gate.abort()
            for caller in callers:
                caller.abort()
            raise
