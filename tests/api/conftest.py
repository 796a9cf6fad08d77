"""The loops that the door runs on."""

from __future__ import annotations

import pytest
import uvloop
from tests.api import house

# libuv's signal pipe is made with a process's first loop and stays: no test's own.
uvloop.new_event_loop().close()


@pytest.fixture(params=[None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test's scene on asyncio's own loop, and again on uvloop's, which is the usual one."""
    monkeypatch.setitem(house.LOOP, "factory", request.param)
