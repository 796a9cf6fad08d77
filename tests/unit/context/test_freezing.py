"""The thread that freezes: in order, and past whatever fails."""

from __future__ import annotations

import asyncio
import errno

import pytest

from samovar.context.freezing import Freezer
from samovar.testing import ManualClock


def test_what_fails_is_counted_and_logged_once_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    def refuse(error: Exception) -> None:
        done.append("tried")
        raise error

    async def scenario() -> dict[str, int]:
        freezer = Freezer(ManualClock(), 1.0)
        for _ in range(2):
            freezer.wish(lambda: refuse(PermissionError(errno.EPERM, "not yours")))
        freezer.wish(lambda: refuse(ProcessLookupError(errno.ESRCH, "gone")))
        freezer.wish(lambda: refuse(KeyError("a bug of ours")))
        freezer.wish(lambda: done.append("the last"))
        await freezer.stop()
        freezer.wish(lambda: done.append("too late"))
        await freezer.stop()
        return freezer.failures

    assert asyncio.run(scenario()) == {"EPERM": 2, "KeyError": 1}
    assert done == [*["tried"] * 4, "the last"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "not yours" in caplog.text
