"""Which versions start from a template, and what becomes of templates that end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from samovar.context.context import ExecutionContext
from samovar.context.launch_plan import Family
from samovar.context.launcher import Context, Placement
from samovar.context.nursery import Nursery
from samovar.context.opening import Failure, broken
from samovar.context.template import Template
from samovar.errors import SamovarError
from samovar.model.function import FunctionVersion

_log = logging.getLogger(__name__)
_RESPAWNS = (
    5  # deaths in a row, each within _QUICK seconds of the start, before contexts do without
)
_QUICK = 1.0
# Those that die of forking are given up before the scheduler, which tries to start a context three
# times, gives up whoever waits.
_BARREN = 2
# Seconds that contexts start on demand for after an init that failed, or a template that can't
# fork. Twice as long after each further failure: whoever starts first after that waits for another.
_AFTER_A_FAILURE = 5.0
_DOUBLINGS = 6

Place = Callable[[FunctionVersion, int], Awaitable[Placement]]
"""The placement of a template by its context's number. Raises SamovarError, OSError."""


@dataclass(slots=True)
class _Plot:
    """One version's."""

    version: FunctionVersion
    template: Template | None = None
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    started: float = 0.0
    quick_deaths: int = 0
    not_before: float = 0.0  # monotonic; until then contexts start on demand
    failures: int = 0  # in a row
    barren: int = 0  # templates in a row that died before they had made a context
    retired: bool = False
    embryo: Template | None = None  # its init runs
    used: float = 0.0  # monotonic


class Templates:
    """All templates of an engine, by pool."""

    def __init__(
        self,
        nursery: Nursery,
        family: Callable[[FunctionVersion], Family],
        place: Place,
        release: Callable[[Context], None],
    ) -> None:
        """`family` raises ClientError; `release` is told of each template that is gone."""
        self._nursery = nursery
        self._family = family
        self._place = place
        self._release = release
        self._plots: dict[str, _Plot] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._stopping = False
        # Whether a version is still there: what was asked for before its deletion gets no template.
        self.wanted: Callable[[FunctionVersion], bool] = lambda version: True

    @property
    def impossible(self) -> str | None:
        """Why there can be none on this host; None where there can."""
        return self._nursery.missing.get("templates")

    async def make(self, version: FunctionVersion) -> Failure | None:
        """Have a template of `version`; why there is none. Raises SamovarError, OSError."""
        plot = self._plots.setdefault(version.pool, _Plot(version))
        async with plot.making:
            if plot.template is not None and plot.template.alive:
                return None
            if plot.retired or self._stopping:
                return broken("the version is no longer wanted")
            zygote = await self._nursery.zygote(self._family(version))
            template = plot.embryo = self._nursery.new_template(zygote, self._release)
            try:
                placement = await self._place(version, template.number)
                failure = await template.start(version, placement)
            except BaseException:
                template.close()
                raise
            finally:
                plot.embryo = None
            if failure is not None:
                return failure
            if plot.retired or self._stopping:
                template.close()
                return broken("the version is no longer wanted")
            plot.template = template
            plot.started = plot.used = self._nursery.clock.monotonic()
            template.ended = lambda reason: self._ended(plot, template, reason)
            template.failed = lambda reason: self._put_off(plot, reason)
            return None

    async def obtain(self, version: FunctionVersion) -> ExecutionContext | None:
        """A context that only has to be restored; None where it has to start on demand."""
        if self.impossible is not None or not self.wanted(version):
            return None
        plot = self._plots.setdefault(version.pool, _Plot(version))
        plot.used = self._nursery.clock.monotonic()
        if plot.used < plot.not_before:
            return None
        if plot.template is None or not plot.template.alive:
            try:
                failure = await self.make(version)
            except (SamovarError, OSError) as error:
                failure = broken(str(error))
            if failure is not None:
                self._put_off(plot, failure.reason)
                return None
        assert plot.template is not None
        return plot.template.obtain()

    def retire(self, version: FunctionVersion) -> None:
        """The version is gone: end its template; contexts that run finish."""
        plot = self._plots.pop(version.pool, None)
        if plot is not None:
            plot.retired = True
            for template in filter(None, (plot.template, plot.embryo)):
                template.retire()

    def let_go_of_one(self) -> None:
        """End the template that was not used for longest, if there is one without contexts: the
        host is short of memory, and its version's next cold start makes another."""
        idle = [
            plot
            for plot in self._plots.values()
            if plot.template is not None and plot.template.alive and plot.template.deserted
        ]
        if not idle:
            return
        plot = min(idle, key=lambda one: one.used)
        template, plot.template = plot.template, None
        assert template is not None
        _log.warning("template of %s: ended for want of memory", plot.version.qualified_arn)
        template.retire()

    async def stop(self) -> None:
        """End them all, before the zygotes."""
        self._stopping = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for plot in self._plots.values():
            plot.retired = True
            if plot.template is not None:
                plot.template.close()
        self._plots.clear()

    def all(self) -> list[tuple[FunctionVersion, Template]]:
        """Those that there are."""
        return [
            (plot.version, plot.template)
            for plot in self._plots.values()
            if plot.template is not None and plot.template.alive
        ]

    def _put_off(self, plot: _Plot, reason: str) -> None:
        arn = plot.version.qualified_arn
        said = "".join(one if one.isprintable() else " " for one in reason)  # by a function, maybe
        _log.warning("%s has no template, its contexts start on demand: %s", arn, said)
        if plot.template is not None and not plot.template.barren:
            plot.failures = 0
        pause = _AFTER_A_FAILURE * 2 ** min(plot.failures, _DOUBLINGS)
        plot.not_before = self._nursery.clock.monotonic() + pause
        plot.failures += 1

    def _ended(self, plot: _Plot, template: Template, reason: str) -> None:
        if plot.template is not template or plot.retired or self._stopping:
            return
        if self._nursery.clock.monotonic() < plot.not_before:
            return  # it was to blame
        plot.barren = plot.barren + 1 if template.barren else 0
        if plot.barren >= _BARREN:
            plot.barren = 0
            self._put_off(plot, reason)
            return
        quick = self._nursery.clock.monotonic() - plot.started < _QUICK
        plot.quick_deaths = plot.quick_deaths + 1 if quick else 0
        if plot.quick_deaths >= _RESPAWNS:
            plot.quick_deaths = 0
            self._put_off(plot, f"it died {_RESPAWNS} times at once")
            return
        _log.error("template of %s: %s; making another", plot.version.qualified_arn, reason)
        task = asyncio.ensure_future(self._make_again(plot))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _make_again(self, plot: _Plot) -> None:
        try:
            failure = await self.make(plot.version)
        except (SamovarError, OSError) as error:
            failure = broken(str(error))
        if failure is not None:
            self._put_off(plot, failure.reason)
