"""What the registry knows of layers, in memory: finding, listing, and attaching to functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.function import AttachedLayer
from samovar.model.layer import LayerReference, LayerVersion, layer_arn
from samovar.registry import pages, rules
from samovar.registry.layer_records import Numbering, Published, VersionPolicy

T = TypeVar("T")


@dataclass(slots=True)
class Layer:
    """One layer: its numbering, and what is left of its versions, by number."""

    numbering: Numbering
    versions: dict[int, Published] = field(default_factory=dict)
    policies: dict[int, VersionPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compatible:
    """Which versions a list is asked for: those that name this runtime and this architecture."""

    runtime: str | None = None
    architecture: str | None = None

    def holds(self, version: LayerVersion) -> bool:
        """Whether `version` is one of them. One that names nothing is compatible with nothing that
        a list could be asked for (unconfirmed)."""
        return (self.runtime is None or self.runtime in (version.runtimes or ())) and (
            self.architecture is None or self.architecture in (version.architectures or ())
        )


class LayerPage(NamedTuple):
    """Versions in the list's order; `next_marker` is None on the last page."""

    versions: tuple[LayerVersion, ...]
    next_marker: str | None


class LayerIndex:
    """The layers of one Region and account, by name."""

    def __init__(self, region: str, account: str) -> None:
        self._region = region
        self._account = account
        self._layers: dict[str, Layer] = {}

    def versions(self) -> Iterator[LayerVersion]:
        """Every version of every layer."""
        for layer in self._layers.values():
            for published in layer.versions.values():
                yield published.version

    def arn(self, name: str) -> str:
        """The ARN that a layer of this name has here."""
        return layer_arn(self._region, self._account, name)

    def own_name(self, text: str) -> str:
        """The name in a LayerName, a name or an ARN; raises ClientError unless it is of here."""
        reference = LayerReference.parse(text)
        if reference.region not in (None, self._region):
            # Unconfirmed what AWS says; as it does of functions.
            raise ClientError(
                AWS.RESOURCE_NOT_FOUND,
                f"Layers from '{reference.region}' are not reachable in this region "
                f"('{self._region}')",
            )
        if reference.account not in (None, self._account):
            raise self._foreign(text)
        return reference.name

    def layer(self, name: str) -> Layer | None:
        """The layer of this name, if one was ever published; it may have no version left."""
        return self._layers.get(name)

    def add(self, layer: Layer) -> None:
        """Take in a layer, in the place of the one of that name."""
        self._layers[layer.numbering.layer.rpartition(":")[2]] = layer

    def find(self, name: str, number: int) -> Published | None:
        """A version, if it is there; raises ClientError for a number below 1."""
        if number < 1:
            raise ClientError(AWS.INVALID_PARAMETER, "Layer Version Cannot be less than 1")
        layer = self._layers.get(name)
        return None if layer is None else layer.versions.get(number)

    def code_size(self) -> int:
        """Bytes of zipped code of all versions."""
        return sum(version.code.size for version in self.versions())

    def latest(self, wanted: Compatible, marker: str | None, max_items: int | None) -> LayerPage:
        """A page of layers by name, each as its latest version that is `wanted`."""
        after = "" if marker is None else pages.marker_key(marker, "ListLayers")
        found = []
        for name in sorted(name for name in self._layers if name > after):
            versions = self._wanted(name, wanted)
            found += versions[:1]
        return _page(found, max_items, lambda version: version.name)

    def numbered(
        self, name: str, wanted: Compatible, marker: str | None, max_items: int | None
    ) -> LayerPage:
        """A page of a layer's versions that are `wanted`, the newest first. Of a layer that there
        is not: an empty one."""
        found = self._wanted(name, wanted)
        if marker is not None:
            key = pages.marker_key(marker, "ListLayerVersions")
            if not key.isdecimal():
                raise pages.not_given("ListLayerVersions")
            found = [version for version in found if version.version < int(key)]
        return _page(found, max_items, lambda version: str(version.version))

    def attached(self, arns: Sequence[str]) -> tuple[AttachedLayer, ...]:
        """The layer versions that a function asks for; raises ClientError for what can't be had."""
        if len(arns) > limits.LAYERS:
            raise ClientError(
                AWS.INVALID_PARAMETER, f"Cannot reference more than {limits.LAYERS} layers."
            )
        named: dict[str, str] = {}
        found = []
        for arn in arns:
            version = self._attachable(arn)
            if version.arn in named:  # the same version twice, too (unconfirmed)
                raise ClientError(
                    AWS.INVALID_PARAMETER,
                    "Two different versions of the same layer are not allowed to be referenced in "
                    f"the same function. {named[version.arn]} and {arn} are versions of the same "
                    "layer.",
                )
            named[version.arn] = arn
            code = version.code
            found.append(
                AttachedLayer(
                    version.version_arn, code.sha256, code.size, version.unzipped, version.own_boto3
                )
            )
        return tuple(found)

    def _attachable(self, arn: str) -> LayerVersion:
        layer, _, number = arn.rpartition(":")
        if not number.isdecimal() or ":layer:" not in arn:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"{arn} is no layer version of an account, the only ones that Samovar knows; name "
                "one by its ARN, which ends with «:layer:<name>:<number>».",
            )
        reference = LayerReference.parse(layer)
        if reference.region != self._region:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "Layers are not in the same region as the function. Layers are expected to be in "
                f"region {self._region}.",
            )
        if reference.account != self._account:
            raise self._foreign(arn)
        published = self.find(reference.name, int(number))
        if published is None:
            raise ClientError(AWS.INVALID_PARAMETER, f"Layer version {arn} does not exist.")
        version = published.version
        if version.extensions:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The layer version {arn} brings extensions ({', '.join(version.extensions)}), "
                "which Samovar does not start yet: leave the layer out, or publish it without its "
                "directory «extensions».",
            )
        return version

    def _wanted(self, name: str, wanted: Compatible) -> list[LayerVersion]:
        layer = self._layers.get(name)
        versions = [] if layer is None else [item.version for item in layer.versions.values()]
        versions.sort(key=lambda version: -version.version)
        return [version for version in versions if wanted.holds(version)]

    def _foreign(self, text: str) -> ClientError:
        return ClientError(
            AWS.ACCESS_DENIED,
            f"User is not authorized to perform: lambda:GetLayerVersion on resource: {text} "
            "because no resource-based policy allows the lambda:GetLayerVersion action. Samovar "
            f"has the layers of its own account {self._account} only: publish it there.",
        )


def _page(
    found: list[LayerVersion], max_items: int | None, key: Callable[[LayerVersion], str]
) -> LayerPage:
    if max_items is not None:
        rules.check_range("maxItems", max_items, (1, limits.LAYER_LIST_PAGE))
    count = max_items or limits.LAYER_LIST_PAGE
    shown = tuple(found[:count])
    return LayerPage(shown, pages.marker_of(key(shown[-1])) if len(found) > count else None)
