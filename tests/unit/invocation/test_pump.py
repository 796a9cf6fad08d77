"""What a pump promises: turns, places, time, claims, a queue that fails, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from tests.unit.invocation.pump_house import KIND, House, closed

from samovar.invocation.pump import BATCH, CLAIM, MAX_HELD, PAUSE
from samovar.stores.invoke_queue import Item, ItemState


def run(scenario: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(scenario())


def test_no_more_is_claimed_than_there_are_places_for() -> None:
    async def scenario() -> None:
        house = House(of_lane=2)
        await house.put(50)
        await house.turns()
        assert house.crew.begun == ["a0", "a1"]
        assert house.waiting == 48
        await house.crew.end()
        await house.turns()
        assert house.crew.begun == ["a0", "a1", "a2"]
        await closed(house)

    run(scenario)


def test_without_a_place_the_queue_is_not_asked() -> None:
    async def scenario() -> None:
        house = House(of_lane=1)
        await house.put(3)
        await house.turns()
        asked = len(house.queue.claims)
        await house.put(3, "a")
        house.clock.advance(3000)
        await house.turns()
        assert len(house.queue.claims) == asked
        await closed(house)

    run(scenario)


def test_one_claim_takes_a_batch_at_most() -> None:
    async def scenario() -> None:
        house = House(of_lane=10_000, in_all=10_000)
        await house.put(200)
        await house.turns(400)
        assert max(limit for _, limit in house.queue.claims) == BATCH
        assert len(house.crew.begun) == 200
        await closed(house)

    run(scenario)


def test_what_is_in_hand_is_bounded_also_while_nothing_can_be_settled() -> None:
    async def scenario() -> None:
        house = House(of_lane=10_000, in_all=10_000)
        await house.put(MAX_HELD + 300)
        await house.turns(2000)
        assert len(house.crew.begun) == MAX_HELD
        for _ in range(MAX_HELD):
            house.crew.end()
        await house.turns(2000)
        assert len(house.crew.begun) == MAX_HELD + 300
        await closed(house)

    run(scenario)


def test_lanes_have_their_turns_one_after_the_other() -> None:
    async def scenario() -> None:
        house = House(of_lane=1, in_all=1)
        for lane in ("long", "b", "c"):
            await house.put(20 if lane == "long" else 2, lane)
        for _ in range(24):
            await house.turns()
            house.crew.end()
        await house.turns()
        began = [name.rstrip("0123456789") for name in house.crew.begun]
        assert began[:6] == ["long", "b", "c", "long", "b", "c"]
        assert began.count("long") == 20
        assert house.kept == 0
        await closed(house)

    run(scenario)


def test_what_is_due_later_waits_with_one_timer() -> None:
    async def scenario() -> None:
        house = House(of_lane=10)
        for number, after in enumerate((60.0, 120.0, 30.0)):
            await house.put(1, f"lane{number}:", after)
        await house.turns()
        assert (house.crew.begun, house.queue.claims) == ([], [])
        assert house.clock.pending == 1
        house.clock.advance(29.9)
        await house.turns()
        assert house.crew.begun == []
        house.clock.advance(0.1)
        await house.turns()
        assert house.crew.begun == ["lane2:0"]
        house.clock.advance(90.0)
        await house.turns()
        assert house.crew.begun == ["lane2:0", "lane0:0", "lane1:0"]
        await closed(house)

    run(scenario)


def test_an_earlier_arrival_moves_a_lanes_turn() -> None:
    async def scenario() -> None:
        house = House()
        await house.put(1, after=100.0)
        late = house.item(7, after=5.0)
        await house.queue.put(late)
        house.pump.arrived("a", late.due)
        house.clock.advance(5.0)
        await house.turns()
        assert house.crew.begun == ["a7"]
        house.clock.advance(95.0)
        await house.turns()
        assert house.crew.begun == ["a7", "a0"]
        await closed(house)

    run(scenario)


def test_what_arrives_while_its_lane_is_claimed_has_its_turn() -> None:
    async def scenario() -> None:
        house = House(of_lane=10)
        await house.put(1)
        await asyncio.sleep(0)  # the claim is asked for
        await asyncio.sleep(0)
        item = house.item(9)
        await house.queue.put(item)
        house.pump.arrived("a", item.due)
        await house.turns()
        assert sorted(house.crew.begun) == ["a0", "a9"]
        await closed(house)

    run(scenario)


def test_a_retry_comes_back_at_its_time_with_its_head_and_the_next_attempt() -> None:
    async def scenario() -> None:
        house = House()
        await house.put(1)
        await house.turns()
        item = house.crew.at_work.popleft()
        house.crew.give_back("a", 1)
        assert await house.pump.retry_at(item, house.clock.wall() + 60, b"again")
        await house.turns()
        house.clock.advance(60)
        await house.turns()
        again = house.crew.at_work[0]
        assert (again.id, again.attempt, again.head) == (item.id, 2, b"again")
        await closed(house)

    run(scenario)


def test_the_short_way_asks_for_no_claim() -> None:
    async def scenario() -> None:
        house = House(of_lane=1)
        assert house.pump.take("a")
        item = house.item(1)
        await house.queue.put(item, house.pump.claim_until)
        house.pump.begin(item)
        assert house.crew.begun == ["a1"]
        assert not house.pump.take("a"), "there is no second place"
        assert await house.crew.end()
        assert (house.kept, house.queue.claims) == (0, [])
        await closed(house)

    run(scenario)


def test_the_short_way_passes_nobody_whose_turn_it_is_but_those_who_wait_for_a_time() -> None:
    async def scenario() -> None:
        house = House(of_lane=2)
        await house.put(1, after=60.0)
        assert house.pump.take("a")
        house.pump.give_back("a")
        await house.put(3)
        assert not house.pump.take("a"), "some are ready"
        await house.turns()
        house.crew.give_back("a", 1)
        assert not house.pump.take("a"), "one stands blocked"
        await closed(house)

    run(scenario)


def test_claims_of_what_runs_long_are_renewed_by_one_timer() -> None:
    async def scenario() -> None:
        house = House(of_lane=5)
        await house.put(5)
        await house.turns()
        assert house.clock.pending == 1
        for _ in range(10):
            house.clock.advance(CLAIM / 2)
            await house.turns()
        assert len(house.queue.extended) == 50
        assert house.clock.pending == 1
        for item in list(house.crew.at_work):
            assert await house.crew.end(item), "the claim was held all the time"
        house.clock.advance(CLAIM)
        assert house.clock.pending == 0, "nothing in hand, no timer"
        await closed(house)

    run(scenario)


def test_a_queue_that_fails_is_asked_again_after_a_pause() -> None:
    async def scenario() -> None:
        house = House(of_lane=5)
        house.queue.broken = True
        await house.put(3)
        await house.turns()
        assert len(house.queue.claims) == 1
        assert not house.pump.take("b"), "nor is anything put claimed then"
        house.clock.advance(PAUSE)
        await house.turns()
        assert (house.crew.begun, len(house.queue.claims)) == ([], 2)
        house.queue.broken = False
        house.clock.advance(PAUSE)
        await house.turns()
        assert house.crew.begun == ["a0", "a1", "a2"]
        await closed(house)

    run(scenario)


def test_an_ending_that_the_disk_refuses_is_tried_until_it_is_taken() -> None:
    async def scenario() -> None:
        house = House()
        await house.put(1)
        await house.turns()
        house.queue.broken = True
        ending = house.crew.end()
        for _ in range(5):
            await house.turns()
            assert not ending.done()
            house.clock.advance(PAUSE)
        house.queue.broken = False
        house.clock.advance(PAUSE)
        assert await ending
        assert house.kept == 0
        await closed(house)

    run(scenario)


def test_a_stop_lets_what_runs_finish_and_has_the_rest_wait() -> None:
    async def scenario() -> None:
        house = House(of_lane=2)
        await house.put(5)
        await house.turns()
        stopping = asyncio.ensure_future(house.pump.stop(30.0))
        await house.turns()
        house.crew.end()
        await house.turns()
        assert house.crew.begun == ["a0", "a1"], "no new ones"
        assert not stopping.done()
        house.clock.advance(30.0)
        await stopping
        assert house.waiting == house.kept == 4
        found = await house.queue.find("a1")
        assert found is not None and found.item.attempt == 1, "the attempt stays consumed"
        assert house.clock.pending == 0

    run(scenario)


def test_a_stop_between_claim_and_begin_gives_all_back() -> None:
    async def scenario() -> None:
        house = House(of_lane=50)
        await house.put(20)
        await house.turns(3)
        assert house.queue.depths()[KIND, ItemState.CLAIMED] == 20
        assert len(house.crew.begun) < 20
        await closed(house)
        assert house.waiting == 20
        assert not house.pump.take("a")

    run(scenario)


def test_a_stop_does_not_wait_for_a_disk_that_stays_full() -> None:
    async def scenario() -> None:
        house = House()
        await house.put(2)
        await house.turns()
        house.queue.broken = True
        house.crew.end()
        await house.turns()
        await closed(house)
        house.queue.broken = False
        await house.queue.open()  # as the next engine does
        assert house.waiting == 2

    run(scenario)


def test_a_late_settlement_changes_nothing() -> None:
    async def scenario() -> None:
        house = House()
        await house.put(1)
        await house.turns()
        item = house.crew.at_work[0]
        house.queue._kept[item.id].item.attempt = 7  # another took it over
        assert not await house.crew.end(item)
        assert house.kept == 1
        await house.turns()
        assert len(house.queue.claims) == 2, "its lane is asked for again"
        await closed(house)

    run(scenario)


def test_a_consumer_that_fails_with_one_gets_the_others_all_the_same() -> None:
    async def scenario() -> None:
        house = House(of_lane=10)
        begin = house.crew.begin

        def broken(item: Item) -> None:
            if item.id == "a0":
                raise RuntimeError("a bug")
            begin(item)

        house.crew.begin = broken  # type: ignore[method-assign]
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
        await house.put(5)
        await house.turns()
        assert house.crew.begun == ["a1", "a2", "a3", "a4"]
        await house.put(1, lane="b")
        await house.turns()
        assert "b0" in house.crew.begun
        assert told
        await closed(house)

    run(scenario)
