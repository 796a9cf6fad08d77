"""The registry: which functions there are, and which version of one runs now.

Reads come from memory; changes go through `changes`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.metrics.observer import Observer
from samovar.model.concurrency import Account
from samovar.model.function import LATEST, FunctionVersion
from samovar.registry import restoring, transitions
from samovar.registry.aliases import Aliases
from samovar.registry.attaching import Attaching
from samovar.registry.changes import Changes, NewFunction
from samovar.registry.code_signing import CodeSigning
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.concurrency import Concurrency
from samovar.registry.event_invoke import EventInvokeConfigs
from samovar.registry.event_source_mappings import EventSourceMappings
from samovar.registry.index import AccountUsage, FunctionPage, Index
from samovar.registry.kept_packages import ExtractedTree, KeptPackages
from samovar.registry.layer_index import LayerIndex
from samovar.registry.layers import LayerRegistry
from samovar.registry.permissions import Permissions
from samovar.registry.provisioned import ProvisionedConcurrency
from samovar.registry.publishing import Publishing
from samovar.registry.recursion import Recursion
from samovar.registry.reloading import Reloading
from samovar.registry.runtime_management import RuntimeManagements, demand_runtime_may_change
from samovar.registry.runtimes import Runtimes
from samovar.registry.settling import MakeReady, Settling, Unready
from samovar.registry.sources import (
    CodeSource,
    Directory,
    LiveDirectory,
    Module,
    Receiver,
    S3Object,
    ZipBytes,
)
from samovar.registry.tags import Tagged, kind_of, tagged_function
from samovar.registry.telling import Listeners, RegistryListener
from samovar.registry.transitions import ConfigurationChanges
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.settings import Settings
from samovar.stores.protocols import CodeStore, RecordStore

__all__ = [
    "AccountUsage",
    "CodeSource",
    "ConfigurationChanges",
    "Directory",
    "ExtractedTree",
    "FunctionPage",
    "FunctionRegistry",
    "LiveDirectory",
    "Module",
    "NewFunction",
    "RegistryListener",
    "S3Object",
    "Unready",
    "ZipBytes",
]


class FunctionRegistry:
    """Functions by name, for one Region and account; for one event loop, opened once.

    It owns `store` and `code` from `open` to `close`. All methods raise ClientError for what the
    caller did wrong and EngineError if the disk fails; a call that raised has changed nothing.
    """

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        store: RecordStore,
        code: CodeStore,
        runtimes: Runtimes,
        clock: Clock,
        settings: Settings,
        node_id: str,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw` gives numbers from 0 to below 1, one for each invocation of an alias that stands
        for two versions."""
        self.runtimes = runtimes
        self._store = store
        self._code = code
        self._settings = settings
        listeners = self._listeners = Listeners()
        index = self._index = Index(settings.region, settings.account_id, draw)
        layers = LayerIndex(settings.region, settings.account_id)
        underway = self._underway = UnderWay(index)
        writer = Writer(store, node_id)
        self._packages = KeptPackages(code, index, layers, underway, clock, settings)
        self._receiver = Receiver(code, settings, self._packages.hot_reload)
        self._configs = CodeSigningConfigs(index, writer, clock, settings)
        self._settling = Settling(index, underway, writer, self._packages, clock, listeners)
        reloading = Reloading(
            index, underway, writer, self._configs, self._settling, clock, listeners
        )
        self._packages.hot_reload.changed = reloading.reload
        self._packages.demand_stand_in = reloading.demand_stand_in
        self.versions = Publishing(
            index,
            underway,
            writer,
            self._receiver,
            self._packages,
            self._settling,
            clock,
            listeners,
        )
        self.aliases = Aliases(index, underway, writer, listeners)
        self._changes = Changes(
            index=index,
            layers=layers,
            underway=underway,
            writer=writer,
            receiver=self._receiver,
            packages=self._packages,
            runtimes=runtimes,
            signing=self._configs,
            settling=self._settling,
            clock=clock,
            settings=settings,
            publishing=self.versions,
            listeners=listeners,
        )
        self._changes.demand_runtime_may_change = demand_runtime_may_change
        attaching = self._attaching = Attaching(index, underway, writer)
        self.code_signing = CodeSigning(index, underway, attaching, self._configs)
        self.permissions = Permissions(index, attaching)
        account = Account.of(settings.account_concurrency, settings.unreserved_minimum)
        self.concurrency = Concurrency(index, attaching, account, listeners.concurrency_changed)
        self.provisioned = ProvisionedConcurrency(
            index, attaching, self.concurrency, clock, listeners.provisioned_changed
        )
        self.aliases.demand_movable = self.provisioned.demand_movable
        self.recursion = Recursion(index, attaching)
        self.event_invoke = EventInvokeConfigs(index, attaching, clock)
        self.event_sources = EventSourceMappings(index, underway, writer, clock, settings)
        self.runtime_management = RuntimeManagements(index, attaching, runtimes, settings.region)
        self.layers = LayerRegistry(layers, underway, writer, self._packages, self._receiver, clock)
        # Where the files of a version are: see `KeptPackages`.
        self.ensure_extracted = self._packages.ensure_extracted
        self.read_package = self._packages.read
        self.collect = self._packages.collect

    async def open(self) -> None:
        """Load what is stored, finish what a killed engine left Pending or InProgress, and delete
        packages that nothing refers to any more."""
        try:
            await self._store.open()
            await self._code.open()
            await self._load()
            await self.collect()
            self._packages.hot_reload.resume(self._index.directories())
        except BaseException:
            await self.close()
            raise

    async def _load(self) -> None:
        records = await self._store.load()
        self._configs.restore(records)
        self.event_sources.restore(records)
        found = restoring.functions(records, self._index, self._configs)
        self._packages.keep_elsewhere(found.elsewhere, found.merged_elsewhere)
        self._packages.keep_elsewhere(self.layers.restore(records), ())
        for entry in found.functions:
            self._index.add(entry)
        for entry in found.functions:
            await self._settling.settle(entry)

    async def close(self) -> None:
        """Finish changes under way, then let go of the stores; idempotent."""
        self._settling.close()
        await self._underway.close()
        await self._packages.close()
        await self._receiver.close()
        await self._code.close()
        await self._store.close()

    # Reading: synchronous, from memory.

    def resolve(self, name: str, qualifier: str | None = None) -> FunctionVersion:
        """What an invocation of `name` runs now: while an update is in progress, the old version;
        for an alias of two versions, one that is drawn.

        On the path of every invocation. Raises ClientError: 404 for an unknown function or
        qualifier, 409 while the version is Pending, or when it has Failed.
        """
        return self._index.resolve(name, qualifier)

    def candidates(self, name: str, qualifier: str | None = None) -> tuple[FunctionVersion, ...]:
        """What an invocation of `name` may run now: of an alias both versions; raises as `resolve`
        does."""
        return self._index.candidates(name, qualifier)

    def get(self, name: str, qualifier: str | None = None) -> FunctionVersion:
        """What GetFunction shows, for an alias its (first) version; raises ClientError (404)."""
        return self._index.shown(name, qualifier)

    def is_there(self, version: FunctionVersion) -> bool:
        """Whether it was neither changed nor deleted."""
        try:
            return self.get(version.name, version.version).pool == version.pool
        except ClientError:
            return False

    def list(
        self,
        marker: str | None = None,
        max_items: int | None = None,
        *,
        all_versions: bool = False,
    ) -> FunctionPage:
        """A page of functions in the order of their names: at most 50, at most `max_items`; or of
        all their versions.

        `marker` is an earlier page's `next_marker`. Raises ClientError for any other, and unless
        `max_items` is between 1 and 10000.
        """
        if all_versions:
            return self._index.page_of_all(marker, max_items)
        return self._index.page(marker, max_items)

    def account_usage(self) -> AccountUsage:
        """What GetAccountSettings tells of use."""
        return self._index.usage()._replace(total_code_size=self._packages.code_size())

    def tags_of(self, resource: str) -> Mapping[str, str]:
        """The tags of the function (an ARN, or any other reference), code signing config or event
        source mapping that `resource` names."""
        holder = self._holder(resource)
        if holder is not None:
            return dict(holder.tags_of(resource))
        return self._index.tags(self._tagged(resource))

    def subscribe(self, listener: RegistryListener) -> Callable[[], None]:
        """Tell `listener` of changes from now on; call what is returned to end it."""
        return self._listeners.add(listener)

    def observe_with(self, observer: Observer) -> None:
        """Tell `observer` of packages that are let through without a signature."""
        self._configs.observer = observer

    def make_ready_with(self, make_ready: MakeReady) -> None:
        """Await `make_ready(version)` before a version turns Active; it must not raise."""
        self._settling.make_ready = make_ready

    def resume(self) -> None:
        """Carry on, in the background, with published versions that an earlier engine left
        Pending: after `make_ready_with`, because they are made ready."""
        self._settling.resume()

    def keep_what_runs(
        self, running: Callable[[], Iterable[FunctionVersion]]
    ) -> Callable[[], None]:
        """Keep the packages of what `running()` gives, the versions that contexts run or are being
        started for; call what is returned when there are fewer of them."""
        self._packages.running = running
        return self._packages.look_again

    async def wait_settled(self, name: str, qualifier: str | None = None) -> FunctionVersion:
        """Wait until nothing is under way for the function, or for one of its published versions,
        and return it; raises 404."""
        while qualifier is not None and qualifier != LATEST:
            version = self._index.shown(name, qualifier)
            if version.version == LATEST:  # an alias of it
                break
            if transitions.is_settled(version):
                return version
            await self._index.entry(name).next_change()
        while True:
            entry = self._index.entry(name)
            if transitions.is_settled(entry.shown):
                return entry.shown
            await entry.settled.wait()

    async def wait_changed(self, name: str, revision_id: str) -> FunctionVersion:
        """Wait until the function has another revision than `revision_id`, and return it; raises
        404, once it is deleted, too."""
        while True:
            entry = self._index.entry(name)
            if entry.shown.revision_id != revision_id:
                return entry.shown
            await entry.next_change()

    # Changing.

    async def create(self, new: NewFunction) -> FunctionVersion:
        """Create a function; it is returned Pending and turns Active by itself. Returned is its
        version 1 if it is published with it."""
        return await self._underway.carry_out(self._changes.create(new))

    async def update_code(
        self,
        name: str,
        source: CodeSource,
        *,
        revision_id: str | None = None,
        dry_run: bool = False,
        publish: bool = False,
    ) -> FunctionVersion:
        """Replace the code; returned with its update in progress.

        `revision_id`: refuse (412) if the function has another one. `dry_run`: check everything,
        change nothing, and return what the function would be like with the new code. `publish`: it
        is published with it, in one durable write, and the version is returned, Pending; the
        last one if neither code nor configuration has changed since.
        """
        change = self._changes.update_code(name, source, revision_id, dry_run, publish)
        return await self._underway.carry_out(change)

    async def update_configuration(
        self, name: str, changes: ConfigurationChanges, *, revision_id: str | None = None
    ) -> FunctionVersion:
        """Change the configuration; returned with its update in progress. Parts that `changes`
        doesn't give stay as they are."""
        change = self._changes.update_configuration(name, changes, revision_id)
        return await self._underway.carry_out(change)

    async def delete(self, name: str) -> None:
        """Delete a function with its versions, aliases and tags, whatever is under way for it."""
        await self._underway.carry_out(self._changes.delete(name))

    async def tag(self, resource: str, tags: Mapping[str, str]) -> None:
        """Add tags to what `resource` names, or replace those with the same key."""
        self.tags_of(resource)
        if not tags:
            raise ClientError(
                AWS.INVALID_PARAMETER, "An error occurred and the request cannot be processed."
            )
        given = dict(tags)
        await self._retag(resource, lambda present: {**present, **given})

    async def untag(self, resource: str, keys: Collection[str]) -> None:
        """Remove tags; keys that aren't there are no error."""
        gone = frozenset(keys)
        await self._retag(
            resource, lambda present: {k: v for k, v in present.items() if k not in gone}
        )

    async def _retag(
        self, resource: str, change: Callable[[Mapping[str, str]], dict[str, str]]
    ) -> None:
        holder = self._holder(resource)
        if holder is not None:
            await holder.retag(resource, change)
        else:
            await self._attaching.retag(self._tagged(resource), change)

    def _holder(self, resource: str) -> Tagged | None:
        """Who keeps the tags of `resource`; None for a function's."""
        kind = kind_of(resource)
        if kind == "code-signing-config":
            return self.code_signing
        return self.event_sources if kind == "event-source-mapping" else None

    def _tagged(self, resource: str) -> str:
        return tagged_function(
            resource, region=self._settings.region, account=self._settings.account_id
        )
