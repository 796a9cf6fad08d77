"""The registry: which functions there are, and which version of one runs now.

Reads come from memory; changes go through `changes`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.metrics.observer import Observer
from samovar.model.concurrency import Account
from samovar.model.function import FunctionVersion
from samovar.registry import restoring, transitions
from samovar.registry.attaching import Attaching
from samovar.registry.changes import Changes, NewFunction
from samovar.registry.code_signing import CodeSigning
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.concurrency import Concurrency
from samovar.registry.index import AccountUsage, FunctionPage, Index
from samovar.registry.kept_packages import ExtractedTree, KeptPackages
from samovar.registry.layer_index import LayerIndex
from samovar.registry.layers import LayerRegistry
from samovar.registry.permissions import Permissions
from samovar.registry.recursion import Recursion
from samovar.registry.reloading import Reloading
from samovar.registry.runtime_management import RuntimeManagements, demand_runtime_may_change
from samovar.registry.runtimes import Runtimes
from samovar.registry.settling import MakeReady, Settling
from samovar.registry.sources import (
    CodeSource,
    Directory,
    LiveDirectory,
    Module,
    Receiver,
    S3Object,
    ZipBytes,
)
from samovar.registry.tags import is_code_signing_config, tagged_function
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
    "ZipBytes",
]

_log = logging.getLogger(__name__)


class RegistryListener(Protocol):
    """Told when what invocations of a function run has changed."""

    def function_changed(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        """`old` is None for a new function, `new` for a deleted one. Called on the loop, in the
        order of the changes, after they are durable and visible; must not block or raise."""

    def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
        """What a function has reserved from now on; None for nothing, and for one that had some and
        is deleted, which is told next."""


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
    ) -> None:
        self.runtimes = runtimes
        self._store = store
        self._code = code
        self._settings = settings
        self._listeners: dict[int, RegistryListener] = {}
        index = self._index = Index(settings.region, settings.account_id)
        layers = LayerIndex(settings.region, settings.account_id)
        underway = self._underway = UnderWay(index)
        writer = Writer(store, node_id)
        self._packages = KeptPackages(code, index, layers, underway, clock, settings)
        self._receiver = Receiver(code, settings, self._packages.hot_reload)
        self._configs = CodeSigningConfigs(index, writer, clock, settings)
        self._settling = Settling(index, underway, writer, self._packages, clock, self._tell)
        reloading = Reloading(
            index, underway, writer, self._configs, self._settling, clock, self._tell
        )
        self._packages.hot_reload.changed = reloading.reload
        self._packages.demand_stand_in = reloading.demand_stand_in
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
            tell=self._tell,
        )
        self._changes.demand_runtime_may_change = demand_runtime_may_change
        attaching = self._attaching = Attaching(index, underway, writer)
        self.code_signing = CodeSigning(index, underway, attaching, self._configs)
        self.permissions = Permissions(index, attaching)
        account = Account.of(settings.account_concurrency, settings.unreserved_minimum)
        self.concurrency = Concurrency(index, attaching, account, self._tell_reserved)
        self._changes.concurrency_over = self.concurrency.over
        self.recursion = Recursion(index, attaching)
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
        """What an invocation of `name` runs now: while an update is in progress, the old version.

        On the path of every invocation. Raises ClientError: 404 for an unknown function or
        qualifier (only $LATEST exists), 409 while the function is Pending.
        """
        return self._index.resolve(name, qualifier)

    def get(self, name: str, qualifier: str | None = None) -> FunctionVersion:
        """What GetFunction shows; raises ClientError (404)."""
        return self._index.entry(name, qualifier).shown

    def list(self, marker: str | None = None, max_items: int | None = None) -> FunctionPage:
        """A page of functions in the order of their names: at most 50, at most `max_items`.

        `marker` is an earlier page's `next_marker`. Raises ClientError for any other, and unless
        `max_items` is between 1 and 10000.
        """
        return self._index.page(marker, max_items)

    def account_usage(self) -> AccountUsage:
        """What GetAccountSettings tells of use."""
        return self._index.usage()._replace(total_code_size=self._packages.code_size())

    def tags_of(self, resource: str) -> Mapping[str, str]:
        """The tags of the function (an ARN, or any other reference) or code signing config that
        `resource` names."""
        if is_code_signing_config(resource):
            return dict(self.code_signing.get(resource).tags)
        return self._index.tags(self._tagged(resource))

    def subscribe(self, listener: RegistryListener) -> Callable[[], None]:
        """Tell `listener` of changes from now on; call what is returned to end it."""
        key = id(listener)
        self._listeners[key] = listener

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

    def observe_with(self, observer: Observer) -> None:
        """Tell `observer` of packages that are let through without a signature."""
        self._configs.observer = observer

    def make_ready_with(self, make_ready: MakeReady) -> None:
        """Await `make_ready(version)` before a version turns Active; it must not raise."""
        self._settling.make_ready = make_ready

    def keep_what_runs(
        self, running: Callable[[], Iterable[FunctionVersion]]
    ) -> Callable[[], None]:
        """Keep the packages of what `running()` gives, the versions that contexts run or are being
        started for; call what is returned when there are fewer of them."""
        self._packages.running = running
        return self._packages.look_again

    async def wait_settled(self, name: str) -> FunctionVersion:
        """Wait until nothing is under way for the function, and return it; raises 404."""
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
        """Create a function; it is returned Pending and turns Active by itself."""
        return await self._underway.carry_out(self._changes.create(new))

    async def update_code(
        self,
        name: str,
        source: CodeSource,
        *,
        revision_id: str | None = None,
        dry_run: bool = False,
    ) -> FunctionVersion:
        """Replace the code; returned with its update in progress.

        `revision_id`: refuse (412) if the function has another one. `dry_run`: check everything,
        change nothing, and return what the function would be like with the new code.
        """
        change = self._changes.update_code(name, source, revision_id, dry_run)
        return await self._underway.carry_out(change)

    async def update_configuration(
        self, name: str, changes: ConfigurationChanges, *, revision_id: str | None = None
    ) -> FunctionVersion:
        """Change the configuration; returned with its update in progress. Parts that `changes`
        doesn't give stay as they are."""
        change = self._changes.update_configuration(name, changes, revision_id)
        return await self._underway.carry_out(change)

    async def delete(self, name: str) -> None:
        """Delete a function and its tags, whatever is under way for it."""
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
        if is_code_signing_config(resource):
            await self.code_signing.retag(resource, change)
        else:
            await self._attaching.retag(self._tagged(resource), change)

    def _tagged(self, resource: str) -> str:
        return tagged_function(
            resource, region=self._settings.region, account=self._settings.account_id
        )

    def _tell(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        self._each(lambda listener: listener.function_changed(old, new))

    def _tell_reserved(self, function_arn: str, reserved: int | None) -> None:
        self._each(lambda listener: listener.concurrency_changed(function_arn, reserved))

    def _each(self, tell: Callable[[RegistryListener], None]) -> None:
        for listener in tuple(self._listeners.values()):
            try:
                tell(listener)
            except Exception:
                # The change has happened: the others must hear of it all the same.
                _log.exception("a listener of the registry failed")
