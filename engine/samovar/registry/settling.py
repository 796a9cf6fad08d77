"""How creations and updates come to their end: made ready, written durably, then told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from samovar.clock import Clock, Timer
from samovar.errors import ClientError, EngineError
from samovar.model.function import LATEST, FunctionVersion, State
from samovar.registry import transitions
from samovar.registry.index import Entry, Index
from samovar.registry.kept_packages import KeptPackages
from samovar.registry.telling import Listeners
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer

_log = logging.getLogger(__name__)

# How long after a failed write (a full disk, say) a state transition is tried again, seconds.
_RETRY_AFTER = 1.0


class Unready(NamedTuple):
    """Why a published version can't be served: its StateReason and StateReasonCode."""

    reason: str
    code: str


MakeReady = Callable[[FunctionVersion], Awaitable[Unready | None]]
"""Called with a version that is about to be served, so that its first invocation finds what it
needs; must not raise. A published version that it gives an Unready for turns Failed."""


async def _nothing_to_do(_: FunctionVersion) -> None:
    return None


class Settling:
    """Carries creations, updates and publications to their end; tried again as long as the disk
    fails."""

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        index: Index,
        underway: UnderWay,
        writer: Writer,
        packages: KeptPackages,
        clock: Clock,
        listeners: Listeners,
    ) -> None:
        self.make_ready: MakeReady = _nothing_to_do
        self._index = index
        self._underway = underway
        self._writer = writer
        self._packages = packages
        self._clock = clock
        self._listeners = listeners
        self._retries: dict[tuple[Entry, str], Timer] = {}

    def close(self) -> None:
        """What is still to be retried is left to the next start; idempotent."""
        for timer in self._retries.values():
            timer.cancel()
        self._retries.clear()

    def start(self, entry: Entry) -> None:
        """Settle in the background."""
        self._underway.start(self.settle(entry))

    def start_published(self, entry: Entry, number: str) -> None:
        """Settle a published version in the background."""
        self._underway.start(self._settle_published(entry, number))

    def resume(self) -> None:
        """Carry on with the published versions that an earlier engine left Pending."""
        for entry in self._index:
            for version in entry.versions.values():
                if not transitions.is_settled(version):
                    self.start_published(entry, version.version)

    async def settle(self, entry: Entry) -> None:
        """Carry what is under way for a function to its end, unless it is deleted meanwhile."""
        self._retries.pop((entry, LATEST), None)
        # Before the lock: an interpreter may take a second to come up, and a delete need not wait.
        await self.make_ready(entry.shown)
        async with self._underway.lock(entry.shown.name):
            if self._index.find(entry.shown.name) is not entry:
                return
            if transitions.is_settled(entry.shown):
                return
            function = transitions.settled(entry.shown)
            try:
                await self._writer.replace(entry, function)
            except (EngineError, ClientError) as error:
                self._try_again(entry, function, error, lambda: self.start(entry))
                return
            old, entry.serving = entry.serving, function
            entry.settled.set()
            self._listeners.function_changed(old, function)
        self._packages.catch_up(function.code)
        if old is not None:
            await self._packages.let_go()

    async def _settle_published(self, entry: Entry, number: str) -> None:
        self._retries.pop((entry, number), None)
        version = entry.versions.get(number)
        if version is None or transitions.is_settled(version):
            return
        unready = await self.make_ready(version)
        async with self._underway.lock(version.name):
            if self._index.find(version.name) is not entry or number not in entry.versions:
                return
            present = entry.versions[number]  # its revision may be another by now
            if transitions.is_settled(present):
                return
            done = transitions.ready(present)
            if unready is not None:
                done = transitions.failed(present, *unready)
            try:
                await self._writer.rewrite(present, done)
            except (EngineError, ClientError) as error:
                self._try_again(entry, done, error, lambda: self.start_published(entry, number))
                return
            entry.keep(done)
            if done.state is State.ACTIVE:
                self._listeners.version_published(done)
            else:
                _log.warning("%s failed: %s", done.qualified_arn, done.state_reason)

    def _try_again(
        self, entry: Entry, version: FunctionVersion, error: Exception, again: Callable[[], None]
    ) -> None:
        _log.warning("%s stays unsettled, trying again: %s", version.qualified_arn, error)
        if not self._underway.closed:
            self._retries[entry, version.version] = self._clock.call_later(_RETRY_AFTER, again)
