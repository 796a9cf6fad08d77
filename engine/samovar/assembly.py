"""The composition root: puts the parts of an engine together, and takes them apart again."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from samovar.clock import Clock
from samovar.context import delegation, launch_plan, sweep
from samovar.context.deadlines import Deadlines
from samovar.context.environment import Region
from samovar.context.freezing import Freezer
from samovar.context.host_memory import HostMemory, MemoryGauge, YieldingGauge, own_group
from samovar.context.launch_plan import Family
from samovar.context.limiter import Limiter
from samovar.context.nursery import Nursery
from samovar.context.offline import WALL, Offline
from samovar.context.provision import Provisioner
from samovar.context.surroundings import Limiting, Surroundings
from samovar.errors import ClientError, EngineError, WallsMissing
from samovar.event_sources.sources import EventSources
from samovar.invocation.asynchronous import AsyncInvocation
from samovar.invocation.sync import Invoker
from samovar.logs.journals import LogSink
from samovar.logs.keeping import Keeping
from samovar.metrics.freezing import NONE, FreezeNumbers
from samovar.metrics.observer import Observer
from samovar.metrics.prometheus import PrometheusObserver
from samovar.model.alias import Alias
from samovar.model.function import FunctionVersion
from samovar.registry.functions import FunctionRegistry, Unready
from samovar.registry.runtimes import Runtimes
from samovar.scheduler.driver import Scheduler
from samovar.scheduler.policy import Policy
from samovar.scheduler.provisioning import Provisioning
from samovar.settings import Isolation, Settings
from samovar.stores.code_files import FileCodeStore
from samovar.stores.faults import told
from samovar.stores.sqlite import SqliteRecordStore
from samovar.stores.sqlite_leases import SqliteLeaseStore
from samovar.stores.sqlite_queue import SqliteInvokeQueue

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Parts:
    """The parts of a running engine; also what the registry tells of changes."""

    registry: FunctionRegistry
    nursery: Nursery
    limiter: Limiting
    provisioner: Provisioner
    scheduler: Scheduler
    provisioning: Provisioning
    invoker: Invoker
    asynchronous: AsyncInvocation
    sources: EventSources
    keeping: Keeping
    memory: MemoryGauge
    freezer: Freezer | None
    _observer: Observer
    _endings: AsyncExitStack

    @classmethod
    async def assemble(
        cls,
        settings: Settings,
        metrics: PrometheusObserver,
        clock: Clock,
        sink: LogSink | None,
        runtimes: Runtimes | None,
        *,
        memory: MemoryGauge | None,
        draw: Callable[[], float],
    ) -> Self:
        """Parts that work, on a data directory that this process holds the lock of; whatever is
        raised, nothing is left open."""
        async with AsyncExitStack() as endings:
            run = settings.data_dir / "run"
            with told(run):
                sweep.sweep(run)
                premises = launch_plan.prepare(settings.data_dir / "code" / "tree", run)
            if memory is None:
                memory = endings.enter_context(
                    closing(HostMemory(settings.memory_reserve, group=own_group()))
                )
            node = _node_id(settings.data_dir)
            registry = FunctionRegistry(
                SqliteRecordStore(settings.data_dir),
                FileCodeStore(settings.data_dir),
                runtimes or await Runtimes.discover(settings),
                clock,
                settings,
                node,
                draw,
            )
            registry.observe_with(metrics)
            await registry.open()
            endings.push_async_callback(registry.close)
            keeping = Keeping(settings, clock, sink)
            endings.push_async_callback(keeping.close)
            metrics.watch_lost_records(keeping.lost.counts)
            offline = Offline.of(settings)
            surroundings = await _surroundings(settings, run, clock, keeping, endings)
            nursery = Nursery(
                *(premises, surroundings),
                isolation=settings.isolation,
                spares=settings.spares,
                uids=settings.uids,
                offline=offline,
            )
            nursery.observer = metrics
            endings.push_async_callback(nursery.stop)
            endings.callback(surroundings.deadlines.clear)
            if surroundings.freezer is not None:
                endings.push_async_callback(surroundings.freezer.stop)
            region = Region(settings.region, settings.aws_endpoint, settings.endpoints)
            provisioner = Provisioner(
                *(nursery, registry.runtimes, registry.ensure_extracted, clock, region),
                offline=offline,
            )
            templates = provisioner.templates
            endings.push_async_callback(templates.stop)
            templates.wanted = registry.is_there
            provisioner.demand_version = registry.runtime_management.demand
            scheduler = Scheduler(
                Policy(
                    settings.idle_timeout,
                    settings.max_contexts,
                    settings.max_waiting,
                    settings.account_concurrency,
                    settings.scaling_rate,
                    settings.request_rate,
                ),
                provisioner,
                clock,
                metrics,
                YieldingGauge(memory, templates.let_go_of_one),
            )
            invoker = Invoker(
                registry.resolve,
                scheduler,
                clock,
                registry.recursion.get,
                metrics.recursion_stopped,
            )
            asynchronous = AsyncInvocation(
                settings,
                registry,
                scheduler,
                SqliteInvokeQueue(settings.data_dir, node, settings.dead_events_size),
                clock,
                metrics,
                node=node,
            )
            sources = EventSources(
                settings,
                registry,
                scheduler,
                clock,
                metrics,
                SqliteLeaseStore(settings.data_dir),
                asynchronous.deliver,
                node=node,
            )
            provisioning = Provisioning(registry, scheduler)
            endings.callback(provisioning.close)
            parts = cls(
                registry,
                nursery,
                surroundings.limiter,
                provisioner,
                scheduler,
                provisioning,
                invoker,
                asynchronous,
                sources,
                keeping,
                memory,
                surroundings.freezer,
                metrics,
                endings,
            )
            await parts._settle_walls(metrics, settings.isolation, offline)
            for arn, reserved in registry.concurrency.reservations():
                scheduler.reserve(arn, reserved)
            registry.subscribe(parts)
            registry.subscribe(provisioning)
            registry.make_ready_with(parts.make_ready)
            registry.resume()
            provisioning.restore()
            await asynchronous.start()
            endings.push_async_callback(asynchronous.stop)
            sources.start()
            endings.push_async_callback(sources.stop)
            scheduler.version_over = registry.keep_what_runs(scheduler.versions)
            parts._endings = endings.pop_all()
            return parts

    async def _settle_walls(
        self, metrics: PrometheusObserver, isolation: Isolation, offline: Offline
    ) -> None:
        served = self.registry.runtimes.served
        if served:
            await self.nursery.try_walls(Family(served[0], "bare"))
            for pid in self.nursery.zygote_pids():
                await self.limiter.try_out(pid)
        if isolation is Isolation.STRICT and self.limiter.missing:
            raise WallsMissing(dict(self.limiter.missing))
        for wall in self.walls_held:
            metrics.wall(wall, True)
        for wall in self.walls_missing:
            metrics.wall(wall, False)
        if offline.asked and WALL in self.nursery.missing:
            whose = "all functions" if offline.everybody else ", ".join(sorted(offline.functions))
            why = self.nursery.missing[WALL]
            _log.warning("refused, because they are to have no network: %s (%s)", whose, why)

    @property
    def walls_held(self) -> tuple[str, ...]:
        """Walls and limits of contexts that this host allows."""
        return (*self.nursery.walls, *self.limiter.held)

    @property
    def walls_missing(self) -> dict[str, str]:
        """Those that it does not, and why."""
        return {**self.nursery.missing, **self.limiter.missing}

    def freezing(self) -> FreezeNumbers:
        """How many contexts are frozen now, and what came of freezing so far."""
        if self.freezer is None:
            return NONE
        frozen = sum(context.frozen for context in list(self.scheduler.contexts.values()))
        return FreezeNumbers(frozen, self.freezer.freezes, self.freezer.failures)

    async def dismantle(self) -> None:
        """End all parts, in the order in which none is needed by another any more; idempotent."""
        await self._endings.aclose()

    def function_changed(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        """Part of RegistryListener: drain the old version's contexts."""
        if new is not None:
            self.keeping.expect(new.name)
        if old is not None and (new is None or new.pool != old.pool):
            self.scheduler.retire(old, deleted=new is None)

    def provisioned_changed(self, function_arn: str, qualifier: str) -> None:
        """Part of RegistryListener: see `Provisioning`, which is another one."""

    def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
        """Part of RegistryListener: admit no more of a function than it has reserved, and no others
        in its places."""
        self.scheduler.reserve(function_arn, reserved)

    def version_published(self, version: FunctionVersion) -> None:
        """Part of RegistryListener: there is nothing to do before somebody invokes it."""

    def version_deleted(self, version: FunctionVersion) -> None:
        """Part of RegistryListener: drain the version's contexts."""
        self.provisioner.templates.retire(version)
        self.scheduler.retire(version, deleted=True)

    def alias_changed(self, function_arn: str, old: Alias | None, new: Alias | None) -> None:
        """Part of RegistryListener: aliases are resolved when they are invoked, but what is counted
        under their names ends."""
        if old is not None:
            versions = frozenset(() if new is None else new.versions)
            self._observer.alias_changed(function_arn.rpartition(":")[2], old.name, versions)

    async def make_ready(self, version: FunctionVersion) -> Unready | None:
        """Have a zygote and spares of the version's family, and its layers merged, before it turns
        Active."""
        try:
            await self.nursery.warm(self.provisioner.family(version))
            if version.configuration.layers:
                await self.registry.ensure_extracted(version)
            templates = self.provisioner.templates
            if not self.provisioner.may_run(version):
                return None  # invoking it says so, and a host that can may come
            if version.starts_from_template and templates.impossible is None:
                failure = await templates.make(version)
                if failure is not None:
                    return Unready(failure.reason, failure.state_code)
        except (ClientError, EngineError, OSError) as error:
            if version.starts_from_template:
                return Unready(str(error), "InternalError")
            # Its interpreter or a package is gone: invoking it says so.
        return None


async def _surroundings(
    settings: Settings, run: Path, clock: Clock, keeping: Keeping, endings: AsyncExitStack
) -> Surroundings:
    """What contexts share."""
    name = delegation.tops_name(sweep.marker(run))
    limiter = Limiter(
        await asyncio.to_thread(delegation.ask, settings.cgroups, name),
        clock,
        quota=settings.cpu_quota,
        insist=settings.isolation is Isolation.STRICT,
    )
    endings.push_async_callback(limiter.close)
    deadlines = Deadlines(clock)
    freezer = Freezer(clock, settings.freeze_after) if settings.freeze else None
    journal = keeping.journal
    return Surroundings(clock, deadlines, settings.init_timeout, journal, limiter, freezer)


def _node_id(data_dir: Path) -> str:
    """An id that stays with the data directory; every durable write carries it."""
    path = data_dir / "node-id"
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.touch(0o600)
        fresh.write_text(secrets.token_hex(8))
        fresh.replace(path)
    return path.read_text().strip()
