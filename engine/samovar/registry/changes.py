"""Changes of functions: each is checked, written durably, then taken into memory, then told.

Every change runs in an asyncio task of its own, so that a caller that goes away (a client that
hangs up) can't stop it between the disk and the memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from samovar.clock import Clock, Timer
from samovar.errors import AWS, ClientError, EngineError
from samovar.model import limits
from samovar.model.arn import FunctionReference
from samovar.model.function import CodePackage, Configuration, FunctionVersion, UpdateStatus
from samovar.registry import rules, transitions
from samovar.registry.attached import Attached, Kind
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.index import Entry, Index
from samovar.registry.layer_index import LayerIndex
from samovar.registry.live.hot_reload import HotReload
from samovar.registry.live.tree import LiveFault
from samovar.registry.records import FUNCTION, Tags, to_stored
from samovar.registry.runtimes import Runtimes
from samovar.registry.sources import CodeSource, Module, Received, Receiver
from samovar.settings import Settings
from samovar.stores.protocols import Put, RecordStore, Remove, RevisionConflict

_log = logging.getLogger(__name__)

T = TypeVar("T")

# How long after a failed write (a full disk, say) a state transition is tried again, seconds.
_RETRY_AFTER = 1.0

Tell = Callable[[FunctionVersion | None, FunctionVersion | None], None]
# Called with a version that is about to be served, so that its first invocation finds what it
# needs; must not raise.
MakeReady = Callable[[FunctionVersion], Awaitable[None]]


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


async def _nothing_to_do(_: FunctionVersion) -> None:
    pass


class Changes:
    """Carries out what changes functions; `tell` is called on the loop after each change of what
    a function's invocations run."""

    def __init__(
        self,
        *,
        index: Index,
        layers: LayerIndex,
        store: RecordStore,
        receiver: Receiver,
        runtimes: Runtimes,
        signing: CodeSigningConfigs,
        clock: Clock,
        settings: Settings,
        node_id: str,
        tell: Tell,
        hot_reload: HotReload,
    ) -> None:
        self._index = index
        self._layers = layers
        self._store = store
        self._receiver = receiver
        self._runtimes = runtimes
        self._signing = signing
        self._clock = clock
        self._settings = settings
        self._node = node_id
        self._tell = tell
        self._hot_reload = hot_reload
        # One lock per name, for as long as anybody holds or awaits it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retries: dict[Entry, Timer] = {}
        self._gate = asyncio.Lock()
        self._arrivals = 0
        self._generation = 0
        self._closed = False
        self.make_ready: MakeReady = _nothing_to_do
        self.demand_runtime_may_change: Callable[[Entry], None] = lambda _: None

    async def carry_out(self, change: Coroutine[Any, Any, T]) -> T:
        """Run `change` to its end, even if the caller is cancelled meanwhile."""
        if self._closed:
            change.close()
            raise EngineError("The engine is stopping and takes no more changes of functions.")
        return await asyncio.shield(self._start(change))

    async def close(self) -> None:
        """Wait for the changes under way; transitions still to be retried are left to the next
        start. Idempotent."""
        self._closed = True
        for timer in self._retries.values():
            timer.cancel()
        self._retries.clear()
        while self._tasks:
            await asyncio.wait(self._tasks)

    @asynccontextmanager
    async def no_arrivals(self) -> AsyncIterator[bool]:
        """Keeps code from arriving; gives False if some is arriving already.

        A package is in the code store before the function that refers to it is written: whoever
        deletes packages must not come in between.
        """
        async with self._gate:
            yield self._arrivals == 0

    async def restore(self, functions: list[Entry]) -> None:
        """Take in what was stored, and finish what was under way when the last engine ended."""
        for entry in functions:
            self._index.add(entry)
            self._generation = max(self._generation, entry.shown.generation)
        for entry in functions:
            await self._settle(entry)

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
            self._signing.demand_deployable(name, new.code_signing_config)
            async with self.arrival():
                received = await self._receiver.receive(new.source)
                configuration = _completed(new.configuration, received)
                self._check(configuration)
                configuration = replace(configuration, layers=self._layers.attached(new.layers))
                rules.check_unzipped(received.unzipped, configuration.layers)
                new = replace(new, configuration=configuration)
                async with self.lock(name):
                    entry = await self._write_new(name, new, received.code)
        self._signing.deployed(name, new.code_signing_config)
        self._start(self._settle(entry))
        return entry.shown

    async def _write_new(self, name: str, new: NewFunction, code: CodePackage) -> Entry:
        self._demand_free(name)
        self.demand_room(code.size)
        arn = self._index.arn(name)
        function = transitions.created(
            name,
            arn,
            new.configuration,
            code,
            generation=self._next_generation(),
            now=self._clock.wall(),
        )
        writes = [Put(to_stored(function, self._node), None)]
        kept = Tags(arn, transitions.new_revision(), dict(new.tags)) if new.tags else None
        if kept is not None:
            writes.append(Put(kept.stored(self._node), None))
        attached = []
        if new.code_signing_config is not None:
            # Asked again: what it says may have been changed while the code was arriving.
            self._signing.demand_deployable(name, new.code_signing_config)
            revision = transitions.new_revision()
            config = Attached(Kind.CODE_SIGNING, arn, arn, revision, new.code_signing_config)
            writes.append(Put(config.stored(self._node), None))
            attached.append(config)
        with conflicts_told(arn):
            await self._store.write(*writes)
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
            async with self.arrival():
                received = await self._receiver.receive(source, keep=False)
                rules.check_unzipped(received.unzipped, shown.configuration.layers)
                return replace(shown, code=received.code)

        config: str | None = None

        def change(function: FunctionVersion) -> FunctionVersion:
            nonlocal config
            config = self._signing.of_function(self._index.entry(name))
            self._signing.demand_deployable(name, config)
            self.demand_room(received.code.size - function.code.size)
            rules.check_unzipped(received.unzipped, function.configuration.layers)
            return self._updated(function, function.configuration, received.code)

        async with self.arrival():
            received = await self._receiver.receive(source)
            updated = await self._update(name, revision_id, change)
        self._signing.deployed(name, config)
        return updated

    async def update_configuration(
        self, name: str, changes: transitions.ConfigurationChanges, revision_id: str | None
    ) -> FunctionVersion:
        """See `FunctionRegistry.update_configuration`."""
        if changes.layers is None:
            return await self._reconfigure(name, changes, revision_id)
        async with self.arrival():  # of layers: they must not be collected meanwhile
            return await self._reconfigure(name, changes, revision_id)

    async def _reconfigure(
        self, name: str, changes: transitions.ConfigurationChanges, revision_id: str | None
    ) -> FunctionVersion:
        unzipped: dict[str, int] = {}
        if changes.layers:
            code = self._index.entry(name).shown.code
            unzipped[code.sha256] = await self._receiver.unzipped(code)

        def change(function: FunctionVersion) -> FunctionVersion:
            configuration = changes.applied_to(function.configuration)
            if changes.layers is not None:
                layers = self._layers.attached(changes.layers)
                if layers and function.code.sha256 not in unzipped:
                    raise transitions.being_updated(function.arn)  # its code, meanwhile
                if layers:
                    rules.check_unzipped(unzipped[function.code.sha256], layers)
                configuration = replace(configuration, layers=layers)
            rules.check_configuration(configuration)
            if changes.runtime is not None:
                self._runtimes.require(changes.runtime)
                if changes.runtime != function.configuration.runtime:
                    self.demand_runtime_may_change(self._index.entry(name))
            return self._updated(function, configuration, function.code)

        return await self._update(name, revision_id, change)

    async def _update(
        self,
        name: str,
        revision_id: str | None,
        change: Callable[[FunctionVersion], FunctionVersion],
    ) -> FunctionVersion:
        # What is under way is refused and not waited for; asked again once the lock is held.
        transitions.demand_settled(self._index.entry(name).shown)
        async with self.lock(name):
            entry = self._index.entry(name)
            transitions.demand_settled(entry.shown)
            transitions.demand_revision(entry.shown, revision_id)
            function = change(entry.shown)
            await self._replace(entry, function)
            entry.settled.clear()
        self._start(self._settle(entry))
        return function

    async def reload(self, found: CodePackage | LiveFault, directory: str) -> None:
        """Have the functions of `directory` run what was found there, or say why they can't.

        Functions that something is under way for are left out: `_settle` asks for them again.
        Raises SamovarError if it could not be written for one of them.
        """
        names = [
            entry.shown.name for entry in self._index if entry.shown.code.directory == directory
        ]
        for name in names:
            before = self._index.find(name)
            if before is not None and isinstance(found, CodePackage) and before.shown.code != found:
                # Before the lock, as in `_settle`.
                await self.make_ready(replace(before.shown, code=found))
            async with self.lock(name):
                entry = self._index.find(name)
                if self._closed:
                    return  # the next start looks again
                if entry is not None and entry.shown.code.directory == directory:
                    await self._reload(entry, found)

    async def _reload(self, entry: Entry, found: CodePackage | LiveFault) -> None:
        shown = entry.shown
        if not transitions.is_settled(shown):
            return
        failed = shown.update_status is UpdateStatus.FAILED
        if isinstance(found, LiveFault):
            reason = f"{found}; the code that was read before stays in force."
            if not failed or shown.update_reason != reason:
                _log.warning("%s is not reloaded: %s", shown.name, reason)
                await self._replace(entry, transitions.not_reloaded(shown, reason))
            return
        if shown.code == found:
            if failed:
                await self._replace(entry, transitions.settled(shown))
            return
        function = transitions.reloaded(
            shown, found, generation=self._next_generation(), now=self._clock.wall()
        )
        await self._replace(entry, function)
        old, entry.serving = entry.serving, function
        _log.info("%s is reloaded from %s", function.name, found.directory)
        self._tell(old, function)

    async def delete(self, name: str) -> None:
        """See `FunctionRegistry.delete`."""
        await self._delete(name)
        await self._let_go()

    async def _delete(self, name: str) -> None:
        async with self.lock(name):
            entry = self._index.entry(name)
            with conflicts_told(entry.shown.arn):
                await self._store.write(Remove(FUNCTION, entry.shown.arn, entry.shown.revision_id))
            self._index.remove(name)
            if entry.serving is not None:
                self._tell(entry.serving, None)

    async def retag(self, name: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace a function's tags by what `change` makes of them."""
        transitions.demand_settled(self._index.entry(name).shown)
        async with self.lock(name):
            entry = self._index.entry(name)
            transitions.demand_settled(entry.shown)
            values = change(entry.tags.values if entry.tags else {})
            rules.check_tags(values)
            arn = entry.shown.arn
            tags = Tags(arn, transitions.new_revision(), values)
            with conflicts_told(arn):
                await self._store.write(
                    Put(tags.stored(self._node), entry.tags.revision if entry.tags else None)
                )
            entry.tags = tags

    async def attach(
        self,
        name: str,
        kind: Kind,
        resource: str,
        change: Callable[[Entry], Any],
        *,
        revise: bool = False,
    ) -> None:
        """Replace what a function has of `kind` by the document that `change` makes of it; None
        removes it. `revise`: the function gets a new revision with it, in one durable write.

        Changes of one function wait for each other, so that none is lost; an update that is in
        progress does not hinder them.
        """
        async with self.lock(name):
            entry = self._index.entry(name)
            document = change(entry)
            present = entry.attached.get((kind, resource))
            expected = None if present is None else present.revision
            shown = entry.shown
            function = transitions.revised(shown) if revise else shown
            writes: list[Put | Remove] = []
            if revise:
                writes.append(Put(to_stored(function, self._node), shown.revision_id))
            new = None
            if document is not None:
                revision = transitions.new_revision()
                new = Attached(kind, resource, shown.arn, revision, document)
                writes.append(Put(new.stored(self._node), expected))
            elif expected is not None:
                writes.append(Remove(kind.value, resource, expected))
            with conflicts_told(resource):
                await self._store.write(*writes)
            if entry.serving is shown:
                entry.serving = function
            entry.shown = function
            if new is None:
                entry.attached.pop((kind, resource), None)
            else:
                entry.attached[kind, resource] = new

    async def _settle(self, entry: Entry) -> None:
        """Carry a creation or an update to its end; tried again as long as the disk fails."""
        self._retries.pop(entry, None)
        # Before the lock: an interpreter may take a second to come up, and a delete need not wait.
        await self.make_ready(entry.shown)
        async with self.lock(entry.shown.name):
            if self._index.find(entry.shown.name) is not entry:
                return  # deleted meanwhile
            if transitions.is_settled(entry.shown):
                return
            function = transitions.settled(entry.shown)
            try:
                await self._replace(entry, function)
            except (EngineError, ClientError) as error:
                _log.warning("%s stays unsettled, trying again: %s", function.arn, error)
                if not self._closed:
                    self._retries[entry] = self._clock.call_later(
                        _RETRY_AFTER, lambda: self._retry(entry)
                    )
                return
            old, entry.serving = entry.serving, function
            entry.settled.set()
            self._tell(old, function)
        if function.code.directory:
            self._hot_reload.catch_up(function.code.directory)
        await self._let_go()

    def _retry(self, entry: Entry) -> None:
        self._start(self._settle(entry))

    async def _replace(self, entry: Entry, function: FunctionVersion) -> None:
        with conflicts_told(function.arn):
            await self._store.write(Put(to_stored(function, self._node), entry.shown.revision_id))
        entry.shown = function

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has it, or has gone away

    @asynccontextmanager
    async def arrival(self) -> AsyncIterator[None]:
        """While code is on its way that no record refers to yet: nothing is collected."""
        async with self._gate:
            self._arrivals += 1
        try:
            yield
        finally:
            self._arrivals -= 1
            await self._let_go()

    async def _let_go(self) -> None:
        """Watch only what functions run from; what arrives is nobody's yet."""
        if not self._arrivals:
            await self._hot_reload.keep_only(self._index.directories())

    def lock(self, name: str) -> asyncio.Lock:
        """Changes of the same name happen one after another."""
        return self._locks.setdefault(name, asyncio.Lock())

    def _next_generation(self) -> int:
        # Counted over all functions: one that is deleted and created anew must not meet the
        # contexts of its namesake.
        self._generation += 1
        return self._generation

    def _updated(
        self, function: FunctionVersion, configuration: Configuration, code: CodePackage
    ) -> FunctionVersion:
        return transitions.updated(
            function,
            configuration,
            code,
            generation=self._next_generation(),
            now=self._clock.wall(),
        )

    def _check(self, configuration: Configuration) -> None:
        rules.check_configuration(configuration)
        self._runtimes.require(configuration.runtime)

    def _demand_free(self, name: str) -> None:
        if self._index.find(name) is not None:
            raise ClientError(AWS.RESOURCE_CONFLICT, f"Function already exist: {name}")

    def demand_room(self, growth: int) -> None:
        """Raise AWS's error if `growth` bytes of zipped code more are too many."""
        used = self._index.usage().total_code_size + self._layers.code_size()
        if used + growth > limits.CODE_STORAGE_SIZE:
            raise ClientError(AWS.CODE_STORAGE_EXCEEDED, "Code storage limit exceeded.")


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


@contextmanager
def conflicts_told(arn: str) -> Iterator[None]:
    """Turn a RevisionConflict into AWS's 409."""
    try:
        yield
    except RevisionConflict as conflict:
        raise ClientError(
            AWS.RESOURCE_CONFLICT,
            f"{arn} was changed by another node at the same time; read it and try again.",
        ) from conflict
