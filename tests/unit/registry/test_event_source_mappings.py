"""Mappings between the disk, the memory and whoever reads them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.registry.house import PREFIX, House, run

from samovar.errors import AWS, ClientError, EngineError
from samovar.model.event_source import EventSourceMapping, MappingState
from samovar.model.function import FunctionVersion
from samovar.registry.event_source_mappings import KIND, EventSourceMappings
from samovar.stores.protocols import Put, Record
from samovar.stores.sqlite import SqliteRecordStore

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"


@dataclass
class Reader:
    """Does what it is asked for when the test lets it."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    reads: dict[str, EventSourceMapping] = field(default_factory=dict)
    refuses: ClientError | None = None
    breaks: bool = False
    looking: asyncio.Event = field(default_factory=asyncio.Event)  # it is asked whether all is well
    well: asyncio.Event | None = None  # which it says then

    async def demand(self, mapping: EventSourceMapping, function: FunctionVersion) -> None:
        self.looking.set()
        if self.well is not None:
            await self.well.wait()
        if self.refuses is not None:
            raise self.refuses

    async def follow(self, mapping: EventSourceMapping) -> None:
        if self.breaks:
            raise RuntimeError("a bug")
        await self.go.wait()
        self.reads[mapping.uuid] = mapping

    async def leave(self, mapping: EventSourceMapping) -> None:
        await self.go.wait()
        self.reads.pop(mapping.uuid, None)

    def last_result(self, _uuid: str) -> str | None:
        return None


def new(name: str = "f", source: str = QUEUE, **given: Any) -> EventSourceMapping:
    return EventSourceMapping("", PREFIX + name, source, **given)


async def refused(call: Any) -> tuple[object, str]:
    with pytest.raises(ClientError) as caught:
        await call
    return caught.value.error, caught.value.message


async def in_use(mappings: EventSourceMappings, uuid: str) -> None:
    """What is asked of a mapping while something is under way is refused, in AWS's words."""
    assert await refused(mappings.update(uuid, lambda one: replace(one, batch_size=2))) == (
        AWS.RESOURCE_IN_USE,
        "The operation cannot be performed at this time. The event source mapping is currently "
        "being updated.",
    )
    assert await refused(mappings.delete(uuid)) == (
        AWS.RESOURCE_IN_USE,
        "Cannot delete the event source mapping because it is in use",
    )


