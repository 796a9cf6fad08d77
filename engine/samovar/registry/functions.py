"""The registry: which functions there are, and which version of one runs now.

Reads come from memory; changes go through `changes`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.metrics.observer import Observer
from samovar.model.function import CodePackage, FunctionVersion
from samovar.registry import archives, packages, transitions
from samovar.registry.attached import KINDS, Attached
from samovar.registry.changes import Changes, MakeReady, NewFunction
from samovar.registry.code_signing import CodeSigning
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.index import AccountUsage, Entry, FunctionPage, Index
from samovar.registry.layer_index import LayerIndex
from samovar.registry.layers import LayerRegistry
from samovar.registry.live.hot_reload import HotReload
from samovar.registry.permissions import Permissions
from samovar.registry.records import FUNCTION, TAGS, Tags, from_stored
from samovar.registry.recursion import Recursion
from samovar.registry.runtime_management import RuntimeManagements, demand_runtime_may_change
from samovar.registry.runtimes import Runtimes
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


class ExtractedTree(NamedTuple):
    """The directory of a package's files, that of its layers (None without any), and the seconds it
    took until they were there."""

    path: Path
    layers: Path | None
    seconds: float


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
        self._clock = clock
        self._settings = settings
        self._index = Index(settings.region, settings.account_id)
        layers = self._layers = LayerIndex(settings.region, settings.account_id)
        self._hot_reload = HotReload(code, clock, settings, in_use=self._live_packages)
        # Versions that contexts run or are being started for, whoever else has let go of them.
        self.running: Callable[[], Iterable[FunctionVersion]] = tuple
        self._receiver = Receiver(code, settings, self._hot_reload)
        self._configs = CodeSigningConfigs(self._index, store, clock, settings, node_id)
        self._changes = Changes(
            index=self._index,
            layers=layers,
            store=store,
            receiver=self._receiver,
            runtimes=runtimes,
            signing=self._configs,
            clock=clock,
            settings=settings,
            node_id=node_id,
            tell=self._tell,
            hot_reload=self._hot_reload,
        )
        self._hot_reload.changed = self._changes.reload
        self.code_signing = CodeSigning(self._index, self._changes, self._configs)
        self.permissions = Permissions(self._index, self._changes)
        self._changes.demand_runtime_may_change = demand_runtime_may_change
        self.recursion = Recursion(self._index, self._changes)
        self.runtime_management = RuntimeManagements(
            self._index, self._changes, runtimes, settings.region
        )
        self.layers = LayerRegistry(layers, self._changes, store, self._receiver, clock, node_id)
        self._elsewhere: set[str] = set()  # packages of other Regions' and accounts' functions
        self._merged_elsewhere: set[tuple[str, ...]] = set()  # and their layers
        self._listeners: dict[int, RegistryListener] = {}
        self._extracting: dict[tuple[str, ...], asyncio.Task[Path]] = {}

    async def open(self) -> None:
        """Load what is stored, finish what a killed engine left Pending or InProgress, and delete
        packages that nothing refers to any more."""
        try:
            await self._store.open()
            await self._code.open()
            await self._load()
            await self.collect()
            self._hot_reload.resume(self._index.directories())
        except BaseException:
            await self.close()
            raise

    async def _load(self) -> None:
        records = await self._store.load()
        self._configs.restore(records)
        tags = {record.key: Tags.of(record) for record in records if record.kind == TAGS}
        attached: defaultdict[str, list[Attached]] = defaultdict(list)
        for record in records:
            if record.kind in KINDS:
                attachment = Attached.of(record)
                attached[attachment.function].append(attachment)
        entries = []
        for record in records:
            if record.kind != FUNCTION:
                continue
            function = from_stored(record)
            if function.arn == self._index.arn(function.name):
                entries.append(Entry(function, tags.get(function.arn), attached[function.arn]))
            else:
                self._elsewhere.add(function.code.sha256)
                self._merged_elsewhere.add(_layer_hashes(function))
        self._elsewhere |= self.layers.restore(records)
        await self._changes.restore(entries)

    async def close(self) -> None:
        """Finish changes under way, then let go of the stores; idempotent."""
        await self._changes.close()
        if self._extracting:
            await asyncio.wait(self._extracting.values())
        await self._hot_reload.close()
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
        usage = self._index.usage()
        size = usage.total_code_size + self._layers.code_size()
        return usage._replace(total_code_size=size)

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
        self._changes.make_ready = make_ready

    async def wait_settled(self, name: str) -> FunctionVersion:
        """Wait until nothing is under way for the function, and return it; raises 404."""
        while True:
            entry = self._index.entry(name)
            if transitions.is_settled(entry.shown):
                return entry.shown
            await entry.settled.wait()

    # Changing.

    async def create(self, new: NewFunction) -> FunctionVersion:
        """Create a function; it is returned Pending and turns Active by itself."""
        return await self._changes.carry_out(self._changes.create(new))

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
        return await self._changes.carry_out(change)

    async def update_configuration(
        self, name: str, changes: ConfigurationChanges, *, revision_id: str | None = None
    ) -> FunctionVersion:
        """Change the configuration; returned with its update in progress. Parts that `changes`
        doesn't give stay as they are."""
        change = self._changes.update_configuration(name, changes, revision_id)
        return await self._changes.carry_out(change)

    async def delete(self, name: str) -> None:
        """Delete a function and its tags, whatever is under way for it."""
        await self._changes.carry_out(self._changes.delete(name))

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
            await self._changes.carry_out(self._changes.retag(self._tagged(resource), change))

    # Packages.

    async def ensure_extracted(self, function: FunctionVersion) -> ExtractedTree:
        """The files of a version's package and layers; concurrent calls extract once.

        Raises EngineError if a package is gone or damaged.
        """
        start = self._clock.monotonic()
        if function.code.directory:
            path = await self._hot_reload.tree(function.code)
        else:
            path = await self._extracted((function.code.sha256,))
        layers = None
        if function.configuration.layers:
            layers = await self._extracted(_layer_hashes(function))
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
            extraction.add_done_callback(lambda _: self._extracting.pop(hashes))
            extraction.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Shielded: one impatient caller must not end it for the others.
        return await asyncio.shield(extraction)

    async def read_package(self, code: CodePackage) -> bytes:
        """The zip of a version, or one of the files that hot reload runs now; raises EngineError
        if it is gone or damaged."""
        if code.directory:
            tree = await self._hot_reload.tree(code)
            return await asyncio.to_thread(archives.zip_directory, tree)
        return await self._code.read(code.sha256)

    async def collect(self, in_use: Collection[FunctionVersion] = ()) -> tuple[str, ...]:
        """Delete packages that no function or layer refers to, and return their hashes.

        `in_use` are versions whose contexts still drain; their packages stay. While code is
        arriving nothing is deleted: a later call does it.
        """
        async with self._changes.no_arrivals() as none_arriving:
            if not none_arriving:
                return ()
            keep = self._elsewhere | {layer.code.sha256 for layer in self._layers.versions()}
            merged = set(self._merged_elsewhere)
            versions = list(in_use)
            for entry in self._index:
                versions.append(entry.shown)
                if entry.serving is not None:
                    versions.append(entry.serving)
            for version in versions:
                keep.add(version.code.sha256)
                merged.add(_layer_hashes(version))
            keep.update(*merged)
            return tuple(await self._code.collect(keep, merged))

    def _live_packages(self) -> Collection[CodePackage]:
        return [*self._index.packages(), *(version.code for version in self.running())]

    def _tagged(self, resource: str) -> str:
        return tagged_function(
            resource, region=self._settings.region, account=self._settings.account_id
        )

    def _tell(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        for listener in tuple(self._listeners.values()):
            try:
                listener.function_changed(old, new)
            except Exception:
                # The change has happened: the others must hear of it all the same.
                _log.exception("a listener of the registry failed")


def _layer_hashes(function: FunctionVersion) -> tuple[str, ...]:
    return tuple(layer.sha256 for layer in function.configuration.layers)
