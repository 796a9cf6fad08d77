"""Aliases: kept, changed, and told of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.alias import NAME_PATTERN, Alias, is_alias_name
from samovar.model.function import LATEST
from samovar.registry import rules, transitions
from samovar.registry.index import Entry, Index
from samovar.registry.pages import page
from samovar.registry.records import ALIAS, alias_to_stored
from samovar.registry.telling import Listeners
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.stores.protocols import Put, Remove

# Service model, shapes VersionWithLatestPublished and AdditionalVersion.
_VERSION = r"(\$LATEST(\.PUBLISHED)?|[0-9]+)"
_ADDITIONAL = r"[0-9]+"


class AliasPage(NamedTuple):
    """Aliases in the order of their names; `next_marker` is None on the last page."""

    aliases: tuple[Alias, ...]
    next_marker: str | None


class Aliases:
    """The aliases of all functions.

    `routing` is a second version and the share of invocations that it gets, at most one of them;
    an empty one takes away what is there. All methods raise ClientError for what the caller did
    wrong and EngineError if the disk fails; a call that raised has changed nothing. An update of
    the function that is in progress does not hinder them.
    """

    def __init__(
        self, index: Index, underway: UnderWay, writer: Writer, listeners: Listeners
    ) -> None:
        self._index = index
        self._underway = underway
        self._writer = writer
        self._listeners = listeners
        # Raises ClientError if an alias may not become the one that it is to be.
        self.demand_movable: Callable[[Entry, Alias], None] = lambda _, __: None

    def get(self, name: str, alias: str) -> Alias:
        """The alias; raises AWS's 404."""
        found = self._index.entry(name).aliases.get(alias)
        if found is None:
            raise self._index.alias_not_found(name, alias)
        return found

    def list(
        self,
        name: str,
        function_version: str | None = None,
        marker: str | None = None,
        max_items: int | None = None,
    ) -> AliasPage:
        """A page of a function's aliases, or of those that may stand for one version: at most 50,
        at most `max_items`."""
        aliases = self._index.entry(name).aliases
        names = sorted(
            alias.name
            for alias in aliases.values()
            if function_version is None or function_version in alias.versions
        )
        found = page(names, marker, max_items, "ListAliases")
        return AliasPage(tuple(aliases[key] for key in found.names), found.next_marker)

    async def create(
        self,
        name: str,
        alias: str,
        function_version: str,
        *,
        description: str = "",
        routing: Mapping[str, float] | None = None,
    ) -> Alias:
        """Give a version a name; 409 if the name is taken."""
        if not is_alias_name(alias):
            rule = f"Member must have length less than or equal to {limits.QUALIFIER_LENGTH}"
            too_long = len(alias) > limits.QUALIFIER_LENGTH
            raise rules.broken(alias, "name", rule if too_long else _must_match(NAME_PATTERN))
        _check(function_version, description, routing)
        entry = self._index.entry(name)
        new = Alias(
            alias,
            self._index.arn(name, alias),
            function_version,
            description,
            transitions.new_revision(),
            _additional(routing),
        )

        async def create() -> Alias:
            async with self._underway.holding(entry):
                if alias in entry.aliases:
                    raise ClientError(AWS.RESOURCE_CONFLICT, f"Alias already exists: {new.arn}")
                self._demand_versions(entry, new)
                await self._put(entry, None, new)
            return new

        return await self._underway.carry_out(create())

    async def update(
        self,
        name: str,
        alias: str,
        *,
        function_version: str | None = None,
        description: str | None = None,
        routing: Mapping[str, float] | None = None,
        revision_id: str | None = None,
    ) -> Alias:
        """Change what is given; 412 if the alias has another revision than `revision_id`."""
        _check(function_version, description, routing)
        entry = self._index.entry(name)

        async def update() -> Alias:
            async with self._underway.holding(entry):
                old = entry.aliases.get(alias)
                if old is None:
                    raise ClientError(
                        AWS.RESOURCE_NOT_FOUND, f"Alias not found: {self._index.arn(name, alias)}"
                    )
                transitions.demand_revision(old, revision_id)
                new = replace(
                    old,
                    function_version=function_version or old.function_version,
                    description=old.description if description is None else description,
                    additional=old.additional if routing is None else _additional(routing),
                    revision_id=transitions.new_revision(),
                )
                self._demand_versions(entry, new)
                self.demand_movable(entry, new)
                await self._put(entry, old, new)
            return new

        return await self._underway.carry_out(update())

    async def delete(self, name: str, alias: str) -> None:
        """Delete an alias and the policy and the like that it has; one that isn't there is no
        error."""
        entry = self._index.entry(name)

        async def delete() -> None:
            async with self._underway.holding(entry):
                old = entry.aliases.get(alias)
                if old is None:
                    return
                await self._writer.write(
                    old.arn, Remove(ALIAS, old.arn, old.revision_id), *entry.removals(old.arn)
                )
                entry.drop(old)
                self._listeners.alias_changed(entry.shown.arn, old, None)

        await self._underway.carry_out(delete())

    async def _put(self, entry: Entry, old: Alias | None, new: Alias) -> None:
        arn = entry.shown.arn
        record = alias_to_stored(new, arn, self._writer.node)
        await self._writer.write(new.arn, Put(record, old.revision_id if old else None))
        entry.aliases[new.name] = new
        self._listeners.alias_changed(arn, old, new)

    def _demand_versions(self, entry: Entry, alias: Alias) -> None:
        """Raise ClientError unless `alias` stands for versions that there are."""
        if alias.additional is not None:
            if LATEST in alias.versions:
                raise ClientError(
                    AWS.INVALID_PARAMETER,
                    "$LATEST is not supported for an alias pointing to more than 1 version",
                )
            if alias.additional[0] == alias.function_version:
                raise ClientError(
                    AWS.INVALID_PARAMETER,
                    f"Invalid function version {alias.function_version}. Function version "
                    f"{alias.function_version} is already included in routing configuration.",
                )
        for version in alias.versions:
            if version != LATEST and version not in entry.versions:
                raise self._index.not_found(entry.shown.name, version)


def _check(
    function_version: str | None, description: str | None, routing: Mapping[str, float] | None
) -> None:
    if function_version is not None and not re.fullmatch(_VERSION, function_version, re.ASCII):
        raise rules.broken(function_version, "functionVersion", _must_match(_VERSION))
    if description is not None:
        rules.check_description(description)
    if not routing:
        return
    if len(routing) > 1:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        )
    for version, weight in routing.items():
        # $LATEST has a text of its own.
        if version != LATEST and not re.fullmatch(_ADDITIONAL, version, re.ASCII):
            field = "routingConfig.additionalVersionWeights"
            rule = f"Map keys must satisfy constraint: [{_must_match(_ADDITIONAL)}]"
            raise rules.broken(f"{{{version}={weight}}}", field, rule)
        if not 0.0 <= weight <= 1.0:  # NaN neither
            field = f"routingConfig.additionalVersionWeights.{version}.member"
            rule = "greater than or equal to 0" if weight < 0 else "less than or equal to 1"
            raise rules.broken(weight, field, f"Member must have value {rule}")


def _additional(routing: Mapping[str, float] | None) -> tuple[str, float] | None:
    return next(((version, float(weight)) for version, weight in (routing or {}).items()), None)


def _must_match(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"
