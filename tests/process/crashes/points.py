"""Where an engine is killed: before and after every await of the queue and of the deliveries, and
at every statement of the queue's database.

Nothing in the engine knows of this: its classes are given other methods, in a process that is about
to die.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samovar.invocation.destinations import Senders
from samovar.stores import sqlite_items
from samovar.stores.databases import open_database
from samovar.stores.sqlite_queue import SqliteInvokeQueue

QUEUE = ("open", "put", "claim", "extend", "complete", "retry_at")


class Points:
    """Counts the points that are passed, and acts at one of them.

    `aim` is the name of a point and the how-manieth time it is passed; None only counts. `act` is
    what happens there. `queue` is the engine's.
    """

    def __init__(self, aim: tuple[str, int] | None, act: Callable[[], None]) -> None:
        self.passed: Counter[str] = Counter()
        self.reached = False
        self.queue: SqliteInvokeQueue | None = None
        self._aim = aim
        self._act = act

    def at(self, name: str) -> None:
        """A point is passed, on whatever thread."""
        self.passed[name] += 1
        if self._aim == (name, self.passed[name]) and not self.reached:
            self.reached = True
            self._act()

    def install(self) -> None:
        """From now on, in this process, for good."""
        for name in QUEUE:
            self.wrap(SqliteInvokeQueue, name, f"queue.{name}")
        self.wrap(Senders, "send", "send")
        # The queue's own name of it: the registry's database is not the one that is meant.
        sqlite_items.open_database = watched(self, "sql")

    def wrap(self, owner: type, name: str, point: str | Callable[..., str]) -> None:
        """Have a point be passed before and after a method; it may go by what the method is
        given."""
        original = getattr(owner, name)
        called = point if callable(point) else lambda *_: point

        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def wrapped(*given: Any, **named: Any) -> Any:
                if isinstance(given[0], SqliteInvokeQueue):
                    self.queue = given[0]
                self.at(f"{called(*given)}:before")
                result = await original(*given, **named)
                self.at(f"{called(*given)}:after")
                return result

        else:  # returns a future

            @functools.wraps(original)
            def wrapped(*given: Any, **named: Any) -> Any:
                self.at(f"{called(*given)}:before")
                future = original(*given, **named)
                # Before all who wait for it hear of it: callbacks run in their order.
                future.add_done_callback(lambda _: self.at(f"{called(*given)}:after"))
                return future

        setattr(owner, name, wrapped)


def watched(points: Points, prefix: str) -> Callable[..., sqlite3.Connection]:
    """What stands for `open_database` where all statements of a database are points."""

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            name = f"{prefix}.{sql.split(None, 1)[0].lower()}"
            points.at(f"{name}:before")
            done = super().execute(sql, *parameters)
            points.at(f"{name}:after")
            return done

        def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
            points.at(f"{prefix}.many:before")
            done = super().executemany(sql, parameters)
            points.at(f"{prefix}.many:after")
            return done

    def opened(path: Path, *given: Any) -> sqlite3.Connection:
        # The schema is there by then; what is done from now on is watched.
        open_database(path, *given).close()
        connection = sqlite3.connect(path, isolation_level=None, factory=Watched)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    return opened


def die() -> None:
    """As `kill -9` has it."""
    os.kill(os.getpid(), signal.SIGKILL)
