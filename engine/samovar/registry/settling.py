"""How creations and updates come to their end: made ready, written durably, then told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from samovar.clock import Clock, Timer
from samovar.errors import ClientError, EngineError
from samovar.model.function import FunctionVersion
from samovar.registry import transitions
from samovar.registry.index import Entry, Index
from samovar.registry.kept_packages import KeptPackages
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer

_log = logging.getLogger(__name__)

# How long after a failed write (a full disk, say) a state transition is tried again, seconds.
_RETRY_AFTER = 1.0

Tell = Callable[[FunctionVersion | None, FunctionVersion | None], None]
"""Called on the loop after each change of what a function's invocations run."""

MakeReady = Callable[[FunctionVersion], Awaitable[None]]
"""Called with a version that is about to be served, so that its first invocation finds what it
needs; must not raise."""


async def _nothing_to_do(_: FunctionVersion) -> None:
    pass


class Settling:
    """Carries creations and updates to their end; tried again as long as the disk fails."""

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        index: Index,
        underway: UnderWay,
        writer: Writer,
        packages: KeptPackages,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self.make_ready: MakeReady = _nothing_to_do
        self._index = index
        self._underway = underway
        self._writer = writer
        self._packages = packages
        self._clock = clock
        self._tell = tell
        self._retries: dict[Entry, Timer] = {}

    def close(self) -> None:
        """What is still to be retried is left to the next start; idempotent."""
        for timer in self._retries.values():
            timer.cancel()
        self._retries.clear()

    def start(self, entry: Entry) -> None:
        """Settle in the background."""
        self._underway.start(self.settle(entry))

    async def settle(self, entry: Entry) -> None:
        """Carry what is under way for a function to its end, unless it is deleted meanwhile."""
        self._retries.pop(entry, None)
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
                _log.warning("%s stays unsettled, trying again: %s", function.arn, error)
                if not self._underway.closed:
                    self._retries[entry] = self._clock.call_later(
                        _RETRY_AFTER, lambda: self.start(entry)
                    )
                return
            old, entry.serving = entry.serving, function
            entry.settled.set()
            self._tell(old, function)
        self._packages.catch_up(function.code)
        if old is not None:
            await self._packages.let_go()
