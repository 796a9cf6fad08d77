"""Where an engine that reads a stream is killed: before and after every await on a batch's way, and
at every statement of the leases' database."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tests.process.crashes.points import Points, watched

from samovar.event_sources.admission import Admission
from samovar.event_sources.batch_runs import BatchRun
from samovar.event_sources.dynamodb import DynamoDbStream
from samovar.event_sources.invoking import BatchInvoker
from samovar.event_sources.kinesis import KinesisStream
from samovar.event_sources.reading import Reading
from samovar.event_sources.streams import END, Page
from samovar.invocation.destinations import Senders
from samovar.stores import sqlite_leases
from samovar.stores.invoke_queue import ItemKind
from samovar.stores.leases import Lease
from samovar.stores.sqlite_leases import SqliteLeaseStore
from samovar.stores.sqlite_queue import SqliteInvokeQueue

# The phases of a batch, of a shard's end and of a start, all of which some life must come to.
PHASES = frozenset(
    {
        *("leases.open:before", "leases.of:after", "leases.take:before", "leases.take:after"),
        *("shards:before", "shards:after", "place:before", "place:after"),
        *("iterator:before", "iterator:after", "read:before", "records:after"),
        *("invoke:before", "handler:before", "handler:began", "handler:done", "invoke:after"),
        *("leases.checkpoint:before", "leases.checkpoint:after", "leases.sql.commit:before"),
        *("leases.sql.commit:after", "backoff:before", "backoff:after"),
        *("queue.put:before", "queue.put:after", "send:before", "send:after"),
        *("queue.complete:before", "queue.complete:after"),
    }
)
# Those that a stream has once, at its first look: a lease of no shard comes first.
BEGINNING = (
    *("leases.first:before", "leases.first:after", "leases.first:after"),
    *("leases.settled:before", "leases.settled:after"),
)
# Those that are passed only where shards end and their children begin.
RESHARDING = (
    *("leases.end:before", "leases.end:after"),
    *("leases.first:before", "leases.first:after"),
)
HANDLER = ("handler:before", "handler:began", "handler:done")

_in_batch: ContextVar[bool] = ContextVar("in_batch", default=False)


class StreamPoints(Points):
    """`aim_file` is where a handler reads that it is to kill this engine."""

    def __init__(
        self, aim: tuple[str, int] | None, act: Callable[[], None], aim_file: Path
    ) -> None:
        super().__init__(aim, act)
        self._aim_file = aim_file

    def install(self) -> None:
        """From now on, in this process, for good."""
        for name in ("put", "claim", "complete"):
            self.wrap(SqliteInvokeQueue, name, f"queue.{name}")
        self.wrap(Senders, "send", "send")
        self.wrap(Admission, "place", "place")
        for name in ("open", "of"):
            self.wrap(SqliteLeaseStore, name, f"leases.{name}")
        self.wrap(SqliteLeaseStore, "take", _taken)
        self.wrap(SqliteLeaseStore, "write", _written)
        sqlite_leases.open_database = watched(self, "leases.sql")
        for stream in (KinesisStream, DynamoDbStream):
            for name in ("shards", "lifetime", "iterator"):
                self.wrap(stream, name, name)
            self._watch_reads(stream)
        self._watch_batches()
        self._watch_runs()

    def _watch_reads(self, stream: type) -> None:
        read = stream.read  # type: ignore[attr-defined]

        @functools.wraps(read)
        async def wrapped(*given: Any) -> Page:
            self.at("read:before")
            page: Page = await read(*given)
            self.at("records:after" if page.records else "nothing:after")
            return page

        stream.read = wrapped  # type: ignore[attr-defined]

    def _watch_batches(self) -> None:
        """Pauses while a batch is in hand are its back-off; a shard's others are nobody's."""
        run, pause = BatchRun.run, Reading.pause

        async def in_batch(*given: Any) -> None:
            before = _in_batch.set(True)
            try:
                await run(*given)
            finally:
                _in_batch.reset(before)

        async def paused(it: Reading, seconds: float) -> None:
            if not _in_batch.get():
                await pause(it, seconds)
                return
            self.at("backoff:before")
            await pause(it, seconds)
            self.at("backoff:after")

        BatchRun.run = in_batch  # type: ignore[method-assign]
        Reading.pause = paused  # type: ignore[method-assign]

    def _watch_runs(self) -> None:
        invoke = BatchInvoker.invoke

        def wrapped(*given: Any) -> asyncio.Future[Any]:
            self.at("invoke:before")
            for point in HANDLER:
                self._at_handler(point)
            future = invoke(*given)
            future.add_done_callback(lambda _: self.at("invoke:after"))
            return future

        BatchInvoker.invoke = wrapped  # type: ignore[method-assign]

    def _at_handler(self, point: str) -> None:
        """This run passes a point in its handler; who dies there is killed by it."""
        self.passed[point] += 1
        if self._aim == (point, self.passed[point]):
            self._aim_file.write_text(json.dumps([point, os.getpid()]))

    def deliveries_left(self) -> bool:
        """Whether something that was given up is not told of yet."""
        return self.queue is not None and any(
            depth for (kind, _), depth in self.queue.depths().items() if kind is ItemKind.DELIVERY
        )


def _taken(_: Any, __: str, shard: str, ___: str, seen: int, ____: str) -> str:
    return "leases.take" if seen else "leases.first"


def _written(_: Any, lease: Lease, checkpoint: str) -> str:
    if not lease.shard:
        return "leases.settled"
    return "leases.end" if checkpoint == END.text() else "leases.checkpoint"
