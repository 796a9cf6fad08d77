"""The packages of functions and layers: where their files are, and which of them may go.

A package is in the code store before anything refers to it, and stays as long as a function or a
layer version refers to it, or a context that drains still runs it. What is let go of is collected
a moment later, by one look for all that was let go of until then; killed at any point of that, an
engine leaves whole packages only, and the next one collects at its start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from samovar.clock import Clock, Timer
from samovar.errors import AWS, ClientError, EngineError, SamovarError
from samovar.model import limits
from samovar.model.function import CodePackage, FunctionVersion
from samovar.registry import archives, packages
from samovar.registry.index import Index
from samovar.registry.layer_index import LayerIndex
from samovar.registry.live.hot_reload import HotReload
from samovar.registry.underway import UnderWay
from samovar.settings import Settings
from samovar.stores.protocols import CodeStore, PackageGone

_log = logging.getLogger(__name__)

COLLECT_AFTER = 5.0
"""Seconds from a change that let go of a package until packages are collected: long enough for the
contexts of most functions to have ended, and for a whole deployment to be collected at once."""


class ExtractedTree(NamedTuple):
    """The directory of a package's files, that of its layers (None without any), and the seconds it
    took until they were there."""

    path: Path
    layers: Path | None
    seconds: float


def layer_hashes(function: FunctionVersion) -> tuple[str, ...]:
    """The packages of a function's layers, in their order."""
    return tuple(layer.sha256 for layer in function.configuration.layers)


