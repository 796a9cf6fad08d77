"""Places for batches, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.unit.scheduler.driver_house import ARN, House, settle

from samovar.event_sources.admission import Admission, Place, within
from samovar.testing import ManualClock

Scene = Callable[[House, Admission], Awaitable[None]]


def play(scene: Scene, reserved: int | None = None, **policy: int) -> None:
    async def run() -> None:
        house = House(**policy)
        if reserved is not None:
            house.scheduler.reserve(ARN + "f", reserved)
        admission = Admission(house.scheduler, house.clock)
        await scene(house, admission)
        admission.close()
        await house.stop()
        assert house.clock.pending == 0

    asyncio.run(run())


def ask(admission: Admission, name: str = "f") -> asyncio.Future[Place]:
    return asyncio.ensure_future(admission.place(lambda: ARN + name))


async def give_up(*waiting: asyncio.Future[Place]) -> None:
    for one in waiting:
        one.cancel()
    await settle()


def test_places_that_are_kept_are_nobody_elses() -> None:
    async def scene(house: House, admission: Admission) -> None:
        waiting = [ask(admission) for _ in range(3)]
        await settle()
        assert [place.done() for place in waiting] == [True, True, False], "one is left for calls"
        for _ in range(2):
            waiting[0].result().use()  # once more makes no difference
        await settle()
        assert waiting[2].done()
        waiting.append(ask(admission))
        await settle()
        assert not waiting[3].done()
        house.scheduler.reserve(ARN + "f", None)
        await settle()
        assert waiting[3].done()

    play(scene, reserved=3)


def test_contexts_that_were_promised_are_not_promised_again() -> None:
    async def scene(_house: House, admission: Admission) -> None:
        waiting = [ask(admission) for _ in range(3)]
        await settle()
        assert [place.done() for place in waiting] == [True, True, False]
        await give_up(waiting[2])

    play(scene, max_contexts=2)


def test_whoever_waits_for_a_rate_has_its_turn_when_it_is_renewed() -> None:
    async def scene(house: House, admission: Admission) -> None:
        house.scheduler._state.ledger.share(ARN + "f").set_rate(1)
        await house.served()
        waiting = ask(admission)
        await settle()
        assert not waiting.done()
        house.clock.advance(1.0)
        await settle()
        assert waiting.done()

    play(scene)


def test_requests_that_were_promised_are_not_promised_again() -> None:
    async def scene(house: House, admission: Admission) -> None:
        house.scheduler._state.ledger.share(ARN + "f").set_rate(1)
        first, second = ask(admission), ask(admission)
        await settle()
        assert (first.done(), second.done()) == (True, False)
        assert house.clock.pending == 0, "nobody looks again in vain"
        await house.served()
        first.result().use()
        await settle()
        assert not second.done()
        house.clock.advance(1.0)
        await settle()
        assert second.done()

    play(scene)


def test_a_place_goes_to_whoever_waits_for_longest() -> None:
    async def scene(_house: House, admission: Admission) -> None:
        had: Counter[int] = Counter()

        async def reader(number: int) -> None:
            while True:
                place = await admission.place(lambda: ARN + "f")
                had[number] += 1
                await asyncio.sleep(0)
                place.use()  # and it asks again at once

        readers = [asyncio.ensure_future(reader(number)) for number in range(40)]
        while had.total() < 40 * 5:  # noqa: ASYNC110 - the readers tell nobody
            await asyncio.sleep(0)
        assert len(had) == 40
        assert max(had.values()) - min(had.values()) <= 1
        for one in readers:
            one.cancel()
        await asyncio.wait(readers)

    play(scene, reserved=6)


def test_a_turn_is_handed_over_and_not_raced_for() -> None:
    async def scene(_house: House, admission: Admission) -> None:
        first = await admission.place(lambda: ARN + "f")
        waiting = [ask(admission), ask(admission)]
        await settle()
        first.use()
        late = ask(admission)  # before the one that waited has run
        await settle()
        assert [one.done() for one in (*waiting, late)] == [True, False, False]
        waiting[0].result().use()
        await settle()
        assert [one.done() for one in (*waiting, late)] == [True, True, False]
        await give_up(late)

    play(scene, reserved=1)


def test_who_gives_up_passes_its_turn_on() -> None:
    async def scene(_house: House, admission: Admission) -> None:
        first = await admission.place(lambda: ARN + "f")
        waiting = [ask(admission) for _ in range(4)]
        await settle()
        await give_up(waiting[0])
        waiting[1].cancel()  # it is first, and has not left when the place comes
        first.use()
        waiting[2].cancel()  # it has the place, and has not seen it
        await settle()
        assert waiting[2].cancelled() and waiting[3].done()
        assert not admission.is_wanted(ARN + "f")

    play(scene, reserved=1)


def test_a_line_is_asked_anew_when_a_mapping_names_another_function() -> None:
    async def scene(_house: House, admission: Admission) -> None:
        named = "f"
        moving = asyncio.ensure_future(admission.place(lambda: ARN + named))
        staying = ask(admission)
        await settle()
        assert not moving.done()
        named = "g"
        admission.look_again()
        await settle()
        assert moving.done()
        assert not staying.done() and admission.is_wanted(ARN + "f")
        moving.result().use()
        await give_up(staying)
        assert not admission.is_wanted(ARN + "f")

    play(scene, reserved=0)


def test_a_place_of_the_function_before_is_let_go_of() -> None:
    async def scene(_house: House, admission: Admission) -> None:
        first = await admission.place(lambda: ARN + "f")
        named = "f"
        moving = asyncio.ensure_future(admission.place(lambda: ARN + named))
        behind = ask(admission)
        await settle()
        first.use()  # it is given the place,
        named = "g"  # and names another one before it has run
        await settle()
        assert moving.result()._function == ARN + "g"
        assert behind.done()

    play(scene, reserved=1)


def test_a_turn_that_nobody_waits_for_any_more_is_another_functions() -> None:
    async def scene(house: House, admission: Admission) -> None:
        call = house.submit("wait", "c")
        await house.begun(call)
        gone, waiting = ask(admission, "a"), ask(admission, "b")
        await settle()
        await give_up(gone)
        assert [*house.scheduler.headroom.awaited.values()] == [{ARN + "b": None}]
        house.release(call)
        await settle()
        assert waiting.done()

    play(scene, max_contexts=1)


def test_a_place_that_was_not_needed_is_another_functions() -> None:
    async def scene(house: House, admission: Admission) -> None:
        call = house.submit("wait", "c")
        await house.begun(call)
        first, second = ask(admission, "a"), ask(admission, "b")
        await settle()
        house.release(call)
        await settle()
        assert (first.done(), second.done()) == (True, False)
        first.result().use()
        again = ask(admission, "a")
        await settle()
        assert second.done()
        await give_up(again)

    play(scene, max_contexts=1)


def test_a_turn_that_a_rate_forbids_is_another_functions() -> None:
    async def scene(house: House, admission: Admission) -> None:
        house.scheduler._state.ledger.share(ARN + "a").set_rate(1)
        await house.served("a")
        call = house.submit("wait", "c")
        await house.begun(call)
        first, second = ask(admission, "a"), ask(admission, "b")
        await settle()
        house.release(call)
        await settle()
        assert (first.done(), second.done()) == (False, True)
        second.result().use()
        house.clock.advance(1.0)
        await settle()
        assert first.done()

    play(scene, max_contexts=1)


def test_a_turn_goes_round_no_more_than_there_is_room() -> None:
    async def scene(house: House, admission: Admission) -> None:
        headroom = house.scheduler.headroom
        admission.close()
        told: list[str] = []

        def events(function: str) -> None:
            """Events of this function wait, too, and none of them can be run."""
            told.append(function)
            headroom.wait(function)

        headroom.listen(events)
        Admission(house.scheduler, house.clock)  # after those who hand events to functions
        call = house.submit("wait")
        await house.begun(call)
        headroom.wait(ARN + "f")
        headroom.changed()
        await settle()
        assert told == [ARN + "f"], "for contexts there are, and no place"
        headroom.forget(events)
        house.release(call)
        await settle()

    play(scene, reserved=1)


def test_as_many_are_woken_as_there_is_room_for() -> None:
    async def scene(house: House, admission: Admission) -> None:
        waiting = [ask(admission) for _ in range(50)]
        await settle()
        asked = 0
        of = house.scheduler.headroom.of

        def counting(function: str, now: float):  # type: ignore[no-untyped-def]
            nonlocal asked
            asked += 1
            return of(function, now)

        house.scheduler.headroom.of = counting  # type: ignore[method-assign]
        house.scheduler.reserve(ARN + "f", 3)
        await settle()
        assert sum(one.done() for one in waiting) == 2
        waiting[0].result().use()
        await settle()
        assert sum(one.done() for one in waiting) == 3
        assert asked < 12, "nobody looks in vain"
        await give_up(*waiting)

    play(scene, reserved=0)


def test_a_place_that_comes_to_whoever_was_just_cancelled_is_let_go_of() -> None:
    used: list[str] = []

    async def scene() -> None:
        clock = ManualClock()
        coming: asyncio.Future[Place] = asyncio.get_running_loop().create_future()

        async def place() -> Place:
            return await coming

        asking = asyncio.get_running_loop().create_task(place())
        waiting = asyncio.get_running_loop().create_task(within(clock, 5.0, asking))
        await settle()
        coming.set_result(Place(used.append, "f"))
        await asyncio.sleep(0)
        assert asking.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert (used, clock.pending) == (["f"], 0)

    asyncio.run(scene())