def test_what_is_asked_for_is_under_way_until_it_is_done(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader()
        await home.active()
        made = await mappings.create(new())
        uuid = made.mapping.uuid
        assert (made.state, made.reason) == (MappingState.CREATING, "USER_INITIATED")
        assert made.arn == f"{PREFIX.replace('function:', 'event-source-mapping:')}{uuid}"
        await in_use(mappings, uuid)
        reader.go.set()
        settled = await mappings.wait_settled(uuid)
        assert settled is not None and settled.state is MappingState.ENABLED
        assert reader.reads == {uuid: made.mapping}
        reader.go.clear()
        shown = await mappings.update(uuid, lambda present: replace(present, enabled=False))
        assert shown.state is MappingState.DISABLING
        reader.go.set()
        settled = await mappings.wait_settled(uuid)
        assert settled is not None and settled.state is MappingState.DISABLED
        reader.go.clear()
        assert (await mappings.delete(uuid)).state is MappingState.DELETING
        await in_use(mappings, uuid)
        reader.go.set()
        assert await mappings.wait_settled(uuid) is None
        assert (await refused(mappings.delete(uuid)))[0] is AWS.RESOURCE_NOT_FOUND

    run(tmp_path, check)


def test_one_mapping_of_a_function_and_a_source(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        await home.active()
        await home.active("g")
        first, second = await asyncio.gather(
            mappings.create(new()), mappings.create(new()), return_exceptions=True
        )
        assert isinstance(second, ClientError), "also while the first is being made"
        assert not isinstance(first, BaseException)
        uuid = first.mapping.uuid
        assert await refused(mappings.create(new())) == (
            AWS.RESOURCE_CONFLICT,
            f'An event source mapping with SQS arn (" {QUEUE} ") and function (" f ") already '
            f"exists. Please update or delete the existing mapping with UUID {uuid}",
        )
        other = await mappings.create(new("g"))
        await mappings.wait_settled(other.mapping.uuid)
        arn = PREFIX + "f"
        error, _ = await refused(
            mappings.update(other.mapping.uuid, lambda one: replace(one, function_arn=arn))
        )
        assert error is AWS.RESOURCE_CONFLICT
        shown = mappings.get(other.mapping.uuid)
        assert (shown.state, shown.mapping.function_name) == (MappingState.ENABLED, "g")

    run(tmp_path, check)


def test_an_update_keeps_its_place_from_a_creation_and_another_update(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader()
        reader.go.set()
        for name in "fgh":
            await home.active(name)
        made = [await mappings.create(new(name)) for name in "fh"]
        uuids = [one.mapping.uuid for one in made]
        for uuid in uuids:
            await mappings.wait_settled(uuid)
        reader.well = asyncio.Event()
        reader.looking.clear()

        def to_g(one: EventSourceMapping) -> EventSourceMapping:
            return replace(one, function_arn=PREFIX + "g")

        moving = asyncio.ensure_future(mappings.update(uuids[0], to_g))
        await reader.looking.wait()
        for late in (mappings.create(new("g")), mappings.update(uuids[1], to_g)):
            error, text = await refused(late)
            assert (error, "is being made by another" in text) == (AWS.RESOURCE_CONFLICT, True)
        reader.refuses = ClientError(AWS.INVALID_PARAMETER, "no rights")
        reader.well.set()
        await refused(moving)
        reader.refuses = None
        await mappings.update(uuids[1], to_g)
        assert mappings.get(uuids[1]).mapping.function_name == "g"

    run(tmp_path, check)


def test_tags_and_updates_at_the_same_time_are_both_kept(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader()
        reader.go.set()
        await home.active()
        made = await mappings.create(new())
        uuid, arn = made.mapping.uuid, made.arn
        await mappings.wait_settled(uuid)
        reader.well = asyncio.Event()
        reader.looking.clear()
        update = mappings.update(uuid, lambda one: replace(one, batch_size=5))
        updating = asyncio.ensure_future(update)
        await reader.looking.wait()
        await home.registry.tag(arn, {"team": "tea"})
        reader.well.set()
        await updating
        await mappings.wait_settled(uuid)
        assert mappings.get(uuid).mapping.batch_size == 5
        assert mappings.tags_of(arn) == {"team": "tea"}
        await asyncio.gather(
            home.registry.tag(arn, {"kind": "green"}),
            mappings.update(uuid, lambda one: replace(one, batch_size=7)),
            home.registry.tag(arn, {"cups": "2"}),
        )
        await mappings.wait_settled(uuid)
        assert mappings.get(uuid).mapping.batch_size == 7
        assert mappings.tags_of(arn) == {"team": "tea", "kind": "green", "cups": "2"}

    run(tmp_path, check)


def test_one_that_is_being_deleted_takes_no_tags(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader()
        reader.go.set()
        await home.active()
        made = await mappings.create(new())
        await mappings.wait_settled(made.mapping.uuid)
        reader.go.clear()
        await mappings.delete(made.mapping.uuid)
        error, _ = await refused(home.registry.tag(made.arn, {"team": "tea"}))
        assert error is AWS.RESOURCE_NOT_FOUND
        reader.go.set()
        assert await mappings.wait_settled(made.mapping.uuid) is None

    run(tmp_path, check)


def test_one_can_be_disabled_whatever_is_gone(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader()
        reader.go.set()
        await home.active()
        made = await mappings.create(new())
        uuid = made.mapping.uuid
        await mappings.wait_settled(uuid)
        await home.registry.delete("f")
        reader.refuses = ClientError(AWS.INVALID_PARAMETER, "no queue")
        for change in ({"enabled": False, "batch_size": 5}, {"batch_size": 5}, {}):
            await refused(mappings.update(uuid, lambda one, change=change: replace(one, **change)))
        off = await mappings.update(uuid, lambda one: replace(one, enabled=False))
        assert off.state is MappingState.DISABLING
        await mappings.wait_settled(uuid)
        await refused(mappings.update(uuid, lambda one: replace(one, enabled=True)))

    run(tmp_path, check)


def test_what_is_refused_or_can_not_be_written_has_changed_nothing(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader()
        reader.go.set()
        await home.active()
        assert await refused(mappings.create(new("nobody"))) == (
            AWS.INVALID_PARAMETER,
            "Function does not exist",
        )
        reader.refuses = ClientError(AWS.INVALID_PARAMETER, "no rights")
        await refused(mappings.create(new()))
        assert mappings.all() == []
        reader.refuses = None
        home.store.fail()
        with pytest.raises(EngineError):
            await mappings.create(new())
        home.store.let_go()
        assert mappings.all() == []
        made = await mappings.create(new())
        await mappings.wait_settled(made.mapping.uuid)
        for call in (
            lambda: mappings.update(made.mapping.uuid, lambda one: replace(one, batch_size=2)),
            lambda: mappings.delete(made.mapping.uuid),
        ):
            home.store.fail()
            with pytest.raises(EngineError):
                await call()
            home.store.let_go()
            assert mappings.get(made.mapping.uuid) == replace(made, state=MappingState.ENABLED)

    run(tmp_path, check)


def test_a_bug_of_the_reader_leaves_a_mapping_that_can_be_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        reader = mappings.follower = Reader(breaks=True)
        reader.go.set()
        await home.active()
        made = await mappings.create(new())
        await mappings.wait_settled(made.mapping.uuid)
        assert "is not read" in caplog.text
        await mappings.delete(made.mapping.uuid)
        assert await mappings.wait_settled(made.mapping.uuid) is None

    run(tmp_path, check)


def test_lists_and_tags(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        await home.active()
        made = [await mappings.create(new(source=f"{QUEUE}{at}")) for at in range(3)]
        uuids = sorted(one.mapping.uuid for one in made)
        page = mappings.list(max_items=2)
        assert [one.mapping.uuid for one in page.mappings] == uuids[:2]
        rest = mappings.list(max_items=2, marker=page.next_marker)
        assert [one.mapping.uuid for one in rest.mappings] == uuids[2:]
        found = mappings.list(source_arn=f"{QUEUE}1").mappings
        assert [one.arn for one in found] == [made[1].arn]
        assert mappings.list(function_arn=PREFIX + "g").mappings == []
        await home.registry.tag(made[0].arn, {"team": "tea"})
        assert home.registry.tags_of(made[0].arn) == {"team": "tea"}
        await home.registry.untag(made[0].arn, ["team"])
        assert home.registry.tags_of(made[0].arn) == {}
        with pytest.raises(ClientError):
            home.registry.tags_of(made[0].arn + "0")

    run(tmp_path, check)


def test_it_is_read_again_after_a_restart_and_outlives_its_function(tmp_path: Path) -> None:
    kept: list[EventSourceMapping] = []

    async def check(home: House) -> None:
        await home.active()
        made = await home.registry.event_sources.create(new(filters=('{"a": [1]}',), window=3))
        off = await home.registry.event_sources.create(new(source=QUEUE + "2", enabled=False))
        assert off.state is MappingState.DISABLED
        kept.extend(sorted((made.mapping, off.mapping), key=lambda one: one.uuid))
        await home.registry.delete("f")

    async def reopened(home: House) -> None:
        mappings = home.registry.event_sources
        assert sorted(mappings.all(), key=lambda one: one.uuid) == kept
        reader = mappings.follower = Reader()
        reader.go.set()
        mappings.resume()
        for one in kept:
            await mappings.wait_settled(one.uuid)
        assert sorted(reader.reads) == [one.uuid for one in kept]

    run(tmp_path, check)
    run(tmp_path, reopened)


def test_all_that_is_kept_is_known_whatever_region_it_is_of(tmp_path: Path) -> None:
    kept: set[str] = set()

    async def check(home: House) -> None:
        mappings = home.registry.event_sources
        await home.active()
        made = [await mappings.create(new(source=f"{QUEUE}{at}")) for at in range(2)]
        kept.update(one.mapping.uuid for one in made)
        assert mappings.uuids() == kept
        mappings.follower = reader = Reader()
        await mappings.delete(made[0].mapping.uuid)
        assert mappings.uuids() == kept  # it is read still
        reader.go.set()
        await mappings.wait_settled(made[0].mapping.uuid)
        kept.discard(made[0].mapping.uuid)
        assert mappings.uuids() == kept

    async def elsewhere() -> None:
        store = SqliteRecordStore(tmp_path)
        await store.open()
        arn = f"arn:aws:lambda:eu-north-1:999999999999:{KIND}:far"
        await store.write(Put(Record(KIND, arn, "r", "{}", "node"), None))
        await store.close()

    async def reopened(home: House) -> None:
        assert home.registry.event_sources.uuids() == kept | {"far"}
        assert len(home.registry.event_sources.all()) == 1

    run(tmp_path, check)
    asyncio.run(elsewhere())
    run(tmp_path, reopened)


@pytest.mark.parametrize("document", ["{", "{}", "[]", "null", '{"function_arn": "f"}'])
def test_a_damaged_record_is_named_at_the_start(tmp_path: Path, document: str) -> None:
    arn = PREFIX.replace("function:", f"{KIND}:") + "1"

    async def damage() -> None:
        store = SqliteRecordStore(tmp_path)
        await store.open()
        await store.write(Put(Record(KIND, arn, "r", document, "node"), None))
        await store.close()

    async def nothing(_home: House) -> None:
        raise AssertionError("it opened")

    asyncio.run(damage())
    with pytest.raises(EngineError, match=f"{arn} is damaged"):
        run(tmp_path, nothing)
