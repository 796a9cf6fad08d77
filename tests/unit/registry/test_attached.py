"""What belongs to functions: written with them or not at all, kept, and removed with them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, new, refused, run

from samovar.errors import AWS, ClientError, EngineError
from samovar.model.policy import Statement
from samovar.registry.attached import Attached, Kind
from samovar.stores.protocols import Record

ARN = PREFIX + "f"


def statement(sid: str) -> Statement:
    return Statement(sid, "*", "lambda:InvokeFunction", ARN, {})


def sids(home: House) -> list[str]:
    policy, _ = home.registry.permissions.policy("f", None)
    return [item.sid for item in policy.statements]


def test_a_permission_makes_a_new_revision_and_nothing_else_of_the_function(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        told = list(home.listener.told)
        await home.registry.permissions.add("f", None, statement("s1"))
        shown = home.registry.get("f")
        assert shown.revision_id != active.revision_id
        assert (shown.pool, shown.last_modified) == (active.pool, active.last_modified)
        assert home.registry.resolve("f") is shown
        assert home.listener.told == told  # no context has to go for it
        assert home.registry.permissions.policy("f", None)[1] == shown.revision_id

    run(tmp_path, check)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    revision = ""

    async def write(home: House) -> None:
        nonlocal revision
        await home.active()
        for sid in ("a", "b", "c"):
            await home.registry.permissions.add("f", None, statement(sid))
        await home.registry.permissions.remove("f", None, "b")
        revision = home.registry.get("f").revision_id

    async def read(home: House) -> None:
        assert sids(home) == ["a", "c"]
        assert home.registry.get("f").revision_id == revision
        await home.registry.permissions.add("f", None, statement("d"))
        assert sids(home) == ["a", "c", "d"]

    run(tmp_path, write)
    run(tmp_path, read)


def test_policy_and_revision_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        home.store.fail()
        with pytest.raises(EngineError):
            await home.registry.permissions.add("f", None, statement("s1"))
        home.store.let_go()
        assert home.registry.get("f") is active
        await refused(
            _policy(home), AWS.RESOURCE_NOT_FOUND, "The resource you requested does not exist."
        )
        writes: list[int] = []
        write = home.store.write

        async def counted(*changes: object) -> None:
            writes.append(len(changes))
            await write(*changes)  # type: ignore[arg-type]

        home.store.write = counted  # type: ignore[method-assign,assignment]
        await home.registry.permissions.add("f", None, statement("s1"))
        assert writes == [2]

    async def reopened(home: House) -> None:
        assert sids(home) == ["s1"]

    run(tmp_path, check)
    run(tmp_path, reopened)


async def _policy(home: House) -> object:
    return home.registry.permissions.policy("f", None)


def test_nothing_is_lost_of_changes_made_at_once(tmp_path: Path) -> None:
    wanted = {f"s{number}" for number in range(50)}

    async def check(home: House) -> None:
        await home.active()
        await home.registry.permissions.add("f", None, statement("gone"))
        await asyncio.gather(
            home.registry.permissions.remove("f", None, "gone"),
            home.registry.tag(ARN, {"a": "b"}),
            *(home.registry.permissions.add("f", None, statement(sid)) for sid in wanted),
        )
        assert set(sids(home)) == wanted

    async def reopened(home: House) -> None:
        assert set(sids(home)) == wanted
        assert home.registry.tags_of(ARN) == {"a": "b"}

    run(tmp_path, check)
    run(tmp_path, reopened)


def test_of_two_that_hold_the_same_revision_one_wins(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        held = (await home.active()).revision_id
        add = home.registry.permissions.add
        outcomes = await asyncio.gather(
            *(add("f", None, statement(sid), held) for sid in "abcdef"), return_exceptions=True
        )
        lost = [outcome for outcome in outcomes if outcome is not None]
        assert len(lost) == 5
        for error in lost:
            assert isinstance(error, ClientError)
            assert error.error is AWS.PRECONDITION_FAILED
        assert len(sids(home)) == 1

    run(tmp_path, check)


def test_a_caller_that_goes_away_does_not_come_between_disk_and_memory(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        home.store.hold()
        asked = asyncio.create_task(home.registry.permissions.add("f", None, statement("s1")))
        await home.store.reached.wait()
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
        home.store.let_go()
        await home.registry.permissions.add("f", None, statement("s2"))  # waits for the first
        assert sids(home) == ["s1", "s2"]

    run(tmp_path, check)


def test_a_policy_goes_with_its_function(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        await home.registry.permissions.add("f", None, statement("s1"))
        await home.registry.delete("f")
        await home.active()
        await refused(
            _policy(home), AWS.RESOURCE_NOT_FOUND, "The resource you requested does not exist."
        )
        assert not [record for record in await home.store.load() if record.kind == Kind.POLICY]

    run(tmp_path, check)
    run(tmp_path, _nothing_left)


async def _nothing_left(home: House) -> None:
    await refused(
        _policy(home), AWS.RESOURCE_NOT_FOUND, "The resource you requested does not exist."
    )


def test_permissions_may_change_while_an_update_is_in_progress(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold(after=1)  # the creation is written, and its end waits
        await home.registry.create(new())
        await home.store.reached.wait()
        adding = asyncio.create_task(home.registry.permissions.add("f", None, statement("s1")))
        home.store.let_go()
        await adding
        active = await home.registry.wait_settled("f")
        assert home.registry.resolve("f") is active
        assert sids(home) == ["s1"]

    run(tmp_path, check)


def test_a_damaged_record_says_which() -> None:
    good = Attached(Kind.POLICY, ARN, ARN, "r", {"Statement": []})
    assert Attached.of(good.stored("n")) == good
    record = good.stored("n")
    assert json.loads(record.document) == good.document
    for damaged in (
        Record(record.kind, ARN, "r", "{", "n", record.owner),
        Record(record.kind, ARN, "r", "{}", "n", None),
    ):
        with pytest.raises(EngineError) as caught:
            Attached.of(damaged)
        assert f"policy of {ARN}" in caught.value.message
