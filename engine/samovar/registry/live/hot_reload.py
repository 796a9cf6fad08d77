"""Hot reload: directories that functions run from, copied at each change within a moment.

A function runs a copy and never the directory itself: an invocation sees the code of one moment
however long it runs, files that only their owner may read are readable for it, and nobody can
write in the engine's walls through a link. A directory is copied and watched once, for all the
functions that are deployed from it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from samovar.clock import Clock, Timer
from samovar.errors import AWS, ClientError, EngineError, SamovarError
from samovar.model.function import CodePackage
from samovar.registry.live.burst import Burst
from samovar.registry.live.copies import Copies, Snapshot
from samovar.registry.live.tree import LiveFault
from samovar.registry.live.watch import DirectoryWatch
from samovar.settings import Settings
from samovar.stores.protocols import CodeStore
from samovar.stores.threads import Threads

_log = logging.getLogger(__name__)

# By then the contexts of the code before have ended, as a rule, and their copy can be used again.
_MAKE_NEXT_AFTER = 0.5
_RETRY_AFTER = 1.0  # seconds, where the disk failed
_LOOK_EVERY = 1.0  # seconds, where the system gives no watches; there is no other way then
_THREADS = 4

Changed = Callable[[CodePackage | LiveFault, str], Awaitable[None]]
"""Called with what a directory (the second argument) holds now, or why it can't be had. Raises
SamovarError if that could not be written down; it is called again later then."""
DemandStandIn = Callable[[CodePackage], None]
"""Raises EngineError if a package may not take the place of one whose files are gone."""
InUse = Callable[[], Collection[CodePackage]]
"""The packages that contexts run, or that new contexts may be started with."""


class HotReload:
    """All directories that functions are deployed from, by their real path.

    `changed` has to be set before anything is watched.
    """

    changed: Changed

    def __init__(self, code: CodeStore, clock: Clock, settings: Settings, *, in_use: InUse) -> None:
        self._code = code
        self._clock = clock
        self._settings = settings
        self._in_use = in_use
        self._threads = Threads("samovar-reload", _THREADS)
        self._live: dict[str, _LiveDirectory] = {}
        self._leaving: list[_LiveDirectory] = []  # copies of theirs are still in use

    async def close(self) -> None:
        """Watch no more, and wait for what is under way; idempotent. The copies are left to the
        store's next start."""
        live, self._live = [*self._live.values(), *self._leaving], {}
        self._leaving.clear()
        for directory in live:
            await directory.close()
        await self._threads.close()

    def resume(self, directories: Collection[str]) -> None:
        """Watch the directories of functions that an earlier engine has left; they are copied in
        the background, and compared with what the functions' records say."""
        for directory in directories:
            self._add(directory).look_again()

    async def take(self, path: Path, *, trusted: bool) -> CodePackage:
        """The code of `path` as it is now; watched until `keep_only` leaves it out.

        Unless `trusted`, the directory has to lie within the setting `hot_reload_roots`. Raises
        ClientError for a path that can't be, or may not be, deployed from.
        """
        directory = self._checked(path, trusted)
        live = self._live.get(directory) or self._add(directory)
        try:
            return await live.up_to_date()
        except LiveFault as fault:
            raise _bad(f"{directory} can't be deployed: {fault}") from fault

    @property
    def leaving(self) -> bool:
        """Whether there are copies of directories that were let go of: contexts run them."""
        return bool(self._leaving)

    async def tree(self, code: CodePackage, demand_stand_in: DemandStandIn | None = None) -> Path:
        """Where the files of `code` are; waits for the first copy.

        Files that were read by an earlier engine are gone; if the directory holds others by now,
        `demand_stand_in` is asked whether those will do. Raises EngineError.
        """
        live = self._live.get(code.directory)
        if live is None:
            raise EngineError(f"the directory {code.directory} is not watched any more")
        return await live.tree(code.sha256, demand_stand_in)

    def catch_up(self, directory: str) -> None:
        """Tell again what `directory` holds: a function may have missed it while it was made."""
        live = self._live.get(directory)
        if live is not None:
            live.look_again()

    async def keep_only(self, directories: Collection[str]) -> None:
        """Let go of all directories but these."""
        # All at once: one of them may be deployed from anew while others are being closed.
        gone = [self._live.pop(name) for name in self._live.keys() - set(directories)]
        self._leaving += gone
        for directory in gone:
            await directory.close()
        for directory in tuple(self._leaving):
            if await directory.remove() and directory in self._leaving:
                self._leaving.remove(directory)

    def _add(self, directory: str) -> _LiveDirectory:
        live = self._live[directory] = _LiveDirectory(
            directory,
            fresh=self._code.live_tree,
            clock=self._clock,
            threads=self._threads,
            changed=self.changed,
            in_use=self._in_use,
        )
        return live

    def _checked(self, path: Path, trusted: bool) -> str:
        if not path.is_absolute():
            raise _bad(f"The path {str(path)!r} is not absolute: hot reload needs the whole path.")
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            real = None
        if real is None and (trusted or self._within_roots(Path(os.path.normpath(path)))):
            raise _bad(f"There is no directory {str(path)!r} on the machine of this engine.")
        # Before anything else is said of it: who may not deploy from it may not probe it either.
        if not trusted and (real is None or not self._within_roots(real)):
            raise self._not_allowed(path)
        assert real is not None
        if not real.is_dir():
            raise _bad(f"{str(path)!r} is a file: hot reload takes the directory it is in.")
        if self._settings.data_dir.resolve().is_relative_to(real):
            raise _bad(
                f"{str(path)!r} holds the engine's own data directory, {self._settings.data_dir}: "
                "deploy from a directory below it."
            )
        return str(real)

    def _within_roots(self, path: Path) -> bool:
        return any(path.is_relative_to(root.resolve()) for root in self._settings.hot_reload_roots)

    def _not_allowed(self, path: Path) -> ClientError:
        roots = ", ".join(map(str, self._settings.hot_reload_roots)) or "none"
        return _bad(
            f"Hot reload from {str(path)!r} is not allowed by this engine, because whoever deploys "
            f"a directory can read it. Allowed are directories within: {roots}. Start it with "
            f"--hot-reload-roots (or SAMOVAR_HOT_RELOAD_ROOTS) and a directory that holds it."
        )


class _LiveDirectory:
    """One directory: its watch, its copies, and who is told."""

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

    async def tree(self, sha256: str, demand_stand_in: DemandStandIn | None) -> Path:
        """The copy of that digest, or the current one: what is not in use may be gone."""
        if self._current is None:
            await self._looked.wait()
        if self._current is None:
            raise EngineError(
                f"The function runs from {self._directory}, which can't be read: "
                f"{self._fault or 'the engine is stopping'}. Put it back, or deploy other code."
            )
        if sha256 not in self._published:
            if demand_stand_in is not None:
                demand_stand_in(self._package(self._current))
            # Noted, so that it stays as it is for as long as anything runs it under that digest.
            self._published[sha256] = self._current.path
        return self._published[sha256]

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


def _bad(message: str) -> ClientError:
    return ClientError(AWS.INVALID_PARAMETER, message)
