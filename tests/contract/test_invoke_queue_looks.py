"""What an InvokeQueue shows to people who look into it; see `test_invoke_queue`."""

from __future__ import annotations

import pytest
from tests.contract.queue_house import (
    CLAIMED,
    DEAD,
    DELIVERY,
    EVENT,
    LANE,
    LATER,
    NOW,
    WAITING,
    claim,
    item,
    names,
    run,
)

from samovar.stores.invoke_queue import (
    InvokeQueue,
    ItemState,
)


def test_looking_goes_in_the_order_of_coming(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        for number in range(6):
            lane = "odd" if number % 2 else LANE
            body = b"%d" % number * 2000
            await queue.put(item(str(number), due=NOW - number, lane=lane, body=body))
        found = await queue.look(WAITING, limit=2)
        assert names(found) == ["0", "1"]
        assert found[1].item.body == b"1" * 1024
        zero, one = (look.number for look in found)
        assert 0 < zero < one
        assert names(await queue.look(WAITING, after=one, limit=3)) == ["2", "3", "4"]
        assert names(await queue.look(WAITING, after=one, lane=LANE)) == ["2", "4"]
        (*_, five) = await queue.look(WAITING)
        assert await queue.look(WAITING, after=five.number) == []
        (four, two), _ = await claim(queue, 2)
        assert names(await queue.look(CLAIMED)) == ["2", "4"]
        at_two = (await queue.look(CLAIMED, limit=1))[0].number
        assert names(await queue.look(CLAIMED, after=at_two)) == ["4"]
        assert names(await queue.look(CLAIMED, lane="odd")) == []
        assert names(await queue.look(WAITING, after=at_two, lane="odd")) == ["3", "5"]
        await queue.complete(four, dead=b"")
        await queue.complete(two, dead=b"")
        assert names(await queue.look(DEAD)) == ["2", "4"]
        assert names(await queue.look(DEAD, after=at_two, lane=LANE)) == ["4"]
        assert names(await queue.look(DEAD, lane="odd")) == []

    run(queue, check)


@pytest.mark.parametrize("page", [2, 100], ids=["more than a page", "few"])
def test_looking_for_a_kind(queue: InvokeQueue, page: int) -> None:
    async def check(queue: InvokeQueue) -> None:
        for number in range(12):
            kind = DELIVERY if number % 3 == 0 else EVENT
            lane = "even" if number % 2 == 0 else "odd"
            # What comes later is due earlier: it is the order of coming that counts.
            await queue.put(item(str(number), kind=kind, lane=lane, due=NOW - number))
        for where in (WAITING, CLAIMED, DEAD):
            found = await queue.look(where, kind=DELIVERY, limit=page)
            assert names(found) == ["0", "3", "6", "9"][:page]
            found = await queue.look(where, kind=DELIVERY, lane="odd", limit=page)
            assert names(found) == ["3", "9"]
            behind = await queue.look(where, lane="odd", limit=page, after=found[0].number)
            assert names(behind) == ["5", "7", "9", "11"][:page]
            if where is WAITING:
                for kind, lane in ((EVENT, "even"), (EVENT, "odd"), (DELIVERY, "even")):
                    await claim(queue, kind=kind, lane=lane)
                await claim(queue, kind=DELIVERY, lane="odd")
            elif where is CLAIMED:
                for one in await queue.look(CLAIMED):
                    assert await queue.complete(one.item, dead=b"why")

    run(queue, check)


def test_an_item_keeps_its_number_whatever_becomes_of_it(queue: InvokeQueue) -> None:
    async def check(queue: InvokeQueue) -> None:
        numbers = []

        async def look(state: ItemState) -> None:
            (found,) = await queue.look(state)
            again = await queue.find("a")
            assert again is not None
            assert (again.state, again.number) == (state, found.number)
            numbers.append(found.number)

        await queue.put(item("a"))
        await look(WAITING)
        ((a,), _) = await claim(queue)
        await look(CLAIMED)
        await queue.retry_at(a, NOW, b"again")
        await look(WAITING)
        ((a,), _) = await claim(queue)
        await queue.complete(a, dead=b"why")
        await look(DEAD)
        await queue.revive("a", now=NOW, expires=LATER, head=b"")
        await look(WAITING)
        assert len(set(numbers)) == 1

    run(queue, check)


def test_pages_go_on_behind_an_item_that_is_gone(queue: InvokeQueue) -> None:
    """Each page's last ends before the next one is asked for."""

    async def check(queue: InvokeQueue) -> None:
        for number in range(9):
            await queue.put(item(str(number), due=NOW if number % 3 == 2 else LATER))
        shown: list[str] = []
        after = 0
        while page := await queue.look(WAITING, after=after, limit=3):
            shown += names(page)
            after = page[-1].number
            ((last,), _) = await claim(queue, 1)
            assert last.id == shown[-1]
            assert await queue.complete(last)
        assert shown == [str(number) for number in range(9)]

    run(queue, check)
