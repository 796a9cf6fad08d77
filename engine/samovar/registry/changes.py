"""Creation, update and deletion of functions: each is checked, written durably, then taken into
memory, then told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.model.arn import FunctionReference
from samovar.model.function import CodePackage, Configuration, FunctionVersion
from samovar.registry import rules, transitions
from samovar.registry.attached import Attached, Kind
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.concurrency import reserved_of
from samovar.registry.index import Entry, Index
from samovar.registry.kept_packages import KeptPackages
from samovar.registry.layer_index import LayerIndex
from samovar.registry.publishing import Publishing
from samovar.registry.records import FUNCTION, Tags, to_stored
from samovar.registry.runtimes import Runtimes
from samovar.registry.settling import Settling
from samovar.registry.sources import CodeSource, Module, Received, Receiver
from samovar.registry.telling import Listeners
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.settings import Settings
from samovar.stores.protocols import Put, Remove


@dataclass(frozen=True, slots=True)
class NewFunction:
    """What CreateFunction is asked for.

    With a `Module` as the source, `handler` and `runtime` of the configuration may be empty: the
    module says them. `layers` are the ARNs of layer versions; the configuration's are not looked
    at.
    """

    name: str
    configuration: Configuration
    source: CodeSource
    tags: Mapping[str, str] = field(default_factory=dict)
    code_signing_config: str | None = None  # an ARN
    layers: Sequence[str] = ()  # ARNs of layer versions
    publish: bool = False  # as version 1


class Changes:
    """Carries out what changes functions; to be run in tasks that nobody cancels (`UnderWay`)."""

    def __init__(
        self,
        *,
        index: Index,
        layers: LayerIndex,
        underway: UnderWay,
        writer: Writer,
        receiver: Receiver,
        packages: KeptPackages,
        runtimes: Runtimes,
        signing: CodeSigningConfigs,
        settling: Settling,
        clock: Clock,
        settings: Settings,
        publishing: Publishing,
        listeners: Listeners,
    ) -> None:
        self._index = index
        self._layers = layers
        self._underway = underway
        self._writer = writer
        self._receiver = receiver
        self._packages = packages
        self._runtimes = runtimes
        self._signing = signing
        self._settling = settling
        self._clock = clock
        self._settings = settings
        self._publishing = publishing
        self._listeners = listeners
        self.demand_runtime_may_change: Callable[[Entry], None] = lambda _: None

    async def create(self, new: NewFunction) -> FunctionVersion:
        """See `FunctionRegistry.create`."""
        region, account = self._settings.region, self._settings.account_id
        name = FunctionReference.parse_new(new.name, region=region, account=account).name
        rules.check_tags(new.tags)
        self._demand_free(name)
        if not isinstance(new.source, Module):
            self._check(new.configuration)  # before the code, which takes long
        self._layers.attached(new.layers)
        with self._signing.referring(new.code_signing_config):
            # Code and layers alike: where the one is refused there is nothing to ask of the others.
            self._signing.demand_deployable(name, new.code_signing_config)
            async with self._packages.arrival():
                received = await self._receiver.receive(new.source)
                configuration = _completed(new.configuration, received)
                self._check(configuration)
                configuration = replace(configuration, layers=self._layers.attached(new.layers))
                rules.check_unzipped(received.unzipped, configuration.layers)
                new = replace(new, configuration=configuration)
                frozen = self._frozen(received.code, new.publish)
                async with frozen as published, self._underway.lock(name):
                    entry = await self._write_new(name, new, received.code, published)
        self._signing.deployed(name, new.code_signing_config)
        self._settling.start(entry)
        shown = entry.shown
        for version in entry.versions.values():
            self._settling.start_published(entry, version.version)
            shown = version
        return shown

    @asynccontextmanager
    async def _frozen(self, code: CodePackage, publish: bool) -> AsyncIterator[CodePackage | None]:
        """`code` as a version keeps it; None if it is not to be published."""
        if not publish:
            yield None
            return
        async with self._publishing.frozen(code) as frozen:
            yield frozen

    async def _write_new(
        self, name: str, new: NewFunction, code: CodePackage, published: CodePackage | None
    ) -> Entry:
        self._demand_free(name)
        self._packages.demand_room(code.size + (published.size if published else 0))
        arn = self._index.arn(name)
        function = transitions.created(
            name,
            arn,
            new.configuration,
            code,
            generation=self._index.next_generation(),
            now=self._clock.wall(),
        )
        node = self._writer.node
        versions = []
        if published is not None:
            function, version, _ = self._publishing.plan(function, None, published)
            versions.append(version)
        writes = [Put(to_stored(made, node), None) for made in (function, *versions)]
        kept = Tags(arn, transitions.new_revision(), dict(new.tags)) if new.tags else None
        if kept is not None:
            writes.append(Put(kept.stored(node), None))
        attached = []
        if new.code_signing_config is not None:
            # Asked again: what it says may have been changed while the code was arriving.
            self._signing.demand_deployable(name, new.code_signing_config)
            revision = transitions.new_revision()
            config = Attached(Kind.CODE_SIGNING, arn, arn, revision, new.code_signing_config)
            writes.append(Put(config.stored(node), None))
            attached.append(config)
        await self._writer.write(arn, *writes)
        entry = Entry(function, kept, attached, versions)
        self._index.add(entry)
        return entry

    async def update_code(
        self,
        name: str,
        source: CodeSource,
        revision_id: str | None,
        dry_run: bool,
        publish: bool,
    ) -> FunctionVersion:
        """See `FunctionRegistry.update_code`."""
        # Asked before the code is fetched, which takes long, and again when it is there.
        entry = self._index.entry(name)
        shown = entry.shown
        transitions.demand_settled(shown)
        transitions.demand_revision(shown, revision_id)
        self._signing.demand_deployable(name, self._signing.of_function(entry))
        if dry_run:
            async with self._packages.arrival():
                received = await self._receiver.receive(source, keep=False)
                rules.check_unzipped(received.unzipped, shown.configuration.layers)
                return replace(shown, code=received.code)

        config: str | None = None

        def change(function: FunctionVersion) -> FunctionVersion:
            nonlocal config
            config = self._signing.of_function(entry)
            self._signing.demand_deployable(name, config)
            self._packages.demand_room(received.code.size - function.code.size)
            rules.check_unzipped(received.unzipped, function.configuration.layers)
            return self._updated(function, function.configuration, received.code)

        async with self._packages.arrival():
            received = await self._receiver.receive(source)
            async with self._frozen(received.code, publish) as frozen:
                updated = await self._update(entry, revision_id, change, frozen)
        self._signing.deployed(name, config)
        return updated

    async def update_configuration(
        self, name: str, changes: transitions.ConfigurationChanges, revision_id: str | None
    ) -> FunctionVersion:
        """See `FunctionRegistry.update_configuration`."""
        entry = self._index.entry(name)
        if changes.layers is None:
            return await self._reconfigure(entry, changes, revision_id)
        async with self._packages.arrival():  # of layers: they must not be collected meanwhile
            return await self._reconfigure(entry, changes, revision_id)

    async def _reconfigure(
        self, entry: Entry, changes: transitions.ConfigurationChanges, revision_id: str | None
    ) -> FunctionVersion:
        unzipped: dict[str, int] = {}
        if changes.layers:
            code = entry.shown.code
            unzipped[code.sha256] = await self._receiver.unzipped(code)
        config: str | None = None

        def change(function: FunctionVersion) -> FunctionVersion:
            nonlocal config
            configuration = changes.applied_to(function.configuration)
            if changes.layers is not None:
                layers = self._layers.attached(changes.layers)
                if layers and function.code.sha256 not in unzipped:
                    raise transitions.being_updated(function.arn)  # its code, meanwhile
                if layers:
                    rules.check_unzipped(unzipped[function.code.sha256], layers)
                configuration = replace(configuration, layers=layers)
                # Only of what comes new (unconfirmed): clients that describe a whole function name
                # its present layers with every change of anything.
                present = {layer.arn for layer in function.configuration.layers}
                for layer in layers:
                    if layer.arn not in present:
                        config = self._signing.of_function(entry)
                        self._signing.demand_deployable(layer.arn, config)
            rules.check_configuration(configuration)
            if changes.runtime is not None:
                self._runtimes.require(changes.runtime)
                if changes.runtime != function.configuration.runtime:
                    self.demand_runtime_may_change(entry)
            return self._updated(function, configuration, function.code)

        updated = await self._update(entry, revision_id, change)
        self._signing.deployed(updated.name, config)
        return updated

    async def _update(
        self,
        entry: Entry,
        revision_id: str | None,
        change: Callable[[FunctionVersion], FunctionVersion],
        published: CodePackage | None = None,
    ) -> FunctionVersion:
        """Carry out `change`; with `published`, the code of it as a version keeps it, in one
        durable write with the version, which is returned then."""
        # What is under way is refused and not waited for; asked again once the lock is held.
        transitions.demand_settled(entry.shown)
        async with self._underway.holding(entry):
            transitions.demand_settled(entry.shown)
            transitions.demand_revision(entry.shown, revision_id)
            shown = entry.shown
            function = change(shown)
            version, is_new = None, False
            writes = []
            if published is not None:
                function, version, is_new = self._publishing.plan(function, entry, published)
                if is_new:
                    self._packages.demand_room(
                        function.code.size - shown.code.size + version.code.size
                    )
                    writes.append(Put(to_stored(version, self._writer.node), None))
            writes.append(Put(to_stored(function, self._writer.node), shown.revision_id))
            await self._writer.write(function.arn, *writes)
            entry.show(function)
            entry.settled.clear()
            if version is not None and is_new:
                entry.keep(version)
        self._settling.start(entry)
        if version is not None and is_new:
            self._settling.start_published(entry, version.version)
        return version or function

    async def delete(self, name: str) -> None:
        """See `FunctionRegistry.delete`."""
        entry = self._index.entry(name)
        async with self._underway.holding(entry):
            arn = entry.shown.arn
            await self._writer.write(arn, Remove(FUNCTION, arn, entry.shown.revision_id))
            self._index.remove(name)
            for alias in entry.aliases.values():
                self._listeners.alias_changed(arn, alias, None)
            for version in entry.versions.values():
                self._listeners.version_deleted(version)
            if reserved_of(entry) is not None:
                self._listeners.concurrency_changed(arn, None)
            if entry.serving is not None:
                self._listeners.function_changed(entry.serving, None)
        await self._packages.let_go()

    def _updated(
        self, function: FunctionVersion, configuration: Configuration, code: CodePackage
    ) -> FunctionVersion:
        return transitions.updated(
            function,
            configuration,
            code,
            generation=self._index.next_generation(),
            now=self._clock.wall(),
        )

    def _check(self, configuration: Configuration) -> None:
        rules.check_configuration(configuration)
        self._runtimes.require(configuration.runtime)

    def _demand_free(self, name: str) -> None:
        if self._index.find(name) is not None:
            raise ClientError(AWS.RESOURCE_CONFLICT, f"Function already exist: {name}")


def _completed(configuration: Configuration, received: Received) -> Configuration:
    """`configuration` with what the package itself says; raises ClientError if they disagree."""
    for name in ("handler", "runtime"):
        said = getattr(received, name)
        given = getattr(configuration, name)
        if said and given and said != given:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The {name} {given!r} is not the module's, which is {said!r}; leave it out.",
            )
        if said:
            configuration = replace(configuration, **{name: said})
    return configuration
