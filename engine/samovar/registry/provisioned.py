"""Provisioned concurrency: the configs of aliases and versions. Contexts are kept elsewhere
(`samovar.scheduler.provisioning`), which hears of every change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.alias import Alias
from samovar.model.function import LATEST, FunctionVersion, State
from samovar.model.provisioning import Progress, ProvisionedConfig, ShownConfig
from samovar.registry import rules
from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.concurrency import Concurrency, claim_of, configs_of
from samovar.registry.index import Entry, Index
from samovar.registry.pages import page

TellProvisioned = Callable[[str, str], None]
"""Called on the loop with the ARN of a function, and the alias or version of it of which a config
was put or deleted; must not raise."""

_UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


class Kept(NamedTuple):
    """A version, and how many contexts of it are to be kept."""

    version: FunctionVersion
    contexts: int


class ConfigPage(NamedTuple):
    """Configs in the order of their ARNs; `next_marker` is None on the last page."""

    configs: tuple[ShownConfig, ...]
    next_marker: str | None


class ProvisionedConcurrency:
    """The configs of functions' aliases and versions. All methods raise ClientError for what the
    caller did wrong."""

    def __init__(
        self,
        index: Index,
        attaching: Attaching,
        concurrency: Concurrency,
        clock: Clock,
        tell: TellProvisioned,
    ) -> None:
        # How many contexts of a version are there; none, where nobody keeps any.
        self.progress_of: Callable[[FunctionVersion], Progress] = lambda _: Progress()
        self._index = index
        self._attaching = attaching
        self._concurrency = concurrency
        self._clock = clock
        self._tell = tell

    def get(self, name: str, qualifier: str | None) -> ShownConfig:
        """The config of an alias or a version, and how far it is; raises 404 if it has none."""
        entry = self._entry(name, qualifier)
        for config in configs_of(entry):
            if config.qualifier == qualifier:
                return self._shown(entry, config)
        raise ClientError(
            AWS.PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND,
            "No Provisioned Concurrency Config found for this function",
        )

    def list(
        self, name: str, marker: str | None = None, max_items: int | None = None
    ) -> ConfigPage:
        """A page of a function's configs; at most 50, at most `max_items`."""
        entry = self._index.entry(name)
        configs = {config.resource: config for config in configs_of(entry)}
        if max_items is not None:
            rules.check_range("maxItems", max_items, (1, limits.LIST_PAGE))
        found = page(sorted(configs), marker, max_items, "ListProvisionedConcurrencyConfigs")
        shown = tuple(self._shown(entry, configs[resource]) for resource in found.names)
        return ConfigPage(shown, found.next_marker)

    async def put(self, name: str, qualifier: str | None, requested: int) -> ShownConfig:
        """Provision `requested` contexts for an alias or a version, in the place of what it has;
        with the same number it is tried again, if it had failed."""
        if qualifier is None or qualifier == LATEST:
            raise ClientError(AWS.INVALID_PARAMETER, _UNPUBLISHED)
        if requested < 1:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"{requested} can't be provisioned: give 1 or more, or delete the config.",
            )
        entry = self._entry(name, qualifier)
        resource = self._index.arn(name, qualifier)
        config = ProvisionedConfig(resource, requested, self._clock.wall())

        def change(entry: Entry) -> object:
            _demand_provisionable(entry, qualifier)
            self._demand_concurrency(entry, config)
            return config.document()

        await self._attach(entry, resource, change)
        # Whatever is there by now is of the config before, or not yet there.
        return ShownConfig(config, Progress())

    async def delete(self, name: str, qualifier: str | None) -> None:
        """Keep no more contexts for an alias or a version; nothing is no error."""
        entry = self._entry(name, qualifier)
        await self._attach(entry, self._index.arn(name, qualifier), lambda _: None)

    def wanted(self, function_arn: str, qualifier: str | None = None) -> Mapping[str, Kept]:
        """What is to be kept of a function's versions, by their pools; nothing of one that is not
        Active (yet), or of a function that isn't there. With `qualifier`: for that config alone."""
        entry = self._index.find(function_arn.rpartition(":")[2])
        found: dict[str, Kept] = {}
        if entry is None:
            return found
        for config in configs_of(entry):
            if qualifier is not None and config.qualifier != qualifier:
                continue
            for number, count in shares_of(entry, config).items():
                version = entry.versions.get(number)
                if version is not None and version.state is State.ACTIVE:
                    before = found.get(version.pool, Kept(version, 0)).contexts
                    found[version.pool] = Kept(version, before + count)
        return found

    def functions(self) -> Iterator[str]:
        """The ARNs of the functions that have configs."""
        for entry in self._index:
            if any(kind is Kind.PROVISIONED for kind, _ in entry.attached):
                yield entry.shown.arn

    def demand_movable(self, entry: Entry, alias: Alias) -> None:
        """Raise ClientError if `alias` is to become one that its config can't follow. (What AWS
        says of an alias that comes to a provisioned version is unconfirmed.)"""
        if (Kind.PROVISIONED, alias.arn) in entry.attached:
            _demand_alias_provisionable(entry, alias)

    def _shown(self, entry: Entry, config: ProvisionedConfig) -> ShownConfig:
        ready = allocated = 0
        failure = None
        # Aliases may share a version: what there is of it counts for the first of them first.
        others = [other for other in configs_of(entry) if other.resource < config.resource]
        for number, share in shares_of(entry, config).items():
            version = entry.versions.get(number)
            if version is None:
                continue
            there = self.progress_of(version)
            taken = sum(shares_of(entry, other).get(number, 0) for other in others)
            ready += min(share, max(0, there.ready - taken))
            allocated += min(share, max(0, there.allocated - taken))
            failure = failure or there.failure
        return ShownConfig(config, Progress(ready, allocated, failure))

    def _entry(self, name: str, qualifier: str | None) -> Entry:
        """The function, of which `qualifier` is an alias or a published version."""
        if qualifier is None or qualifier == LATEST:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "The function resource provided must be an alias or a published version.",
            )
        entry = self._index.find(name)
        if entry is None:
            raise self._index.not_found(name, qualifier)
        self._demand_there(entry, qualifier)
        return entry

    def _demand_there(self, entry: Entry, qualifier: str) -> None:
        if qualifier in entry.versions or qualifier in entry.aliases:
            return
        name = entry.shown.name
        if qualifier.isdigit():
            raise self._index.not_found(name, qualifier)
        raise self._index.alias_not_found(name, qualifier)

    def _demand_concurrency(self, entry: Entry, config: ProvisionedConfig) -> None:
        claim = claim_of(entry)
        present = entry.attached.get((Kind.PROVISIONED, config.resource))
        if present is not None:
            before = ProvisionedConfig.of(config.resource, present.document).requested
            claim = claim._replace(provisioned=claim.provisioned - before)
        others = self._concurrency.others(entry)
        self._concurrency.account.demand_provisionable(config.requested, claim, others)

    async def _attach(self, entry: Entry, resource: str, change: Callable[[Entry], object]) -> None:
        await self._attaching.attach(
            entry.shown.name,
            Kind.PROVISIONED,
            resource,
            change,
            during=self._attaching.telling(
                entry, lambda: self._tell(entry.shown.arn, resource.rpartition(":")[2])
            ),
            alone=self._concurrency.claiming,
        )


