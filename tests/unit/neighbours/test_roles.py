"""Keys of roles: asked for once, renewed in time, used as long as they are good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from samovar.neighbours.asynchronous import session_name
from samovar.neighbours.roles import RENEWAL, TOO_LATE, RoleKeys, RoleNotAssumed

HOUR = 3600.0


class Sts:
    """Gives keys for an hour, numbered; or raises."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.asked = 0
        self.broken = False
        self.length = HOUR
        self.gate = asyncio.Event()
        self.gate.set()
        self.keys = RoleKeys("arn:aws:iam::000000000000:role/r", self.assume, lambda: self.now)

    async def assume(self) -> dict[str, Any]:
        self.asked += 1
        await self.gate.wait()
        if self.broken:
            raise ConnectionError("there is no STS")
        return {
            "AccessKeyId": f"ASIA{self.asked}",
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": datetime.fromtimestamp(self.now + self.length, UTC),
        }

    async def key(self) -> str:
        return (await self.keys.get_frozen_credentials()).access_key


def play(scene: Callable[[Sts], Awaitable[None]]) -> None:
    async def run() -> None:
        sts = Sts()
        try:
            await scene(sts)
        finally:
            await sts.keys.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("function", "name"),
    [("thumbnail", "thumbnail"), ("f", "f-"), ("f" * 99, "f" * 64), ("", "samovar")],
    ids=["usual", "short", "long", "none"],
)
def test_a_session_has_a_name_that_sts_takes(function: str, name: str) -> None:
    assert session_name(function) == name


def test_they_are_kept_until_shortly_before_they_end() -> None:
    async def scene(sts: Sts) -> None:
        assert [await sts.key(), await sts.key()] == ["ASIA1", "ASIA1"]
        sts.now += HOUR - RENEWAL - 1
        assert await sts.key() == "ASIA1"
        sts.now += 1
        assert await sts.key() == "ASIA2"

    play(scene)


def test_all_who_come_at_once_wait_for_one_request() -> None:
    async def scene(sts: Sts) -> None:
        sts.gate.clear()
        waiting = [asyncio.ensure_future(sts.key()) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # whoever asked first may go away
        sts.gate.set()
        assert await asyncio.gather(*waiting[1:]) == ["ASIA1"] * 4
        assert sts.asked == 1

    play(scene)


def test_old_ones_do_while_they_are_good_and_no_longer() -> None:
    async def scene(sts: Sts) -> None:
        assert await sts.key() == "ASIA1"
        sts.broken = True
        sts.now += HOUR - TOO_LATE - 1
        assert await sts.key() == "ASIA1"
        sts.now += 1
        with pytest.raises(RoleNotAssumed, match="role/r could not be assumed: there is no STS"):
            await sts.key()
        sts.broken = False
        assert (await sts.key()).startswith("ASIA")

    play(scene)


def test_short_sessions_are_used_for_most_of_their_time() -> None:
    async def scene(sts: Sts) -> None:
        sts.length = HOUR / 4  # STS's least
        assert [await sts.key(), await sts.key()] == ["ASIA1", "ASIA1"]
        sts.now += sts.length * 0.75 - 1
        assert await sts.key() == "ASIA1"
        sts.now += 1
        sts.broken = True
        assert await sts.key() == "ASIA1"
        sts.now += sts.length / 4
        with pytest.raises(RoleNotAssumed):
            await sts.key()

    play(scene)


def test_what_is_refused_is_forgotten() -> None:
    async def scene(sts: Sts) -> None:
        await sts.key()
        sts.keys.forget()
        assert await sts.key() == "ASIA2"

    play(scene)
