"""Hot reload: directories that functions run from, copied at each change within a moment.

A function runs a copy and never the directory itself: an invocation sees the code of one moment
however long it runs, files that only their owner may read are readable for it, and nobody can
write in the engine's walls through a link. A directory is copied and watched once, for all the
functions that are deployed from it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.model.function import CodePackage
from samovar.registry.live.tree import LiveFault
from samovar.registry.live.watched import Changed, DemandStandIn, InUse, WatchedDirectory
from samovar.settings import Settings
from samovar.stores.protocols import CodeStore, PackageGone
from samovar.stores.threads import Threads

_THREADS = 4


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
        self._live: dict[str, WatchedDirectory] = {}
        self._leaving: list[WatchedDirectory] = []  # copies of theirs are still in use

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
        `demand_stand_in` is asked whether those may be run (without it, nobody runs what is asked
        for). Raises EngineError.
        """
        live = self._live.get(code.directory)
        # What drains may have its files in a copy of a directory that was let go of.
        for copied in (live, *self._leaving):
            path = copied and copied.published(code)
            if path:
                return path
        if live is None:
            raise PackageGone(f"the directory {code.directory} is not watched any more")
        return await live.tree(code, demand_stand_in)

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

    def _add(self, directory: str) -> WatchedDirectory:
        live = self._live[directory] = WatchedDirectory(
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


def _bad(message: str) -> ClientError:
    return ClientError(AWS.INVALID_PARAMETER, message)
