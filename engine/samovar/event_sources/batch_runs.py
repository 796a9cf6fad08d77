"""A batch of one shard on its way through its function.

Its records are in lanes, as many as the mapping's ParallelizationFactor: those with the same
partition key are in the same one, and each lane is run in order, beside the others. The shard is
done up to where all lanes are, and is read on when they are through: a lane that is tried again
holds up what comes behind this batch, and nothing within it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from samovar.errors import ClientError, EngineError
from samovar.event_sources import shard_batches
from samovar.event_sources.admission import Place
from samovar.event_sources.batching import RECORDS, Form, failed_keys, portions
from samovar.event_sources.reading import FAILED, OK, Idling, Reading, insist
from samovar.event_sources.shard_batches import Piece, Progress, Ran, ShardRecord, Step
from samovar.event_sources.streams import StreamRecord
from samovar.invocation.retries import Result
from samovar.model.function import LATEST
from samovar.model.invocation import Outcome

_log = logging.getLogger(__name__)

_LEAST_WAIT = 0.001  # seconds before a batch is tried again, on whatever scale


class BatchRun:
    """Of one batch, once. `passed` is told the sequence number up to which the shard is done, each
    time that this is further on, and returns when it is written down."""

    def __init__(
        self,
        it: Reading,
        shard: str,
        idling: Idling,
        passed: Callable[[str], Awaitable[None]],
        form: Form = RECORDS,
    ) -> None:
        self._it = it
        self._shard = shard
        self._idling = idling
        self._passed = passed
        self._form = form
        self._writing = asyncio.Lock()
        self._written = ""

    # -- what is different with windows

    @property
    def lanes(self) -> int:
        """How many there are at most."""
        return self._it.mapping.parallelization

    def pieces(self, lane: Sequence[ShardRecord], size: int) -> tuple[Piece, ...]:
        """What a lane is invoked with in turn, `size` records at most at a time."""
        batches = [lane[at : at + size] for at in range(0, len(lane), size)]
        return shard_batches.batch(
            [one for batch in batches for one in portions(batch, form=self._form)]
        )

    def event(self, piece: Piece) -> bytes:
        """What the function is invoked with."""
        return self._form.event(piece.records)

    def came(self, piece: Piece, outcome: Outcome) -> Ran:
        """What the function's answer says of a piece."""
        it, failed_at = self._it, None
        if outcome.function_error is not None:
            failed_at = 0
        elif it.mapping.report_failures:
            keys = [record.key for record in piece.records]
            failed = failed_keys(outcome.payload, keys, self._form)
            failed_at = next((at for at, key in enumerate(keys) if key in failed), None)
        it.result = OK if outcome.function_error is None else FAILED
        return Ran(failed_at, outcome.function_error, outcome.request_id, outcome.executed_version)

    # -- the way of a batch

    async def run(self, found: Sequence[StreamRecord], place: Place | None) -> None:
        """Invoke with what passes the filters until all of it is done or given up. Raises
        CancelledError where it was ended before."""
        it = self._it
        passing = [record for record in found if it.passes(record.event)]
        it.numbers.events["filtered"] += len(found) - len(passing)
        self._progress = Progress([record.key for record in found])
        kept = {record.key for record in passing}
        self._progress.gone(record.key for record in found if record.key not in kept)
        mapping = it.mapping
        lanes = shard_batches.lanes(
            [(r.partition, ShardRecord(r.key, r.arrived, r.text)) for r in passing],
            self.lanes,
        )
        batches = [self.pieces(lane, mapping.batch_size) for lane in lanes]
        if len(batches) == 1:
            await self.lane(batches[0], place)
        elif batches:
            await self._beside(batches, place)
        else:
            await self._pass()

    async def _beside(self, batches: Sequence[tuple[Piece, ...]], place: Place | None) -> None:
        """All lanes at once. Where all is to end, what runs is waited for; where one breaks down,
        nothing."""
        loop = asyncio.get_running_loop()
        places: list[Place | None] = [place, *(None for _ in batches[1:])]
        lanes = [
            loop.create_task(self.lane(pieces, one))
            for pieces, one in zip(batches, places, strict=True)
        ]
        try:
            await asyncio.wait(lanes, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for lane in lanes:
                lane.cancel()
            results = await asyncio.gather(*lanes, return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        # What breaks a reader down counts for more than that it is to end.
        errors.sort(key=lambda error: isinstance(error, asyncio.CancelledError))
        if errors:
            raise errors[0]

    async def lane(self, pieces: tuple[Piece, ...], place: Place | None) -> None:
        it = self._it
        try:
            while pieces:
                place = await self._placed(pieces[0], place)
                rules = it.rules(failed=pieces[0].failures > 0)
                step = shard_batches.aged(pieces, rules, it.clock.wall())
                pieces = step.left
                if step.dropped is not None:
                    if place is not None:  # somebody else can have it meanwhile
                        place.use()
                elif place is not None:
                    step = await self._run(pieces, place)
                    pieces = step.left
                await self.follow(step)
                if pieces and step.wait:
                    with self._idling.idle():
                        await it.pause(max(_LEAST_WAIT, step.wait * it.time_scale))
        finally:
            if place is not None:
                place.use()

    async def _placed(self, piece: Piece, place: Place | None) -> Place | None:
        """The place that there is, or another one; None if what it is for grows too old before."""
        it = self._it
        if place is not None and not place.used:
            return place
        left = it.rules(failed=piece.failures > 0).age
        if piece.records and 0 <= left < float("inf"):
            left += piece.records[0].arrived - it.clock.wall()
        elif left < 0 or not piece.records:
            left = float("inf")
        with self._idling.idle():
            if left == float("inf"):
                return await it.place()
            return await it.place_within(max(0.0, left) + _LEAST_WAIT)

    async def _run(self, pieces: tuple[Piece, ...], place: Place) -> Step:
        """Invoke with the first of them, in its place."""
        it, piece = self._it, pieces[0]
        mapping, events, count = it.mapping, it.numbers.events, len(piece.records)
        if count:
            it.numbers.iterator_age = max(0.0, it.clock.wall() - piece.records[-1].arrived)
        try:
            try:
                invoked = it.invoke(mapping, self.event(piece))
            finally:
                place.use()
            outcome = await invoked
        except (ClientError, EngineError) as error:
            events["failed"] += count
            return self._refused(pieces, error)
        events["invoked"] += count
        came = self.came(piece, outcome)
        events["failed"] += 0 if came.failed_at is None else count - came.failed_at
        return shard_batches.ran(pieces, came, it.rules(failed=True))

    def _refused(self, pieces: tuple[Piece, ...], error: ClientError | EngineError) -> Step:
        """The function did not take a batch: nobody's fault, or one that goes on as it is."""
        it = self._it
        _log.log(
            logging.DEBUG if Result.of(error) is Result.THROTTLE else logging.WARNING,
            "a batch of the shard %s of %s was not run by %s: %s",
            *(self._shard, it.mapping.source_name, it.mapping.function_arn, error),
        )
        if Result.of(error) in (Result.FUNCTION_ERROR, Result.INVALID_EVENT):
            it.result = FAILED
            version = it.mapping.qualifier or LATEST
            came = Ran(0, "Unhandled", executed_version=version)
            return shard_batches.ran(pieces, came, it.rules(failed=True))
        return shard_batches.not_run(pieces)

    async def follow(self, step: Step) -> None:
        """Have what was given up be delivered, and write down how far the shard is done."""
        gone = [record.key for record in step.done]
        dropped, it = step.dropped, self._it
        if dropped is not None:
            it.numbers.events["dropped"] += len(dropped.piece.records)
            gone += [record.key for record in dropped.piece.records]
            mapping, shard = it.mapping, self._shard
            if mapping.on_failure is not None:
                await insist(it, self._idling, shard, lambda: it.give_up(dropped, mapping, shard))
        if gone:
            self._progress.gone(gone)
            await self._pass()

    async def _pass(self) -> None:
        """Write down how far all lanes are, unless somebody has."""
        async with self._writing:  # what is further on is written later
            key = self._progress.key
            if key != self._written:
                await self._passed(key)
                self._written = key