def shares_of(entry: Entry, config: ProvisionedConfig) -> dict[str, int]:
    """How many contexts of which of a function's versions `config` asks for now."""
    return config.shares(entry.aliases.get(config.qualifier))


def _demand_provisionable(entry: Entry, qualifier: str) -> None:
    alias = entry.aliases.get(qualifier)
    if alias is not None:
        if alias.additional is not None:
            raise ClientError(
                AWS.INVALID_PARAMETER, "Invalid alias configuration for Provisioned Concurrency"
            )
        _demand_alias_provisionable(entry, alias)
        return
    _demand_no_snap_start(entry.versions[qualifier])
    for other in configs_of(entry):
        pointing = entry.aliases.get(other.qualifier)
        if pointing is not None and qualifier in pointing.versions:
            raise ClientError(
                AWS.RESOURCE_CONFLICT, "Version is pointed by a Provisioned Concurrency alias"
            )


def _demand_alias_provisionable(entry: Entry, alias: Alias) -> None:
    for number in alias.versions:
        if number == LATEST:
            raise ClientError(AWS.INVALID_PARAMETER, _UNPUBLISHED)
        version = entry.versions[number]
        _demand_no_snap_start(version)
        if (Kind.PROVISIONED, version.qualified_arn) in entry.attached:
            raise ClientError(
                AWS.RESOURCE_CONFLICT,
                "Alias can't be used for Provisioned Concurrency configuration on an already "
                "Provisioned version",
            )


def _demand_no_snap_start(version: FunctionVersion) -> None:
    if version.starts_from_template:
        raise ClientError(  # that AWS refuses this is known, its words are not confirmed
            AWS.INVALID_PARAMETER,
            f"{version.qualified_arn} has SnapStart, which excludes provisioned concurrency: take "
            "one of them.",
        )
