"""Layers: published, listed, deleted, shared; each change is written durably, then told.

Reads come from memory. Packages of layers lie in the code store beside those of functions, and stay
there as long as a version or a function refers to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from samovar.clock import Clock
from samovar.errors import AWS, ClientError, EngineError
from samovar.model.layer import LayerVersion
from samovar.model.policy import Policy, Statement, no_policy
from samovar.registry import rules, transitions
from samovar.registry.kept_packages import KeptPackages
from samovar.registry.layer_index import Compatible, Layer, LayerIndex, LayerPage
from samovar.registry.layer_records import (
    LAYER,
    LAYER_POLICY,
    LAYER_VERSION,
    Numbering,
    Published,
    VersionPolicy,
    numbering,
    published,
    version_policy,
)
from samovar.registry.sources import CodeSource, LiveDirectory, Receiver
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.stores.protocols import Put, Record, Remove

__all__ = ["Compatible", "LayerPage", "LayerRegistry", "NewLayerVersion"]


@dataclass(frozen=True, slots=True)
class NewLayerVersion:
    """What PublishLayerVersion is asked for; `name` may be a layer's ARN."""

    name: str
    source: CodeSource
    description: str = ""
    license_info: str | None = None
    runtimes: Sequence[str] | None = None
    architectures: Sequence[str] | None = None


