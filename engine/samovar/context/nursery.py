"""Zygotes by family, and the spares forked from them ahead of need."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from samovar.clock import Clock
from samovar.context import launch_plan
from samovar.context.context import ExecutionContext
from samovar.context.launch_plan import Family, Premises
from samovar.context.launcher import Context
from samovar.context.spares import Spares
from samovar.context.surroundings import Surroundings
from samovar.context.template import Template
from samovar.context.uids import Tenants, Uids
from samovar.context.zygote import WallsRefused, Zygote
from samovar.errors import EngineError, WallsMissing
from samovar.metrics.observer import Observer, SilentObserver
from samovar.settings import Isolation

_log = logging.getLogger(__name__)
_RESPAWNS = 5  # deaths in a row, each within _QUICK seconds of the start, before it is an error
_QUICK = 1.0
_OWN_UID = "uid of its own"
_NO_CONTEXT_NEEDS = {"templates"}  # of what may be missing
_AFTER_A_FAILURE = 5.0  # seconds until a spare that never came up is tried again


@dataclass(slots=True)
class _Branch:
    """One family's zygote and spares, which are the zygote's that there is."""

    spares: Spares
    zygote: Zygote | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    started: float = 0.0
    quick_deaths: int = 0

    @property
    def alive(self) -> bool:
        return self.zygote is not None and self.zygote.alive


class Nursery:
    """Hands out contexts that are forked and wait to be told whose they are."""

    def __init__(
        self,
        premises: Premises,
        surroundings: Surroundings,
        *,
        isolation: Isolation,
        spares: int,
        uids: range,
    ) -> None:
        """`uids`: one for each context, where the engine is root's."""
        self.premises = premises
        self.walls: list[str] = []
        self.missing: dict[str, str] = {}
        self.observer: Observer = SilentObserver()
        self._surroundings = surroundings
        self._isolation = isolation
        self._spares = spares
        self._root = os.geteuid() == 0
        self._uids = Uids(uids) if self._root else None  # without any they stay who they are
        self._uids_refused = ""
        self._branches: dict[Family, _Branch] = {}
        self._numbers = itertools.count(1)
        self._stopping = False
        self._background: set[asyncio.Task[None]] = set()

    @property
    def walled(self) -> bool:
        """Whether contexts get namespaces; settled once the first zygote is up."""
        return self._isolation is not Isolation.NONE

    async def obtain(self, family: Family) -> ExecutionContext:
        """A context of `family`: a spare, or one being forked now. Raises EngineError."""
        branch = self._branch(family)
        await self._zygote(family, branch)
        return branch.spares.obtain()

    async def zygote(self, family: Family) -> Zygote:
        """The zygote of `family`. Raises EngineError."""
        return await self._zygote(family, self._branch(family))

    def new_template(self, zygote: Zygote, release: Callable[[Context], None]) -> Template:
        """One whose init is still to be run. Raises EngineError."""
        return Template(zygote, self._numbers, self._surroundings, self._spares, release)

    @property
    def clock(self) -> Clock:
        """The clock of all contexts."""
        return self._surroundings.clock

    async def warm(self, family: Family) -> None:
        """Have a zygote of `family`, and spares soon; failures show when it is needed."""
        branch = self._branch(family)
        try:
            await self._zygote(family, branch)
        except EngineError as error:
            _log.warning("no zygote for %s: %s", family.interpreter.runtime, error)
            return
        branch.spares.replenish()

    async def try_walls(self, family: Family) -> None:
        """Start the first zygote, which settles what the walls are. Raises EngineError."""
        await self._zygote(family, self._branch(family))

    async def stop(self) -> None:
        """End all zygotes, and with them every context there is."""
        self._stopping = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for family, branch in self._branches.items():
            branch.spares.close()
            if branch.zygote is not None:
                if branch.zygote.alive:
                    self.observer.zygote_died(family.interpreter.runtime, family.preload, True)
                await branch.zygote.stop()
        self._branches.clear()

    def zygote_pids(self) -> list[int]:
        """The pids of the zygotes that run now."""
        zygotes = (branch.zygote for branch in self._branches.values())
        return [zygote.pid for zygote in zygotes if zygote is not None and zygote.alive]

    def _branch(self, family: Family) -> _Branch:
        found = self._branches.get(family)
        if found is not None:
            return found

        def fork(spare: bool) -> ExecutionContext:
            zygote, number = branch.zygote, next(self._numbers)
            assert zygote is not None
            zygote.tenants.enter(number)
            try:
                return ExecutionContext(number, zygote, self._surroundings, spare)
            except OSError:
                zygote.tenants.ended(number, mounts_kept=False)
                raise

        spares = Spares(
            self._spares,
            self.clock,
            fork,
            possible=lambda: branch.alive and not self._stopping,
            whose=f"for {family.interpreter.runtime}",
            after_a_failure=_AFTER_A_FAILURE,
        )
        branch = self._branches[family] = _Branch(spares)
        return branch

    async def _zygote(self, family: Family, branch: _Branch) -> Zygote:
        if branch.zygote is not None and branch.zygote.alive:
            return branch.zygote
        async with branch.starting:
            if branch.zygote is not None and branch.zygote.alive:
                return branch.zygote
            if self._stopping:
                raise EngineError("the engine is stopping")
            if branch.quick_deaths >= _RESPAWNS:
                branch.quick_deaths = 0  # the next request may try again
                raise EngineError(
                    f"the zygote of {family.interpreter.runtime} died {_RESPAWNS} times at once; "
                    "its error is on the engine's stderr"
                )
            zygote = await self._start(family)
            branch.zygote = zygote
            self.observer.zygote_started(family.interpreter.runtime, family.preload)
            branch.started = self._surroundings.clock.monotonic()
            zygote.on_death = lambda reason: self._zygote_died(family, branch, reason)
            return zygote

    async def _start(self, family: Family) -> Zygote:
        try:
            return await self._launch_walled(family)
        except WallsRefused as refused:
            if self._isolation is Isolation.STRICT:
                raise WallsMissing(refused.missing) from refused
            if self._isolation is not Isolation.AUTO:
                raise
            self._isolation = Isolation.NONE
            zygote = await self._launch(family)
            self.missing.update(refused.missing)
            return zygote

    async def _launch_walled(self, family: Family) -> Zygote:
        try:
            return await self._launch(family)
        except WallsRefused as refused:
            if self._uids is None or not self.walled:
                raise
            # Root of a rootless container has the name but not the rights: he can do what any user
            # can, in a user namespace of his own.
            self._uids = None
            self._uids_refused = f"root's rights are refused here: {refused}"
            return await self._launch(family)

    async def _launch(self, family: Family) -> Zygote:
        premises = self.premises
        # Without mounts of its own another user could not reach the data directory.
        uids = self._uids if self.walled else None
        numbers = None if uids is None else uids.numbers
        launch = launch_plan.launch(family, premises, numbers, os.getpid(), self._isolation.value)
        zygote = await Zygote.start(launch, str(premises.worker), Tenants(uids))
        missing = zygote.hello.missing
        if self._root and uids is None:
            missing[_OWN_UID] = self._uids_refused or "no namespaces here: all contexts are root's"
        if self._isolation is Isolation.STRICT:
            needed = {wall: missing[wall] for wall in missing if wall not in _NO_CONTEXT_NEEDS}
            if needed:
                await zygote.stop()
                raise WallsMissing(needed)
        self.walls = zygote.hello.walls
        self.missing.update(missing)
        return zygote

    def _zygote_died(self, family: Family, branch: _Branch, reason: str) -> None:
        branch.spares.close()
        if self._stopping:
            return
        self.observer.zygote_died(family.interpreter.runtime, family.preload, False)
        _log.error("zygote of %s: %s; starting another", family.interpreter.runtime, reason)
        quick = self._surroundings.clock.monotonic() - branch.started < _QUICK
        branch.quick_deaths = branch.quick_deaths + 1 if quick else 0
        task = asyncio.ensure_future(self.warm(family))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
