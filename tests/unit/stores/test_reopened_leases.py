"""Leases that are opened when they are needed, and again when something broke down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from samovar.errors import EngineError
from samovar.stores.leases import Lease, MemoryLeaseStore
from samovar.stores.reopened_leases import ReopenedLeases
from samovar.stores.sqlite_leases import SqliteLeaseStore


class Counted(MemoryLeaseStore):
    """Says how often it was opened and closed, and raises what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.did: list[str] = []
        self.errors: list[EngineError] = []
        self.refusals: list[EngineError] = []

    async def open(self) -> None:
        self.did.append("open")
        if self.refusals:
            raise self.refusals.pop(0)
        await super().open()

    async def close(self) -> None:
        self.did.append("close")
        await super().close()

    async def of(self, mapping: str) -> Sequence[Lease]:
        if self.errors:
            raise self.errors.pop(0)
        return await super().of(mapping)


def run(
    store: Any, scene: Callable[[ReopenedLeases], Awaitable[None]], mappings: Sequence[str] = "mn"
) -> None:
    async def played() -> None:
        leases = ReopenedLeases(store, lambda: mappings)
        try:
            await scene(leases)
        finally:
            await leases.close()

    asyncio.run(played())


def test_they_are_opened_when_they_are_needed_and_once() -> None:
    store = Counted()

    async def scene(leases: ReopenedLeases) -> None:
        assert store.did == []
        await asyncio.gather(*(leases.of("m") for _ in range(3)))
        assert store.did == ["open"]
        await leases.close()
        await leases.close()
        assert store.did == ["open", "close"]
        with pytest.raises(EngineError, match="not open"):
            await leases.of("m")

    run(store, scene)


def test_what_failed_is_opened_again() -> None:
    store = Counted()

    async def scene(leases: ReopenedLeases) -> None:
        lease = await leases.take("m", "s", "a", 0, "")
        store.errors = [EngineError("the disk is full")]
        with pytest.raises(EngineError, match="full"):
            await leases.of("m")
        assert await leases.of("m") == [lease]
        assert store.did == ["open", "close", "open"]

    run(store, scene)


def test_what_could_not_be_opened_is_tried_again() -> None:
    store = Counted()
    store.refusals = [EngineError("damaged")]

    async def scene(leases: ReopenedLeases) -> None:
        with pytest.raises(EngineError, match="damaged"):
            await leases.of("m")
        assert await leases.of("m") == []

    run(store, scene)


def test_leases_of_mappings_that_are_no_more_are_left_over_until_the_next_start(
    tmp_path: Path,
) -> None:
    async def fill(leases: ReopenedLeases) -> None:
        await leases.take("m", "s", "a", 0, "")
        await leases.take("gone", "s", "a", 0, "")

    async def first(leases: ReopenedLeases) -> None:
        await leases.open()
        assert [len(await leases.of(mapping)) for mapping in ("m", "gone")] == [1, 0]
        await leases.take("later", "s", "a", 0, "")
        assert len(await leases.of("later")) == 1

    run(SqliteLeaseStore(tmp_path), fill)
    run(SqliteLeaseStore(tmp_path), first)


def test_a_thread_that_broke_down_is_followed_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def no_memory(*_: object) -> str:
        raise MemoryError

    async def scene(leases: ReopenedLeases) -> None:
        lease = await leases.take("m", "s", "a", 0, "")
        (thread,) = (one for one in threading.enumerate() if one.name == "samovar-leases")
        store._commits._writer.carry_out, carry_out = no_memory, store._commits._writer.carry_out
        with pytest.raises(EngineError, match=r"MemoryError.*its file is opened again"):
            await leases.of("m")
        store._commits._writer.carry_out = carry_out
        assert await leases.of("m") == [lease]
        assert not thread.is_alive()

    store: Any = SqliteLeaseStore(tmp_path)
    run(store, scene)
    assert "its file is opened again" in caplog.text


def test_a_file_that_is_no_database_is_replaced_while_the_engine_runs(tmp_path: Path) -> None:
    async def scene(leases: ReopenedLeases) -> None:
        with pytest.raises(EngineError, match=r"leases\.db is damaged"):
            await leases.of("m")
        (tmp_path / "leases.db").unlink()
        assert await leases.of("m") == []

    (tmp_path / "leases.db").write_bytes(b"tea" * 1000)
    run(SqliteLeaseStore(tmp_path), scene)
