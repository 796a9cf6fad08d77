"""The bare dispatcher: forked workers, one request at a time each, callbacks, nothing else.

No limits, no logs, no deadlines, no versions, no errors: what is left when all of an engine's
promises are taken away. A worker's death ends the process.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.floors.worker import HEADER, Pipes, fork_worker

Done = Callable[[bytes], object]


class Dispatcher:
    """Create it before the loop (it forks), then `attach` it."""

    def __init__(self, handler: Callable[[Any], Any], workers: int) -> None:
        self._workers: list[Pipes] = []
        for _ in range(workers):
            self._workers.append(fork_worker(handler, self._workers))
        self._idle = list(self._workers)  # a stack: the hot end is reused
        self._waiting: deque[tuple[bytes, Done]] = deque()
        self._running: dict[int, Done] = {}
        self._buffers = {worker.replies: b"" for worker in self._workers}

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        for worker in self._workers:
            loop.add_reader(worker.replies, self._readable, worker)

    def submit(self, body: bytes, done: Done) -> None:
        if self._idle:
            self._start(self._idle.pop(), body, done)
        else:
            self._waiting.append((body, done))

    def _start(self, worker: Pipes, body: bytes, done: Done) -> None:
        self._running[worker.replies] = done
        os.write(worker.requests, HEADER.pack(len(body), 0) + body)

    def _readable(self, worker: Pipes) -> None:
        data = self._buffers[worker.replies] + os.read(worker.replies, 65536)
        if not data:
            raise SystemExit("a worker of the floor died")
        length = HEADER.size
        if len(data) < length or len(data) < length + HEADER.unpack_from(data)[0]:
            self._buffers[worker.replies] = data
            return
        self._buffers[worker.replies] = b""
        done = self._running.pop(worker.replies)
        if self._waiting:
            self._start(worker, *self._waiting.popleft())
        else:
            self._idle.append(worker)
        done(data[length:])

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        for worker in self._workers:
            loop.remove_reader(worker.replies)
            os.close(worker.requests)
            os.close(worker.replies)
        for worker in self._workers:
            os.waitpid(worker.pid, 0)
