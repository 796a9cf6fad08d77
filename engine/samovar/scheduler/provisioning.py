"""Has the scheduler keep what the configs of provisioned concurrency ask for, whatever changes.

A config of an alias follows it. Where it is moved, the contexts of the version that it has left go
at once and those of the new one come: the alias' invocations are the new version's from that moment
on, and nothing would use the old ones but the memory that the new ones need.

The scheduler keeps contexts by version, so that an invocation of it by whatever qualifier finds a
free one (whether AWS lets one in by the version's number, where the config is an alias's, is
unconfirmed).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from samovar.errors import EngineError
from samovar.model.alias import Alias
from samovar.model.function import FunctionVersion
from samovar.model.provisioning import Progress, ProvisionedStatus, ShownConfig
from samovar.registry.functions import FunctionRegistry
from samovar.registry.provisioned import Kept
from samovar.scheduler.driver import Scheduler


class Provisioning:
    """A listener of the registry; one per engine, on its loop."""

    def __init__(self, registry: FunctionRegistry, scheduler: Scheduler) -> None:
        self._configs = registry.provisioned
        self._scheduler = scheduler
        self._kept: dict[str, Mapping[str, Kept]] = {}  # by functions' ARNs, then by pools
        self._allocated: dict[str, int] = {}  # by pools: the most that there has been at once
        self._change = asyncio.Event()
        self._closed = False
        registry.provisioned.progress_of = self._progress
        scheduler.provisioned_changed = self._changed

    def restore(self) -> None:
        """Keep what the registry has found at its start."""
        for arn in self._configs.functions():
            self._follow(arn)

    def close(self) -> None:
        """Let nobody wait any longer; idempotent."""
        self._closed = True
        self._change.set()

    async def wait_settled(self, name: str, qualifier: str) -> ShownConfig:
        """Wait until a config is READY or FAILED, and return it; raises 404, also once it is
        deleted, and EngineError when the engine stops."""
        while True:
            shown = self._configs.get(name, qualifier)
            if shown.status is not ProvisionedStatus.IN_PROGRESS:
                return shown
            if self._closed:
                raise EngineError("the engine stopped before the contexts were ready")
            await self._change.wait()

    # -- from the registry

    def provisioned_changed(self, function_arn: str, qualifier: str) -> None:
        """Part of RegistryListener: a config was put, maybe once more to be tried again, or
        deleted."""
        self._follow(function_arn, again=self._configs.wanted(function_arn, qualifier))

    def alias_changed(self, function_arn: str, old: Alias | None, new: Alias | None) -> None:
        """Part of RegistryListener: a config of the alias follows it."""
        self._follow(function_arn)

    def version_published(self, version: FunctionVersion) -> None:
        """Part of RegistryListener: what was asked for before it was Active."""
        self._follow(version.arn)

    def version_deleted(self, version: FunctionVersion) -> None:
        """Part of RegistryListener: its config went with it."""
        self._follow(version.arn)

    def function_changed(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        """Part of RegistryListener: all configs go with the function."""
        if old is not None and new is None:
            self._follow(old.arn)

    def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
        """Part of RegistryListener: the configs are what they were."""

    # -- inside

    def _follow(self, function_arn: str, *, again: Collection[str] = ()) -> None:
        """Have the scheduler keep what is wanted now; it is told even of what it keeps, of the
        pools `again`."""
        kept = self._kept.pop(function_arn, {})
        wanted = self._configs.wanted(function_arn)
        if wanted:
            self._kept[function_arn] = wanted
        for pool, (version, _) in kept.items():
            if pool not in wanted:
                self._allocated.pop(pool, None)
                self._scheduler.provision(version, 0)
        for pool, item in wanted.items():
            if pool in again or item.contexts != _count(kept, pool):
                self._allocated[pool] = 0
                self._scheduler.provision(*item)
                self._count_allocated(item.version)
        self._tell()

    def _progress(self, version: FunctionVersion) -> Progress:
        there = self._scheduler.provisioned(version)
        return Progress(there.ready, self._allocated.get(version.pool, 0), there.failure)

    def _changed(self, version: FunctionVersion) -> None:
        self._count_allocated(version)
        self._tell()

    def _count_allocated(self, version: FunctionVersion) -> None:
        before = self._allocated.get(version.pool)
        if before is not None:
            there = self._scheduler.provisioned(version).ready
            self._allocated[version.pool] = max(before, there)

    def _tell(self) -> None:
        self._change.set()
        if not self._closed:
            self._change = asyncio.Event()


def _count(kept: Mapping[str, Kept], pool: str) -> int:
    item = kept.get(pool)
    return 0 if item is None else item.contexts