class KeptPackages:
    """Packages in a code store, and hot reload's copies, for one engine."""

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        code: CodeStore,
        index: Index,
        layers: LayerIndex,
        underway: UnderWay,
        clock: Clock,
        settings: Settings,
    ) -> None:
        # Versions that contexts run or are being started for, whoever else has let go of them.
        self.running: Callable[[], Iterable[FunctionVersion]] = tuple
        # Raises EngineError if a version may not run what its directory holds instead.
        self.demand_stand_in: Callable[[FunctionVersion, CodePackage], None] = lambda *_: None
        self.hot_reload = HotReload(code, clock, settings, in_use=self._live_packages)
        self._code = code
        self._index = index
        self._layers = layers
        self._underway = underway
        self._clock = clock
        self._elsewhere: set[str] = set()  # packages of other Regions and accounts
        self._merged_elsewhere: set[tuple[str, ...]] = set()
        self._extracting: dict[tuple[str, ...], asyncio.Task[Path]] = {}
        self._gate = asyncio.Lock()
        self._arrivals = 0
        self._timer: Timer | None = None
        self._put_off = False  # something may be collected once what hinders it now is over
        self._held: list[CodePackage] = []  # copies of hot reload's that are being read

    async def close(self) -> None:
        """Wait for what is being extracted, once no changes are under way; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._extracting:
            await asyncio.wait(self._extracting.values())
        await self.hot_reload.close()

    def keep_elsewhere(self, code: Collection[str], merged: Collection[tuple[str, ...]]) -> None:
        """Never collect these packages, nor what of them is merged: another Region or account, on
        the same directory, refers to them."""
        self._elsewhere |= set(code)
        self._merged_elsewhere |= set(merged)

    # Where the files are.

    async def ensure_extracted(self, function: FunctionVersion) -> ExtractedTree:
        """The files of a version's package and layers; concurrent calls extract once.

        Raises EngineError if a package is gone or damaged.
        """
        start = self._clock.monotonic()
        if function.code.directory:
            path = await self.hot_reload.tree(
                function.code, lambda found: self.demand_stand_in(function, found)
            )
        else:
            path = await self._extracted((function.code.sha256,))
        layers = None
        if function.configuration.layers:
            layers = await self._extracted(layer_hashes(function))
        return ExtractedTree(path, layers, self._clock.monotonic() - start)

    async def _extracted(self, hashes: tuple[str, ...]) -> Path:
        """The files of a package, or of several that are laid over each other."""
        extraction = self._extracting.get(hashes)
        if extraction is None:
            extraction = asyncio.get_running_loop().create_task(
                self._code.tree(hashes[0], packages.extract)
                if len(hashes) == 1
                else self._code.merged(hashes, packages.extract)
            )
            self._extracting[hashes] = extraction
            extraction.add_done_callback(lambda done: self._extraction_over(hashes, done))
        # Shielded: one impatient caller must not end it for the others.
        return await asyncio.shield(extraction)

    def _extraction_over(self, hashes: tuple[str, ...], done: asyncio.Task[Path]) -> None:
        del self._extracting[hashes]
        if not done.cancelled():
            done.exception()  # whoever waits has it, or has gone away
        self.look_again()

    async def read(self, code: CodePackage) -> bytes:
        """The zip of a version, or one of the files that hot reload runs now; raises PackageGone,
        and EngineError if it is damaged."""
        if code.directory:
            tree = await self.hot_reload.tree(code)
            return await asyncio.to_thread(archives.zip_directory, tree)
        try:
            return await self._code.read(code.sha256)
        except PackageGone as gone:
            if code.sha256 in self._referred()[0]:  # not collected, but lost
                raise EngineError(
                    f"{gone} Update the code of the functions that use it, or publish the layer "
                    "anew: that brings it back."
                ) from gone
            raise

    @asynccontextmanager
    async def held(
        self, code: CodePackage, function: FunctionVersion | None
    ) -> AsyncIterator[Path]:
        """The copy that hot reload has of `code`, which stays as it is meanwhile. `function` is
        the one that runs it, if one does already. Raises EngineError."""

        def demand_stand_in(found: CodePackage) -> None:
            if function is not None:
                self.demand_stand_in(function, found)

        self._held.append(code)
        try:
            yield await self.hot_reload.tree(code, demand_stand_in)
        finally:
            self._held.remove(code)

    def catch_up(self, code: CodePackage) -> None:
        """Ask hot reload once more for what a function may have missed while it was made."""
        if code.directory:
            self.hot_reload.catch_up(code.directory)

    # How much room they take.

    def code_size(self) -> int:
        """Bytes of the zipped code of all functions and layer versions."""
        return self._index.usage().total_code_size + self._layers.code_size()

    def demand_room(self, growth: int) -> None:
        """Raise AWS's error if `growth` bytes of zipped code more are too many."""
        if self.code_size() + growth > limits.CODE_STORAGE_SIZE:
            raise ClientError(AWS.CODE_STORAGE_EXCEEDED, "Code storage limit exceeded.")

    # Which of them may go.

    @asynccontextmanager
    async def arrival(self) -> AsyncIterator[None]:
        """While code is on its way that no record refers to yet: nothing is collected."""
        async with self._gate:
            self._arrivals += 1
        try:
            yield
        except BaseException:
            self._put_off = True  # what has arrived may be nobody's
            raise
        finally:
            self._arrivals -= 1
            await self._let_go_of_directories()
            if not self._arrivals:
                self.look_again()

    async def let_go(self) -> None:
        """Something refers to a package no more: collect it soon."""
        self._collect_soon()
        await self._let_go_of_directories()

    def look_again(self) -> None:
        """What hinders collecting may be over: code that arrived, contexts that ran it."""
        if self._put_off:
            self._put_off = False
            self._collect_soon()

    async def collect(self) -> tuple[str, ...]:
        """Delete packages that nothing refers to or runs, and return their hashes.

        While code is arriving nothing is deleted: it is done when the last of it is there. Raises
        EngineError if the disk fails.
        """
        # Whoever asks and goes away must not open the gate in the middle of it.
        return await self._underway.carry_out(self._collect())

    async def _collect(self) -> tuple[str, ...]:
        async with self._gate:
            if self._arrivals:
                self._put_off = True
                return ()
            keep, merged = self._referred()
            referred = len(keep), len(merged)
            for version in self.running():
                _note(version, keep, merged)
            merged.update(self._extracting)
            keep.update(*merged)
            if (len(keep), len(merged)) != referred or self.hot_reload.leaving:
                self._put_off = True
            return tuple(await self._code.collect(keep, merged))

    def _referred(self) -> tuple[set[str], set[tuple[str, ...]]]:
        """The packages that something stored refers to, and those that are merged for it."""
        keep = self._elsewhere | {layer.code.sha256 for layer in self._layers.versions()}
        merged = set(self._merged_elsewhere)
        for entry in self._index:
            for version in entry.referred():
                _note(version, keep, merged)
        keep.update(*merged)
        return keep, merged

    def _collect_soon(self) -> None:
        # Not put off by what comes meanwhile: somebody who deploys all the time is collected for.
        if self._timer is None and not self._underway.closed:
            self._timer = self._clock.call_later(COLLECT_AFTER, self._collect_now)

    def _collect_now(self) -> None:
        self._timer = None
        if not self._underway.closed:
            self._underway.start(self._collect_in_background())

    async def _collect_in_background(self) -> None:
        try:
            await self._let_go_of_directories()
            gone = await self._collect()
        except SamovarError as error:
            # Left to the next change that lets go of something, and to the next start.
            _log.warning("packages that nothing refers to are not collected: %s", error)
        else:
            if gone:
                _log.info("%d packages are deleted that nothing refers to any more", len(gone))

    async def _let_go_of_directories(self) -> None:
        """Watch only what functions run from; what arrives is nobody's yet."""
        if not self._arrivals:
            await self.hot_reload.keep_only(self._index.directories())

    def _live_packages(self) -> Collection[CodePackage]:
        running = (version.code for version in self.running())
        return [*self._index.packages(), *running, *self._held]


def _note(version: FunctionVersion, keep: set[str], merged: set[tuple[str, ...]]) -> None:
    keep.add(version.code.sha256)
    if version.configuration.layers:
        merged.add(layer_hashes(version))
