"""One directory that functions run from: its watch, its copies, and who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from samovar.clock import Clock, Timer
from samovar.errors import EngineError, SamovarError
from samovar.model.function import CodePackage
from samovar.registry.live.burst import Burst
from samovar.registry.live.copies import Copies, Snapshot
from samovar.registry.live.tree import LiveFault
from samovar.registry.live.watch import DirectoryWatch
from samovar.stores.threads import Threads

_log = logging.getLogger(__name__)

# By then the contexts of the code before have ended, as a rule, and their copy can be used again.
_MAKE_NEXT_AFTER = 0.5
_RETRY_AFTER = 1.0  # seconds, where the disk failed
_LOOK_EVERY = 1.0  # seconds, where the system gives no watches; there is no other way then

Changed = Callable[[CodePackage | LiveFault, str], Awaitable[None]]
"""Called with what a directory (the second argument) holds now, or why it can't be had. Raises
SamovarError if that could not be written down; it is called again later then."""
DemandStandIn = Callable[[CodePackage], None]
"""Raises EngineError if a package may not take the place of one whose files are gone."""
InUse = Callable[[], Collection[CodePackage]]
"""The packages that contexts run, or that new contexts may be started with."""


class WatchedDirectory:
    """Copied at each change; told as it is now, or why it can't be had."""

    def __init__(
        self,
        directory: str,
        *,
        fresh: Callable[[], Path],
        clock: Clock,
        threads: Threads,
        changed: Changed,
        in_use: InUse,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._threads = threads
        self._tell = changed
        self._packages_in_use = in_use
        self._watch = DirectoryWatch(Path(directory), self._told)
        self._copies = Copies(Path(directory), fresh, self._watch)
        self._burst = Burst(clock, self.look_again)
        self._reading: int | None = None
        self._stale: set[str] = set()
        self._lock = asyncio.Lock()
        self._round: asyncio.Task[None] | None = None
        self._again = False
        self._timers: dict[str, Timer] = {}
        self._published: dict[str, Path] = {}  # by digest
        self._current: Snapshot | None = None
        self._fault: SamovarError | None = None
        self._looked = asyncio.Event()
        self._warned = False
        self._closed = False

    async def close(self) -> None:
        """Stop watching and wait for what is under way; idempotent."""
        self._closed = True
        self._burst.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._round is not None:
            await asyncio.wait([self._round])
        async with self._lock:
            self._stop_reading()
            self._watch.close()
        self._looked.set()

    async def remove(self) -> bool:
        """Once closed: delete the copies that no context runs; returns whether none is left."""
        async with self._lock:
            self._current = None
            self._forget_unused()
            return await self._threads.run(self._copies.remove, self._in_use())

    def look_again(self) -> None:
        """Take in what has changed, in the background, and tell it."""
        if self._closed:
            return
        if self._round is not None:
            self._again = True
            return
        self._round = asyncio.get_running_loop().create_task(self._rounds())

    async def up_to_date(self) -> CodePackage:
        """What the directory holds now, with what the kernel has not told yet. Raises LiveFault,
        EngineError."""
        self._watch.readable()
        self._burst.cancel()
        before = self._current
        snapshot = await self._follow()
        if before is not None and before.sha256 != snapshot.sha256:
            self.look_again()  # the other functions of this directory hear of it too
        return self._package(snapshot)

    def published(self, code: CodePackage) -> Path | None:
        """The copy of just that code, if there is one."""
        return self._published.get(code.sha256) if code.directory == self._directory else None

    async def tree(self, code: CodePackage, demand_stand_in: DemandStandIn | None) -> Path:
        """The copy of that code, or the current one: what is not in use may be gone."""
        if self._current is None:
            await self._looked.wait()
        if self._current is None:
            raise EngineError(
                f"The function runs from {self._directory}, which can't be read: "
                f"{self._fault or 'the engine is stopping'}. Put it back, or deploy other code."
            )
        path = self.published(code)
        if path is None:
            path = self._current.path
            if demand_stand_in is not None:
                demand_stand_in(self._package(self._current))
                # Noted, so that it stays as it is for as long as anything runs it as that code.
                self._published[code.sha256] = path
        return path

    async def _rounds(self) -> None:
        try:
            await self._round_once()
            while self._again and not self._closed:
                self._again = False
                await self._round_once()
        finally:
            self._round = None

    async def _round_once(self) -> None:
        try:
            try:
                found: CodePackage | LiveFault = self._package(await self._follow())
            except LiveFault as fault:
                found = fault
            await self._tell(found, self._directory)
        except SamovarError as error:
            _log.warning("changes of %s are not taken in, trying again: %s", self._directory, error)
            self._later("retry", _RETRY_AFTER, self.look_again)

    async def _follow(self) -> Snapshot:
        async with self._lock:
            self._forget_unused()
            stale, self._stale = self._stale, set()
            try:
                snapshot = await self._threads.run(self._copies.follow, stale, self._in_use())
            except SamovarError as error:
                self._fault = error
                raise
            finally:
                self._looked.set()
                self._after_walk()
            self._fault = None
            self._current = snapshot
            self._published[snapshot.sha256] = snapshot.path
        self._later("next", _MAKE_NEXT_AFTER, self._make_next_later)
        return snapshot

    def _make_next_later(self) -> None:
        if self._round is None and not self._closed:
            self._round = asyncio.get_running_loop().create_task(self._make_next())

    async def _make_next(self) -> None:
        try:
            async with self._lock:
                self._forget_unused()
                await self._threads.run(self._copies.make_next, self._in_use())
        except SamovarError as error:
            _log.info("no copy of %s ahead of need: %s", self._directory, error)
        finally:
            self._round = None
            self._after_walk()
            if self._again:
                self._again = False
                self.look_again()

    def _told(self, changed: set[str]) -> None:
        if not self._closed:
            self._stale |= changed
            self._burst.changed()

    def _after_walk(self) -> None:
        """The walk has set up the watch: read what it hears; where it can't hear, look."""
        if self._closed:
            return
        fd = self._watch.fd
        if fd is not None and self._reading is None:
            asyncio.get_running_loop().add_reader(fd, self._watch.readable)
            self._reading = fd
        if self._watch.exhausted is None:
            self._warned = False
            return
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s can't be watched (%s): it is looked through every %g s instead. Raise the "
                "limit with sysctl, or deploy from a smaller directory.",
                *(self._directory, self._watch.exhausted, _LOOK_EVERY),
            )
        self._later("look", _LOOK_EVERY, self._look_everywhere)

    def _look_everywhere(self) -> None:
        self._stale.add("")
        self.look_again()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            asyncio.get_running_loop().remove_reader(self._reading)
            self._reading = None

    def _later(self, what: str, delay: float, callback: Callable[[], None]) -> None:
        if self._closed:
            return
        earlier = self._timers.pop(what, None)
        if earlier is not None:
            earlier.cancel()
        self._timers[what] = self._clock.call_later(delay, callback)

    def _in_use(self) -> frozenset[Path]:
        return frozenset(self._published.values())

    def _forget_unused(self) -> None:
        used = {
            code.sha256 for code in self._packages_in_use() if code.directory == self._directory
        }
        self._published = {sha: path for sha, path in self._published.items() if sha in used}

    def _package(self, snapshot: Snapshot) -> CodePackage:
        return CodePackage(
            snapshot.sha256, snapshot.size, snapshot.preload, directory=self._directory
        )
