"""The standard library's two process pools, forked, two processes each."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing.pool import Pool
from typing import Any

from benchmarks.functions import handlers
from benchmarks.subject import BlockingSubject


class _PoolSubject(BlockingSubject):
    """Calls one after the other, or with some always outstanding (a callback submits the next)."""

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return {"calls": self.calls}

    def call(self, event: Any) -> object:
        raise NotImplementedError

    def submit(self, event: Any, done: Callable[[object], object]) -> object:
        raise NotImplementedError

    def calls(self, payload: str, count: int, in_flight: int) -> dict[str, Any]:
        event = json.loads(payload)
        latencies: list[int] = []
        clock = time.perf_counter_ns
        started = clock()
        if in_flight == 1:
            for _ in range(count):
                before = clock()
                self.call(event)
                latencies.append(clock() - before)
        else:
            self._many(event, count, in_flight, latencies)
        return {"elapsed": (clock() - started) / 1e9, "latencies": latencies}

    def _many(self, event: Any, count: int, in_flight: int, latencies: list[int]) -> None:
        clock = time.perf_counter_ns
        finished = threading.Event()
        free = threading.Semaphore(in_flight)

        def finish(before: int, _result: object) -> None:
            latencies.append(clock() - before)
            free.release()
            if len(latencies) == count:
                finished.set()

        for _ in range(count):
            free.acquire()
            self.submit(event, partial(finish, clock()))
        finished.wait()


class MultiprocessingPool(_PoolSubject):
    """multiprocessing.Pool(2)."""

    def __init__(self) -> None:
        self._pool: Pool = multiprocessing.get_context("fork").Pool(2)

    def call(self, event: Any) -> object:
        return self._pool.apply(handlers.noop, (event,))

    def submit(self, event: Any, done: Callable[[object], object]) -> object:
        return self._pool.apply_async(handlers.noop, (event,), callback=done)

    def stop(self) -> None:
        self._pool.close()
        self._pool.join()


class Executor(_PoolSubject):
    """concurrent.futures.ProcessPoolExecutor(2)."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))

    def call(self, event: Any) -> object:
        return self._pool.submit(handlers.noop, event).result()

    def submit(self, event: Any, done: Callable[[object], object]) -> object:
        future: Future[object] = self._pool.submit(handlers.noop, event)
        future.add_done_callback(done)
        return future

    def stop(self) -> None:
        self._pool.shutdown()
