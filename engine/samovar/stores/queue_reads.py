"""What people look for in the queue: read on a connection that no commit waits for."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from samovar.errors import EngineError
from samovar.stores.faults import told
from samovar.stores.invoke_queue import Found
from samovar.stores.queue_statements import Look, find, look
from samovar.stores.threads import Threads

_log = logging.getLogger(__name__)


class QueueReads:
    """A connection of its own to the queue's file, for reading only, in a thread of its own; both
    are made when somebody looks. Whoever reads a write-ahead log sees what was committed when he
    began, and holds up no writer. All methods are called on the loop's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = False
        self._threads: Threads | None = None
        self._connection: sqlite3.Connection | None = None  # the thread's

    def open(self) -> None:
        """From now on it may be asked."""
        self._open = True

    async def close(self) -> None:
        """Answer what was asked, then let go of everything; idempotent."""
        self._open = False
        threads, self._threads = self._threads, None
        if threads is None:
            return
        try:
            await threads.run(self._let_go)
        finally:
            await threads.close()

    async def find(self, item_id: str, held: int | None) -> Found | None:
        """See `queue_statements.find`. Raises EngineError."""
        return await self._asked().run(self._find, item_id, held)

    async def look(self, asked: Look) -> Sequence[Found]:
        """See `InvokeQueue.look`. Raises EngineError."""
        return await self._asked().run(self._look, asked)

    def _asked(self) -> Threads:
        if not self._open:
            raise EngineError("the queue is not open")
        if self._threads is None:
            self._threads = Threads("samovar-reads", 1)
        return self._threads

    # -- in the thread

    def _find(self, item_id: str, held: int | None) -> Found | None:
        with told(self._path):
            return find(self._database(), item_id, held)

    def _look(self, asked: Look) -> Sequence[Found]:
        with told(self._path):
            return look(self._database(), asked)

    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, isolation_level=None)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close()
        except sqlite3.Error as error:
            _log.warning("%s was not closed well: %s", self._path, error)
