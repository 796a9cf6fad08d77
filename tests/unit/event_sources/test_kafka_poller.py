"""Partitions that come, go and are read in order, and what comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import CommitFailedError, KafkaError
from tests.unit.event_sources.kafka_house import KafkaHouse, at

from samovar.event_sources.kafka_poller import KafkaPoller
from samovar.event_sources.shard_batches import Condition
from samovar.model.event_source import StartingPosition

Scene = Callable[[KafkaPoller], Awaitable[None]]


def play(it: KafkaHouse, scene: Scene) -> None:
    async def played() -> None:
        poller = it.reader()
        await poller.start()
        try:
            await scene(poller)
        finally:
            await poller.stop()
        assert not it.cluster.open
        assert it.places == 0
        assert it.clock.pending == 0

    asyncio.run(played())


def test_offsets_are_committed_after_a_batch_and_not_before() -> None:
    it = KafkaHouse(batch_size=2)
    it.cluster.put(0, *"abc")

    async def scene(poller: KafkaPoller) -> None:
        runs: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: runs
        await it.assign(0)
        await it.until(lambda: it.batches == [["a", "b"]])
        assert it.cluster.offsets == {at(0): 0}
        runs.set_result(None)
        await it.until(lambda: it.batches == [["a", "b"], ["c"]])
        await it.until(lambda: it.cluster.offsets == {at(0): 3})
        assert it.numbers.events["committed"] == 3
        assert it.numbers.lags == {"t-0": 0}

    play(it, scene)


def test_an_idle_partition_has_no_place_and_a_waiting_one_holds_one_record() -> None:
    it = KafkaHouse(2)

    async def scene(poller: KafkaPoller) -> None:
        it.most = 0
        await it.assign(0, 1)
        it.cluster.put(0, *"abc")
        await it.stands()
        assert (it.places, it.batches) == (0, [])
        assert it.cluster.positions == {at(0): 1, at(1): 0}
        it.most = 1
        it._freed.set()
        await it.until(lambda: it.batches == [["a", "b", "c"]])
        await it.until(lambda: it.places == 0)

    play(it, scene)


def test_who_waits_for_more_of_a_batch_has_no_place_meanwhile() -> None:
    it = KafkaHouse(2, batch_size=3, window=300)
    it.cluster.put(0, "a")
    it.most = 1

    async def scene(poller: KafkaPoller) -> None:
        await it.assign(0, 1)
        it.cluster.put(1, *"bcd")
        await it.until(lambda: it.batches == [["b", "c", "d"]], step=0.0)
        it.cluster.put(0, "e")
        await it.until(lambda: it.batches[1:] == [["a", "e"]], step=10.0)

    play(it, scene)


@pytest.mark.parametrize(
    ("position", "begin"),
    [
        (StartingPosition.TRIM_HORIZON, {at(0): 0, at(1): 0}),
        (StartingPosition.LATEST, {at(0): 2, at(1): 0}),
        (StartingPosition.AT_TIMESTAMP, {at(0): 1, at(1): 0}),
    ],
)
def test_where_partitions_begin_is_committed_at_once(
    position: StartingPosition, begin: dict[object, int]
) -> None:
    it = KafkaHouse(2, starting_position=position, starting_at=17.5)
    it.cluster.put(0, "a", "b")
    it.cluster.times = {at(0): 1}  # of partition 1 nothing is that new

    async def scene(poller: KafkaPoller) -> None:
        it.most = 0
        await it.assign(0, 1)
        assert it.cluster.commits == [begin]

    play(it, scene)


@pytest.mark.parametrize("ours", [(1,), (0, 1)], ids=["somebody's", "ours"])
def test_a_partition_that_comes_later_is_read_from_its_start(ours: tuple[int, ...]) -> None:
    it = KafkaHouse(2, starting_position=StartingPosition.LATEST)
    it.cluster.offsets = {at(0): 0}
    it.cluster.put(1, "a")

    async def scene(poller: KafkaPoller) -> None:
        await it.assign(*ours)
        await it.until(lambda: it.texts == ["a"])

    play(it, scene)


def test_a_partition_that_comes_back_is_read_on_behind_what_still_runs() -> None:
    """Whoever rebalances waits a while, and not for ever; the order is kept all the same."""
    it = KafkaHouse(batch_size=1)
    it.cluster.put(0, *"ab")

    async def scene(poller: KafkaPoller) -> None:
        runs: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: runs if texts == ["a"] else None
        await it.assign(0)
        await it.until(lambda: it.batches == [["a"]])
        await poller._let_go([])  # nothing is anybody else's
        revoking = asyncio.ensure_future(poller.revoked({at(0)}))
        await it.stands()
        assert not revoking.done()
        revoking.cancel()
        await it.assign(0)
        await it.stands()
        assert it.batches == [["a"]]
        runs.set_result(None)
        await it.until(lambda: it.batches == [["a"], ["b"]])
        await it.until(lambda: it.cluster.offsets == {at(0): 2})

    play(it, scene)


def test_what_is_read_by_somebody_else_is_left() -> None:
    it = KafkaHouse(batch_size=1)
    it.cluster.put(0, *"ab")

    async def scene(poller: KafkaPoller) -> None:
        await it.assign()
        it.cluster.offsets = {at(0): 0}
        it.cluster.commit_errors = [CommitFailedError("rebalanced")]
        await it.assign(0)
        await it.until(lambda: it.batches and not poller.pollers)
        assert it.batches == [["a"]]
        assert (it.cluster.connections, it.cluster.offsets) == (1, {at(0): 0})
        assert it.numbers.lags == {}

    play(it, scene)


def test_nothing_is_read_on_until_an_offset_is_committed() -> None:
    it = KafkaHouse(batch_size=1)
    it.cluster.put(0, *"ab")
    it.cluster.offsets = {at(0): 0}

    async def scene(poller: KafkaPoller) -> None:
        it.cluster.commit_errors = [KafkaError("no"), KafkaError("no")]
        await it.assign(0)
        await it.stands()
        assert it.batches == [["a"]]
        await it.until(lambda: it.cluster.offsets == {at(0): 2})
        assert it.batches == [["a"], ["b"]]
        assert it.numbers.errors == {"KafkaError": 2}

    play(it, scene)


def test_whoever_can_not_be_reached_is_tried_again_and_it_is_said_why() -> None:
    it = KafkaHouse()
    it.cluster.put(0, "a")
    it.cluster.refusals = [KafkaError("down"), KafkaError("still down")]

    async def scene(poller: KafkaPoller) -> None:
        await it.until(lambda: poller.result == "PROBLEM: KafkaError: still down")
        assert it.cluster.connections == 0
        await it.assign(0)
        await it.until(lambda: it.texts == ["a"])
        await it.until(lambda: poller.result == "OK")
        assert it.numbers.errors == {"KafkaError": 2}

    play(it, scene)


def test_a_read_that_fails_is_a_new_connection() -> None:
    it = KafkaHouse()
    it.cluster.read_errors = [KafkaError("gone")]

    async def scene(poller: KafkaPoller) -> None:
        await it.assign(0)
        await it.until(lambda: it.cluster.connections == 2)
        it.cluster.put(0, "a")
        await it.assign(0)
        await it.until(lambda: it.texts == ["a"])
        # It was well in between, so that the next try is soon.
        it.cluster.read_errors = [KafkaError("gone")]
        it.cluster.put(0, "b")
        await it.stands()
        it.clock.advance(1.0)
        await it.stands()
        assert it.cluster.connections == 3

    play(it, scene)


def test_other_ways_of_authentication_are_a_new_connection() -> None:
    it = KafkaHouse()

    async def scene(poller: KafkaPoller) -> None:
        await it.assign(0)
        it.exchange(poller, batch_size=7)
        await it.stands()
        assert it.cluster.connections == 1
        it.exchange(poller, access=(("BASIC_AUTH", "arn"),))
        await it.until(lambda: it.cluster.connections == 2)

    play(it, scene)


def test_no_more_batches_run_at_once_than_there_are_pollers() -> None:
    it = KafkaHouse(3, least_pollers=1, most_pollers=2)
    for one in range(3):
        it.cluster.put(one, str(one))

    async def scene(poller: KafkaPoller) -> None:
        runs: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: runs
        await it.assign(0, 1, 2)
        await it.until(lambda: len(it.batches) == 2)
        it.clock.advance(60.0)
        await it.stands()
        assert len(it.batches) == 2
        runs.set_result(None)
        await it.until(lambda: len(it.batches) == 3)

    play(it, scene)


def test_what_has_no_end_ends_after_ten_retries_where_somebody_is_told() -> None:
    it = KafkaHouse(on_failure="arn:aws:sqs:us-east-1:123456789012:q")
    it.cluster.put(0, "a")
    it.answer = lambda texts: True

    async def scene(poller: KafkaPoller) -> None:
        await it.assign(0)
        await it.until(lambda: it.gone, step=10.0)
        ((dropped, place),) = it.gone
        assert (place, dropped.condition, dropped.piece.runs) == ("t-0", Condition.RETRIES, 11)
        await it.until(lambda: it.cluster.offsets == {at(0): 1})

    play(it, scene)


def test_a_stop_waits_for_what_runs() -> None:
    it = KafkaHouse(batch_size=1)
    it.cluster.put(0, *"ab")

    async def scene(poller: KafkaPoller) -> None:
        runs: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        it.answer = lambda texts: runs
        await it.assign(0)
        await it.until(lambda: it.batches == [["a"]])
        stopping = asyncio.ensure_future(poller.stop())
        await it.stands()
        assert not stopping.done()
        runs.set_result(None)
        await stopping
        assert (it.batches, it.cluster.offsets) == ([["a"]], {at(0): 1})

    play(it, scene)
