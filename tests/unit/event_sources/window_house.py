"""A function that counts what is in each tumbling window, and remembers what it was told last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.unit.event_sources.stream_house import House

BEGUN = 1_700_000_040  # epoch seconds: a minute begins


class WindowHouse(House):
    """`House`, with windows of a minute if nothing else is said. `finals` are (start of the window,
    the texts that its state has counted), in the order in which they were told; `spoil` is asked
    what else is answered to an event, which then is no success; None for the count."""

    def __init__(self, **mapping: Any) -> None:
        super().__init__(**{"tumbling_window": 60, **mapping})
        self.clock.advance(BEGUN - self.clock.wall())
        self.finals: list[tuple[str, list[str]]] = []
        self.spoil: Callable[[dict[str, Any]], object] = lambda event: None
        self.answer = self._count

    def _count(self, texts: list[str]) -> object:
        event = self.events[-1]
        if "window" not in event:
            return None
        spoiled = self.spoil(event)
        if spoiled is not None:
            return spoiled
        counted = [*event["state"].get("texts", []), *texts]
        if event["isFinalInvokeForWindow"]:
            assert not texts
            self.finals.append((event["window"]["start"], counted))
        return {"state": {"texts": counted}}

    def at(self, seconds: float, *texts: str, shard: str = "s") -> None:
        """Put records that came so many seconds after the first window began."""
        self.put(shard, *texts, arrived=BEGUN + seconds)


def start(seconds: int) -> str:
    """As an event names the window that begins so many seconds after the first one."""
    return datetime.fromtimestamp(BEGUN + seconds, UTC).isoformat().replace("+00:00", "Z")
