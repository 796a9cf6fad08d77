"""A shard's records on their way through a function that has tumbling windows: see `windows` for
what is in which.

A window's state is written down with the position that it belongs to, in one write. So a reader
that begins anew has the state of exactly those records which are done, and a window that is open
is ended by whoever reads on, however late.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from samovar.event_sources import shard_batches, windows
from samovar.event_sources.admission import Place
from samovar.event_sources.batch_runs import BatchRun
from samovar.event_sources.batching import portions
from samovar.event_sources.reading import FAILED, Idling, Reading
from samovar.event_sources.shard_batches import Piece, Progress, Ran, ShardRecord, Step
from samovar.event_sources.streams import Position, StreamRecord, Where
from samovar.event_sources.windows import Turn, Window
from samovar.model.invocation import Outcome

_log = logging.getLogger(__name__)

Write = Callable[[Position], Awaitable[None]]


class WindowRuns:
    """Of one shard. `write` has a position be written down."""

    def __init__(
        self, it: Reading, shard: str, idling: Idling, position: Position, write: Write
    ) -> None:
        """`position` is what was written down last."""
        self._it = it
        self._shard = shard
        self._idling = idling
        self._write = write
        self._position = position
        self._window = position.window

    @property
    def needed(self) -> bool:
        """Whether the shard's records are for windows: their mapping says so, or one is open."""
        return self._it.mapping.tumbling_window > 0 or self._open is not None

    @property
    def _open(self) -> Window | None:
        return self._window if self._window is not None and self._window.is_open else None

    async def run(self, found: Sequence[StreamRecord], place: Place | None) -> None:
        """Invoke with records, window by window, until all are done or given up."""
        while found:
            window, many = windows.head(found, self._window, self._it.mapping.tumbling_window)
            if self._open is not None and window is not self._open:
                await self._end(self._open, place)
                continue  # what is next may have been changed meanwhile
            part, found = found[:many], found[many:]
            if window is None:
                self._window = None
                await BatchRun(self._it, self._shard, self._idling, self._passed).run(part, place)
                continue
            self._window = window
            run = WindowRun(self._it, self._shard, self._idling, self._passed_in, window)
            await run.run(part, place)

    async def quiet(self, read_up_to: float, place: Place | None) -> None:
        """There was nothing more to read: end the window if it is over."""
        window = self._open
        if window is not None and windows.is_over(window, read_up_to):
            await self._end(window, place)

    async def close(self) -> None:
        """The shard has ended, and so has its window (developer guide)."""
        if self._open is not None:
            await self._end(self._open, None)

    async def _end(self, window: Window, place: Place | None) -> None:
        await WindowRun(self._it, self._shard, self._idling, self._passed_in, window).end(place)
        self._window = window.ended()
        await self._keep(self._position)

    async def _passed(self, key: str) -> None:
        await self._keep(Position(Where.AFTER, key))

    async def _passed_in(self, key: str, window: Window) -> None:
        self._window = window
        await self._passed(key)

    async def _keep(self, position: Position) -> None:
        window = windows.kept(self._window, self._it.mapping.tumbling_window)
        self._position = replace(position, window=window)
        await self._write(self._position)


class WindowRun(BatchRun):
    """Of records that are in one window, one batch after the other. A batch needs the state that
    the one before it has left, so ParallelizationFactor is 1 where there are windows."""

    lanes = 1

    def __init__(
        self,
        it: Reading,
        shard: str,
        idling: Idling,
        passed: Callable[[str, Window], Awaitable[None]],
        window: Window,
    ) -> None:
        """`passed` is told of the window as it is then, too."""
        super().__init__(it, shard, idling, lambda key: passed(key, self._turn.window))
        self._turn = Turn(window)
        self._answered = windows.NOTHING

    async def end(self, place: Place | None, *, early: bool = False) -> None:
        """The invocation that ends the window, until it succeeds or is given up."""
        self._turn = replace(self._turn, final=True, early=early)
        self._progress = Progress([])
        await self.lane((Piece((), begun=self._it.clock.wall()),), place)

    def pieces(self, lane: Sequence[ShardRecord], size: int) -> tuple[Piece, ...]:
        batches = [lane[at : at + size] for at in range(0, len(lane), size)]
        return shard_batches.batch(
            [one for batch in batches for one in portions(batch, windows.RECORDS_SIZE)]
        )

    def event(self, piece: Piece) -> bytes:
        arn = self._it.mapping.source_arn
        return windows.event_of(piece.records, self._turn, self._shard, arn)

    def came(self, piece: Piece, outcome: Outcome) -> Ran:
        """Without a state it is a failure (developer guide); that it must be in the answer to a
        final invocation too is unconfirmed. Where only some of the records failed, the state is
        that of the others."""
        came = super().came(piece, outcome)
        if came.error is not None:
            return came
        state = windows.state_of(outcome.payload)
        if state is None:
            it = self._it
            it.result = FAILED
            _log.warning(
                "a batch of the shard %s of %s has failed: %s answered without a state",
                *(self._shard, it.mapping.source_arn, it.mapping.function_arn),
            )
            return replace(came, failed_at=0)
        self._answered = state
        return came

    async def follow(self, step: Step) -> None:
        if not self._turn.final:
            await self._take(step)
        if step.dropped is not None:
            step = step._replace(dropped=replace(step.dropped, turn=self._turn))
        await super().follow(step)

    async def _take(self, step: Step) -> None:
        """Have the window's state be that of what is done, before this is written down."""
        window = self._turn.window
        if step.done and windows.is_too_large(self._answered):
            # It is written down nowhere: whoever dies here has the batch be run again.
            early = replace(window, state=self._answered)
            await WindowRun(self._it, self._shard, self._idling, _nothing, early).end(
                None, early=True
            )
            window = window.cut_short()
        elif step.done:
            window = replace(window, state=self._answered)
        if step.dropped is not None and step.dropped.piece.runs:
            window = window.begun()
        self._turn = Turn(window)


async def _nothing(key: str, window: Window) -> None:
    """Nobody is told."""