class LayerRegistry:
    """The layers of one Region and account.

    All methods raise ClientError for what the caller did wrong and EngineError if the disk fails; a
    call that raised has changed nothing.
    """

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        index: LayerIndex,
        underway: UnderWay,
        writer: Writer,
        packages: KeptPackages,
        receiver: Receiver,
        clock: Clock,
    ) -> None:
        self._index = index
        self._underway = underway
        self._writer = writer
        self._packages = packages
        self._receiver = receiver
        self._clock = clock

    def restore(self, records: Sequence[Record]) -> set[str]:
        """Take in what was stored; returns the packages of other Regions' and accounts' layers."""
        elsewhere = set()
        layers: dict[str, Layer] = {}
        for record in records:
            if record.kind == LAYER:
                layers[record.key] = Layer(numbering(record))
        for record in records:
            if record.kind in (LAYER_VERSION, LAYER_POLICY):
                of, _, number = record.key.rpartition(":")
                layer = layers.get(of)
                if layer is None or not number.isdecimal():
                    raise EngineError(
                        f"The {record.kind} {record.key} is stored without its layer."
                    )
                if record.kind == LAYER_POLICY:
                    layer.policies[int(number)] = version_policy(record)
                    continue
                found = layer.versions[int(number)] = published(record)
                if of != self._index.arn(found.version.name):
                    elsewhere.add(found.version.code.sha256)
        for arn, layer in layers.items():
            if arn == self._index.arn(arn.rpartition(":")[2]):
                self._index.add(layer)
        return elsewhere

    # Reading: synchronous, from memory.

    def get(self, name: str, number: int) -> LayerVersion:
        """A version; raises AWS's 404."""
        return self._version(self._index.own_name(name), number).version

    def get_by_arn(self, arn: str) -> LayerVersion:
        """The version with this ARN; raises AWS's 404."""
        layer, _, number = arn.rpartition(":")
        if not number.isdecimal():
            raise _not_found()
        return self.get(layer, int(number))

    def latest(
        self, wanted: Compatible, marker: str | None = None, max_items: int | None = None
    ) -> LayerPage:
        """A page of layers by name: the latest version of each that is `wanted`, at most 50."""
        return self._index.latest(wanted, marker, max_items)

    def versions(
        self,
        name: str,
        wanted: Compatible,
        marker: str | None = None,
        max_items: int | None = None,
    ) -> LayerPage:
        """A page of the versions of a layer that are `wanted`, the newest first, at most 50."""
        return self._index.numbered(self._index.own_name(name), wanted, marker, max_items)

    def policy_of(self, name: str, number: int) -> VersionPolicy:
        """The resource policy of a version; raises AWS's 404 where there is none."""
        own = self._index.own_name(name)
        self._version(own, number)
        layer = self._index.layer(own)
        found = layer.policies.get(number) if layer else None
        if found is None:
            raise no_policy()
        return found

    def statements_of(self, arn: str) -> Sequence[Statement]:
        """What is allowed on the version with this ARN; nothing where it isn't there."""
        layer, _, number = arn.rpartition(":")
        try:
            return self.policy_of(layer, int(number)).policy.statements
        except ClientError:
            return ()

    # Changing.

    async def publish(self, new: NewLayerVersion) -> LayerVersion:
        """Publish the next version of a layer, which need not exist before."""
        return await self._underway.carry_out(self._publish(new))

    async def delete(self, name: str, number: int) -> None:
        """Delete a version and its policy; one that is not there is no error. Functions keep it."""
        await self._underway.carry_out(self._delete(name, number))

    def version_arn(self, name: str, number: int) -> str:
        """The ARN of a version, whether there is one or not."""
        return f"{self._index.arn(self._index.own_name(name))}:{number}"

    async def add_permission(
        self, name: str, number: int, statement: Statement, revision_id: str | None = None
    ) -> str:
        """Add a statement to a version's policy; returns the policy's new revision."""

        def change(present: Policy) -> Policy:
            return present.adding(statement)

        return await self._underway.carry_out(
            self._change_policy(name, number, change, revision_id)
        )

    async def remove_permission(
        self, name: str, number: int, statement_id: str, revision_id: str | None = None
    ) -> None:
        """Remove a statement from a version's policy; raises AWS's 404 where it is not."""

        def change(present: Policy) -> Policy:
            return present.removing(statement_id)

        await self._underway.carry_out(self._change_policy(name, number, change, revision_id))

    async def _publish(self, new: NewLayerVersion) -> LayerVersion:
        name = self._index.own_name(new.name)
        if isinstance(new.source, LiveDirectory):
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "Layers are not reloaded: publish a zip, or deploy the function with hot reload.",
            )
        rules.check_layer(new.description, new.license_info)
        async with self._packages.arrival():
            received = await self._receiver.receive(new.source)
            own_boto3, extensions = await self._receiver.inspect_layer(received)
            async with self._underway.lock(self._index.arn(name)):
                self._packages.demand_room(received.code.size)
                layer = self._index.layer(name)
                before = layer.numbering if layer else None
                version = LayerVersion(
                    name=name,
                    arn=self._index.arn(name),
                    version=before.last + 1 if before else 1,
                    created=self._clock.wall(),
                    code=received.code,
                    unzipped=received.unzipped,
                    description=new.description,
                    license_info=new.license_info,
                    runtimes=None if new.runtimes is None else tuple(new.runtimes),
                    architectures=None if new.architectures is None else tuple(new.architectures),
                    own_boto3=own_boto3,
                    extensions=extensions,
                )
                return await self._write(version, layer)

    async def _write(self, version: LayerVersion, layer: Layer | None) -> LayerVersion:
        number = Numbering(version.arn, transitions.new_revision(), version.version)
        fresh = Published(version, transitions.new_revision())
        node = self._writer.node
        await self._writer.write(
            version.arn,
            Put(number.stored(node), layer.numbering.revision if layer else None),
            Put(fresh.stored(node), None),
        )
        if layer is None:
            layer = Layer(number)
            self._index.add(layer)
        layer.numbering = number
        layer.versions[version.version] = fresh
        return version

    async def _delete(self, name: str, number: int) -> None:
        own = self._index.own_name(name)
        async with self._underway.lock(self._index.arn(own)):
            found = self._index.find(own, number)
            layer = self._index.layer(own)
            if found is None or layer is None:
                return
            arn = found.version.version_arn
            await self._writer.write(arn, Remove(LAYER_VERSION, arn, found.revision))
            del layer.versions[number]
            layer.policies.pop(number, None)
        await self._packages.let_go()

    async def _change_policy(
        self,
        name: str,
        number: int,
        change: Callable[[Policy], Policy],
        revision_id: str | None,
    ) -> str:
        own = self._index.own_name(name)
        async with self._underway.lock(self._index.arn(own)):
            arn = self._version(own, number).version.version_arn
            layer = self._index.layer(own)
            assert layer is not None  # it has this version
            present = layer.policies.get(number)
            if revision_id is not None and (present is None or revision_id != present.revision):
                raise ClientError(
                    AWS.PRECONDITION_FAILED,
                    "The Revision Id provided does not match the latest Revision Id. Call the "
                    "GetLayerPolicy API to retrieve the latest Revision Id",
                )
            policy = change(present.policy if present else Policy())
            changed = VersionPolicy(arn, transitions.new_revision(), policy)
            expected = present.revision if present else None
            if policy.statements:
                await self._writer.write(arn, Put(changed.stored(self._writer.node), expected))
                layer.policies[number] = changed
            elif expected is not None:  # without statements there is no policy (unconfirmed)
                await self._writer.write(arn, Remove(LAYER_POLICY, arn, expected))
                del layer.policies[number]
            return changed.revision

    def _version(self, own: str, number: int) -> Published:
        found = self._index.find(own, number)
        if found is None:
            raise _not_found()
        return found


def _not_found() -> ClientError:
    return ClientError(AWS.RESOURCE_NOT_FOUND, "The resource you requested does not exist.")
