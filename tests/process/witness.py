"""The outside of `tests/functions/witness.py`: what handlers said, and when they may go on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.process.house import Gate


class Court(Gate):
    """A Gate that writes down what is said on arrival: a record that no engine keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []

    def phases(self) -> list[str]:
        """Who has come so far: «init» for a module's import, «invoke» for a handler."""
        return [fact["phase"] for fact in self.heard]

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(json.loads(await reader.readline()))
        self._inside.append(writer)
        if self._wide_open:
            self.open()
