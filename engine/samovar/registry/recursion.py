"""What becomes of a function that is found in a loop: it is stopped, unless it is let go on."""

from __future__ import annotations

from enum import StrEnum

from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.index import Entry, Index


class RecursiveLoop(StrEnum):
    """What happens to an invocation that is part of a loop (AWS's words)."""

    ALLOW = "Allow"
    TERMINATE = "Terminate"


class Recursion:
    """The recursion configs of functions. All methods raise ClientError (404)."""

    def __init__(self, index: Index, attaching: Attaching) -> None:
        self._index = index
        self._attaching = attaching

    def get(self, name: str) -> RecursiveLoop:
        """What is to happen; TERMINATE where nobody has said anything."""
        entry = self._index.entry(name)
        attached = entry.attached.get((Kind.RECURSION, entry.shown.arn))
        return RecursiveLoop.TERMINATE if attached is None else RecursiveLoop(attached.document)

    async def put(self, name: str, wanted: RecursiveLoop) -> None:
        """Say what is to happen."""

        def change(_: Entry) -> object:
            return wanted.value

        await self._attaching.attach(name, Kind.RECURSION, self._index.arn(name), change)
