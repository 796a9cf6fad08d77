"""What becomes of those who wait for a thread that breaks down: nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from samovar.errors import EngineError
from samovar.stores.group_commit import GroupCommit

PATIENCE = 30.0
NO_MEMORY = "no-memory"


class Breakable:
    """A Writer that gives requests back, waits at a gate before it does, and breaks down where it
    is told to."""

    def __init__(self, *, at: str = "") -> None:
        self.at = at
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.closed = False

    def open(self) -> None:
        """There is nothing to make ready."""

    def carry_out(self, requests: Sequence[Any]) -> Sequence[Any]:
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        if NO_MEMORY in requests:
            raise MemoryError
        return requests

    def tidy(self) -> float | None:
        if self.at == "tidy":
            raise RuntimeError("nobody thought of this")
        return None

    def close(self) -> None:
        self.closed = True
        if self.at == "close":
            raise RuntimeError("nobody thought of that")


def run(writer: Breakable, scene: Callable[[GroupCommit], Awaitable[None]]) -> None:
    async def begin() -> None:
        commits = GroupCommit("samovar-test", writer, quiet=0.0 if writer.at == "tidy" else 60.0)
        async with asyncio.timeout(PATIENCE):
            await commits.start()
            try:
                await scene(commits)
            finally:
                writer.gate.set()
                await commits.close()

    asyncio.run(begin())
    assert writer.closed


def test_whoever_waits_is_told_that_the_thread_broke_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = Breakable()

    async def scene(commits: GroupCommit) -> None:
        in_hand = [commits.ask(NO_MEMORY), commits.ask("a")]
        assert await asyncio.to_thread(writer.begun.wait, PATIENCE)
        in_hand[1].cancel()
        pending = [commits.ask("b"), commits.ask("c")]
        writer.gate.set()
        found = await asyncio.gather(*in_hand, *pending, return_exceptions=True)
        assert isinstance(found.pop(1), asyncio.CancelledError)
        for error in found:
            assert isinstance(error, EngineError)
            assert "MemoryError" in error.message
            assert "must be restarted. Nothing that was accepted is lost." in error.message
        with pytest.raises(EngineError, match="must be restarted"):
            commits.ask("d")

    run(writer, scene)
    assert "samovar-test broke down" in caplog.text
    assert "MemoryError" in caplog.text


def test_a_group_on_its_way_to_a_thread_that_broke_down() -> None:
    """It was handed over, and nobody took it."""
    writer = Breakable()

    async def scene(commits: GroupCommit) -> None:
        first = commits.ask(NO_MEMORY)
        assert await asyncio.to_thread(writer.begun.wait, PATIENCE)
        second = commits.ask("a")
        ending = asyncio.ensure_future(commits.close())
        await asyncio.sleep(0)  # it has handed over what was asked for, and waits
        writer.gate.set()
        found = await asyncio.gather(first, second, return_exceptions=True)
        assert [isinstance(error, EngineError) for error in found] == [True, True]
        await ending

    run(writer, scene)


def test_tidying_that_breaks_down_is_no_silence(caplog: pytest.LogCaptureFixture) -> None:
    writer = Breakable(at="tidy")
    writer.gate.set()

    async def scene(commits: GroupCommit) -> None:
        assert commits._ended is not None
        await asyncio.shield(commits._ended)
        with pytest.raises(EngineError, match=r"nobody thought of this.*must be restarted"):
            commits.ask("a")

    run(writer, scene)
    assert "samovar-test broke down" in caplog.text


def test_an_end_that_goes_wrong_is_an_end(caplog: pytest.LogCaptureFixture) -> None:
    writer = Breakable(at="close")
    writer.gate.set()

    async def scene(commits: GroupCommit) -> None:
        assert await commits.ask("a") == "a"

    run(writer, scene)
    assert "nobody thought of that" in caplog.text
