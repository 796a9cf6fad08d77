"""What becomes of a queue's batch: it is run, and deleted as far as it is done; or given back."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from samovar.clock import pause
from samovar.errors import AWS, ClientError, EngineError
from samovar.event_sources.admission import Place
from samovar.event_sources.batching import RECORDS, Encoded, failed_keys, portions
from samovar.event_sources.sqs_fetching import Batch, QueueReading

_log = logging.getLogger(__name__)

_PAUSE = 1.0  # seconds before a deletion is tried again, and after a batch that was not taken
_TRIES = 3  # of a deletion: after that the messages reappear, and are run again


async def process(it: QueueReading, batch: Batch, place: Place) -> None:
    """Invoke with what passed the filters, and delete what is done."""
    if batch.filtered:
        it.numbers.events["filtered"] += len(batch.filtered)
        await _delete(it, batch, batch.filtered)
    it.numbers.events["failed"] += len(batch.stopped)
    begun = 0
    # A batch that was being fetched while the mapping was changed may be more than is wanted now.
    for portion in portions(batch.records, most=it.mapping.batch_size):
        # Those that follow the first, which are rare, begin only if they can be through before they
        # reappear.
        if begun and (it.giving_back or it.clock.monotonic() > batch.start_by):
            rest = [batch.receipts[record.key] for record in batch.records[begun:]]
            await _give_back(it, batch, rest)
            return
        begun += len(portion)
        done = await _run(it, batch, portion, place)
        await _delete(it, batch, [batch.receipts[key] for key in done])
        if len(done) < len(portion) and it.source.is_fifo:
            return  # what follows in the order comes after what failed


async def give_back(it: QueueReading, batch: Batch) -> None:
    """Have the messages reappear at once."""
    await _give_back(it, batch, [*batch.receipts.values(), *batch.filtered, *batch.stopped])


async def _run(
    it: QueueReading, batch: Batch, portion: Sequence[Encoded], place: Place
) -> list[str]:
    """Invoke with records; the keys of those that are done. The first portion of a batch has a
    place, and the others the one before them's."""
    mapping, count, events = it.mapping, len(portion), it.numbers.events
    keys = [record.key for record in portion]
    try:
        try:
            invoked = it.invoke(mapping, RECORDS.event(portion), batch.trace)
        finally:
            place.use()
        outcome = await invoked
    except (ClientError, EngineError) as error:
        events["failed"] += count
        await _refused(it, error)
        return []
    events["invoked"] += count
    failed: frozenset[str] = frozenset()
    if outcome.function_error is not None:
        failed = frozenset(keys)
    elif mapping.report_failures:
        failed = failed_keys(outcome.payload, keys)
    events["failed"] += len(failed)
    return [key for key in keys if key not in failed]


async def _refused(it: QueueReading, error: ClientError | EngineError) -> None:
    """The function did not take the batch, which reappears: this poller waits a while."""
    throttled = isinstance(error, ClientError) and error.error is AWS.TOO_MANY_REQUESTS
    _log.log(
        logging.DEBUG if throttled else logging.WARNING,
        "a batch of %s was not run by %s: %s",
        *(it.source.arn, it.mapping.function_arn, error),
    )
    await it.nap(_PAUSE)


async def _give_back(it: QueueReading, batch: Batch, receipts: Sequence[str]) -> None:
    """Where that fails, or the role may not ask for it (AWS's own policy for pollers doesn't say
    so), they reappear in time."""
    try:
        left = await batch.queue.give_back(receipts)
    except Exception as error:
        _log.debug("%s: messages reappear later: %s", it.source.arn, error)
        return
    if left:
        _log.debug("%s: %d messages reappear later", it.source.arn, len(left))


async def _delete(it: QueueReading, batch: Batch, receipts: Sequence[str]) -> None:
    left = list(receipts)
    for attempt in range(_TRIES):
        if not left:
            return
        if attempt:
            await pause(it.clock, _PAUSE * 2 ** (attempt - 1))
        count = len(left)
        try:
            left = await batch.queue.delete(left)
            it.numbers.events["deleted"] += count - len(left)
        except Exception as error:
            _log.debug("%s: messages are not deleted yet: %s", it.source.arn, error)
    if left:
        _log.warning(
            "%d messages of %s that were done could not be deleted: they will be run again",
            *(len(left), it.source.arn),
        )
