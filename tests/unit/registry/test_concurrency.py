"""Reserved concurrency: never more than the account has, kept, told, and gone with the function."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, refused, run

from samovar.errors import AWS, ClientError, EngineError
from samovar.model.concurrency import QUOTA
from samovar.registry.attached import Kind


async def both_want_half(home: House) -> list[str]:
    outcomes = await asyncio.gather(
        *(home.registry.concurrency.put(name, None, 500) for name in "fg"), return_exceptions=True
    )
    return [error.message for error in outcomes if isinstance(error, ClientError)]


def test_of_two_that_want_the_last_of_it_one_gets_it(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active("f")
        await home.active("g")
        home.store.hold()
        both = asyncio.create_task(both_want_half(home))
        await home.store.reached.wait()  # one is being written, the other has been asked for
        home.store.let_go()
        assert await both == [
            "Specified ReservedConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [100]."
        ]
        assert home.registry.concurrency.unreserved() == 500

    run(tmp_path, check)


def test_what_was_reserved_is_there_after_a_restart(tmp_path: Path) -> None:
    async def write(home: House) -> None:
        for name in "fgh":
            await home.active(name)
        await home.registry.concurrency.put("f", None, 7)
        await home.registry.concurrency.put("g", None, 0)
        await home.registry.concurrency.put("h", None, 9)
        await home.registry.concurrency.delete("h")
        await home.registry.concurrency.delete("h")  # nothing to give up
        assert home.listener.reserved == [
            (PREFIX + "f", 7),
            (PREFIX + "g", 0),
            (PREFIX + "h", 9),
            (PREFIX + "h", None),
            (PREFIX + "h", None),
        ]

    async def read(home: House) -> None:
        assert [home.registry.concurrency.get(name) for name in "fgh"] == [7, 0, None]
        found = dict(home.registry.concurrency.reservations())
        assert found == {PREFIX + "f": 7, PREFIX + "g": 0}
        assert home.registry.concurrency.unreserved() == 993

    run(tmp_path, write)
    run(tmp_path, read)


def test_it_goes_with_its_function(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await home.registry.concurrency.put("f", None, 900)
        await home.registry.delete("f")
        assert home.listener.reserved == [(PREFIX + "f", 900), (PREFIX + "f", None)]
        assert home.registry.concurrency.unreserved() == 1000
        kinds = {record.kind for record in await home.store.load()}
        assert Kind.CONCURRENCY not in kinds
        await home.active("g")
        await home.registry.concurrency.put("g", None, 900)

    run(tmp_path, check)


def test_a_caller_that_goes_away_keeps_nothing_from_being_told(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await home.active("g")
        home.store.hold()
        asked = asyncio.create_task(home.registry.concurrency.put("f", None, 500))
        await home.store.reached.wait()
        asked.cancel()
        await asyncio.wait([asked])
        late = asyncio.create_task(home.registry.concurrency.put("g", None, 500))
        await asyncio.sleep(0)
        home.store.let_go()
        with pytest.raises(ClientError):  # the first still had it
            await late
        assert home.listener.reserved == [(PREFIX + "f", 500)]

    run(tmp_path, check)


def test_what_the_disk_did_not_take_is_not_reserved(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        home.store.fail()
        with pytest.raises(EngineError):
            await home.registry.concurrency.put("f", None, 500)
        home.store.let_go()
        assert home.registry.concurrency.get("f") is None
        assert home.listener.reserved == []
        await home.registry.concurrency.put("f", None, 900)

    run(tmp_path, check)


def test_the_function_keeps_its_revision(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        await home.registry.concurrency.put("f", None, 5)
        assert home.registry.get("f") is active

    run(tmp_path, check)


def test_an_account_that_has_become_smaller(tmp_path: Path) -> None:
    async def before(home: House) -> None:
        await home.active("f")
        await home.active("g")
        await home.registry.concurrency.put("f", None, 100)

    async def after(home: House) -> None:
        assert home.registry.concurrency.unreserved() == -50
        await home.registry.concurrency.put("f", None, 50)
        await refused(
            home.registry.concurrency.put("g", None, 1),
            QUOTA,
            "Specified ReservedConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [10].",
        )
        await home.registry.concurrency.put("g", None, 0)

    run(tmp_path, before)
    run(tmp_path, after, account_concurrency=50)


def test_it_is_the_functions_alone(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        text = (
            "This operation is permitted on Lambda functions only. Aliases and versions do not "
            "support this operation. Please specify either a function name or an unqualified "
            "function ARN."
        )
        for qualifier in ("$LATEST", "1", "live"):
            put = home.registry.concurrency.put("f", qualifier, 1)
            await refused(put, AWS.INVALID_PARAMETER, text)
            delete = home.registry.concurrency.delete("f", qualifier)
            await refused(delete, AWS.INVALID_PARAMETER, text)
        assert home.registry.concurrency.get("f", "$LATEST") is None
        negative = home.registry.concurrency.put("f", None, -1)
        await refused(negative, AWS.INVALID_PARAMETER, "-1 can't be reserved: give 0 or more.")

    run(tmp_path, check)
