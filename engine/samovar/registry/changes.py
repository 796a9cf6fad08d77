"""Creation, update and deletion of functions: each is checked, written durably, then taken into
memory, then told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.model.arn import FunctionReference
from samovar.model.function import CodePackage, Configuration, FunctionVersion
from samovar.registry import rules, transitions
from samovar.registry.attached import Attached, Kind
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.index import Entry, Index
from samovar.registry.kept_packages import KeptPackages
from samovar.registry.layer_index import LayerIndex
from samovar.registry.records import FUNCTION, Tags, to_stored
from samovar.registry.runtimes import Runtimes
from samovar.registry.settling import Settling, Tell
from samovar.registry.sources import CodeSource, Module, Received, Receiver
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
        tell: Tell,
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
        self._tell = tell
        self.demand_runtime_may_change: Callable[[Entry], None] = lambda _: None
        self.concurrency_over: Callable[[Entry], None] = lambda _: None

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
                async with self._underway.lock(name):
                    entry = await self._write_new(name, new, received.code)
        self._signing.deployed(name, new.code_signing_config)
        self._settling.start(entry)
        return entry.shown

    async def _write_new(self, name: str, new: NewFunction, code: CodePackage) -> Entry:
        self._demand_free(name)
        self._packages.demand_room(code.size)
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
        writes = [Put(to_stored(function, node), None)]
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
        entry = Entry(function, kept, attached)
        self._index.add(entry)
        return entry

    async def update_code(
        self, name: str, source: CodeSource, revision_id: str | None, dry_run: bool
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
            updated = await self._update(entry, revision_id, change)
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
    ) -> FunctionVersion:
        # What is under way is refused and not waited for; asked again once the lock is held.
        transitions.demand_settled(entry.shown)
        async with self._underway.holding(entry):
            transitions.demand_settled(entry.shown)
            transitions.demand_revision(entry.shown, revision_id)
            function = change(entry.shown)
            await self._writer.replace(entry, function)
            entry.settled.clear()
        self._settling.start(entry)
        return function

    async def delete(self, name: str) -> None:
        """See `FunctionRegistry.delete`."""
        entry = self._index.entry(name)
        async with self._underway.holding(entry):
            arn = entry.shown.arn
            await self._writer.write(arn, Remove(FUNCTION, arn, entry.shown.revision_id))
            self._index.remove(name)
            self.concurrency_over(entry)
            if entry.serving is not None:
                self._tell(entry.serving, None)
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
