"""Neighbours that write down what they are asked for."""

from __future__ import annotations

from typing import Any

from samovar.neighbours import AsyncNeighbours, Caller
from samovar.neighbours.asynchronous import ENGINE


class RecordingNeighbours(AsyncNeighbours):
    """Gives `replies`, one after the other."""

    def __init__(self, *replies: dict[str, Any]) -> None:
        self._replies = list(replies)
        self.asked: list[tuple[str, str, Caller, dict[str, Any]]] = []

    async def call(
        self,
        service: str,
        operation: str,
        caller: Caller = ENGINE,
        /,
        *,
        region: str = "",
        **given: Any,
    ) -> dict[str, Any]:
        self.asked.append((service, operation, caller, {**given, "region": region}))
        return self._replies.pop(0)
