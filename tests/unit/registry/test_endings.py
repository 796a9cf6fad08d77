"""How functions end, and changes that cannot be made: deletion, hang-ups, disks that fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.registry.house import OTHER, House, new, run

from samovar.errors import ClientError, EngineError
from samovar.model.function import State
from samovar.registry.functions import (
    ConfigurationChanges,
)


def test_delete(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active(tags={"a": "b"})
        await home.registry.delete("f")
        assert home.listener.told == [(None, active), (active, None)]
        assert home.registry.list().functions == ()
        again = await home.active()
        assert home.registry.tags_of("f") == {}
        assert again.pool != active.pool  # contexts of the deleted one may still drain

    run(tmp_path, check)


def test_delete_while_an_update_is_in_progress(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        home.store.hold(after=1)
        await home.registry.update_code("f", OTHER)
        deletion = asyncio.create_task(home.registry.delete("f"))
        waiter = asyncio.create_task(home.registry.wait_settled("f"))
        await home.store.reached.wait()
        home.store.let_go()
        await deletion
        (_, done), (old, updated), (last, nothing) = home.listener.told
        assert (done, old, last, nothing) == (active, active, updated, None)
        with pytest.raises(ClientError):
            home.registry.resolve("f")
        # Whether it saw the update's end or the deletion: it does not wait for ever.
        await asyncio.gather(waiter, return_exceptions=True)

    run(tmp_path, check)

    async def gone(home: House) -> None:
        assert home.registry.list().functions == ()

    run(tmp_path, gone)


def test_delete_while_pending(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.fail(after=1)  # it can't turn Active
        await home.registry.create(new())
        await home.store.reached.wait()
        home.store.let_go()
        waiter = asyncio.create_task(home.registry.wait_settled("f"))
        await asyncio.sleep(0)
        await home.registry.delete("f")
        with pytest.raises(ClientError, match="Function not found"):
            await waiter
        await home.clock.fire()  # the next try finds nothing to do
        await home.registry.close()
        assert home.listener.told == []

    run(tmp_path, check)


def test_a_client_that_hangs_up_does_not_stop_a_change(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold()
        creation = asyncio.create_task(home.registry.create(new()))
        await home.store.reached.wait()
        creation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creation
        assert home.registry.list().functions == ()
        home.store.let_go()

    run(tmp_path, check)  # closing waits for the change

    async def there(home: House) -> None:
        assert home.registry.resolve("f").state is State.ACTIVE

    run(tmp_path, there)


def test_a_disk_that_fails_changes_nothing(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        home.store.fail()
        for call in (
            home.registry.create(new("g")),
            home.registry.update_code("f", OTHER),
            home.registry.update_configuration("f", ConfigurationChanges(timeout=9)),
            home.registry.delete("f"),
            home.registry.tag("f", {"a": "b"}),
        ):
            with pytest.raises(EngineError, match="full"):
                await call
        assert home.registry.list().functions == (active,)
        assert home.registry.resolve("f") is active
        assert home.registry.tags_of("f") == {}

    run(tmp_path, check)


def test_a_transition_is_tried_again_until_the_disk_is_well(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.fail(after=1)
        await home.registry.create(new())
        await home.clock.fire()
        home.store.reached.clear()
        await home.store.reached.wait()  # the second try has failed, too
        assert home.registry.get("f").state is State.PENDING
        home.store.let_go()
        await home.clock.fire()
        assert (await home.registry.wait_settled("f")).state is State.ACTIVE

    run(tmp_path, check)


def test_no_changes_after_the_end(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.registry.close()
        with pytest.raises(EngineError, match="stopping"):
            await home.registry.create(new())
        await home.registry.close()

    run(tmp_path, check)
