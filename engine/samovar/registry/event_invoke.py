"""Event invoke configs: what happens to the events of a function's qualifiers.

A config counts for the qualifier that was invoked, and for no other: an alias does not inherit that
of its version (unconfirmed, reference section 8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.event import MAX_EVENT_AGE, MAX_RETRY_ATTEMPTS, EventInvokeConfig
from samovar.model.function import LATEST
from samovar.model.target import Service, Target
from samovar.registry import rules
from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.index import Entry, Index
from samovar.registry.pages import page

_NO_CONFIG = EventInvokeConfig()
_GIVEN = ("max_retry_attempts", "max_event_age", "on_success", "on_failure")


class ShownConfig(NamedTuple):
    """A config, and the ARN of what it belongs to, always qualified (recorded)."""

    arn: str
    config: EventInvokeConfig


class ConfigPage(NamedTuple):
    """Configs in the order of their ARNs; `next_marker` is None on the last page."""

    configs: tuple[ShownConfig, ...]
    next_marker: str | None


class EventInvokeConfigs:
    """The configs of functions' qualifiers. All methods raise ClientError for what the caller did
    wrong."""

    def __init__(self, index: Index, attaching: Attaching, clock: Clock) -> None:
        self._index = index
        self._attaching = attaching
        self._clock = clock

    def effective(self, name: str, qualifier: str | None) -> EventInvokeConfig:
        """What counts for events of `qualifier`; AWS's defaults where nobody has said anything.
        On the way of every event."""
        entry = self._index.find(name)
        if entry is None:
            return _NO_CONFIG
        attached = entry.attached.get((Kind.EVENT_INVOKE, _resource(entry, qualifier)))
        return _NO_CONFIG if attached is None else EventInvokeConfig.of(attached.document)

    def get(self, name: str, qualifier: str | None = None) -> ShownConfig:
        """The config of a qualifier; raises 404 if it has none."""
        entry = self._entry(name, qualifier)
        attached = entry.attached.get((Kind.EVENT_INVOKE, _resource(entry, qualifier)))
        if attached is None:
            raise _none(entry, qualifier)
        return _shown(entry, qualifier, EventInvokeConfig.of(attached.document))

    def list(
        self, name: str, marker: str | None = None, max_items: int | None = None
    ) -> ConfigPage:
        """A page of a function's configs; at most 50, at most `max_items`."""
        entry = self._entry(name, None)
        configs = dict(_configs_of(entry))
        if max_items is not None:
            rules.check_range("maxItems", max_items, (1, limits.LIST_PAGE))
        found = page(sorted(configs), marker, max_items, "ListFunctionEventInvokeConfigs")
        shown = tuple(ShownConfig(arn, configs[arn]) for arn in found.names)
        return ConfigPage(shown, found.next_marker)

    async def put(self, name: str, qualifier: str | None, config: EventInvokeConfig) -> ShownConfig:
        """Set a qualifier's config in the place of what it has."""
        return await self._change(name, qualifier, config, lambda _: config)

    async def update(
        self, name: str, qualifier: str | None, config: EventInvokeConfig
    ) -> ShownConfig:
        """Change what is set in `config`, and leave the rest of a qualifier's as it is, each of the
        two destinations for itself (that AWS merges these, too, is unconfirmed); an empty ARN takes
        a destination away. Raises 404 if it has no config (unconfirmed: AWS's page says
        «updates»)."""

        def merged(present: EventInvokeConfig | None) -> EventInvokeConfig:
            if present is None:
                raise _none(self._entry(name, qualifier), qualifier)
            given = {field: getattr(config, field) for field in _GIVEN}
            return replace(present, **{k: v for k, v in given.items() if v is not None})

        return await self._change(name, qualifier, config, merged)

    async def delete(self, name: str, qualifier: str | None = None) -> None:
        """Remove a qualifier's config; raises 404 if it has none."""
        entry = self._entry(name, qualifier)
        resource = _resource(entry, qualifier)

        def change(entry: Entry) -> object:
            if (Kind.EVENT_INVOKE, resource) not in entry.attached:
                raise _none(entry, qualifier)
            return None

        await self._attaching.attach(name, Kind.EVENT_INVOKE, resource, change)

    async def _change(
        self,
        name: str,
        qualifier: str | None,
        given: EventInvokeConfig,
        change: Callable[[EventInvokeConfig | None], EventInvokeConfig],
    ) -> ShownConfig:
        entry = self._entry(name, qualifier)
        self._check(entry, given)
        resource = _resource(entry, qualifier)
        made: list[EventInvokeConfig] = []

        def changed(entry: Entry) -> object:
            present = entry.attached.get((Kind.EVENT_INVOKE, resource))
            config = change(None if present is None else EventInvokeConfig.of(present.document))
            # As it will be read: without destinations that an empty ARN takes away.
            document = replace(config, last_modified=self._clock.wall()).document()
            made.append(EventInvokeConfig.of(document))
            return made[-1].document()

        await self._attaching.attach(name, Kind.EVENT_INVOKE, resource, changed)
        return _shown(entry, qualifier, made[-1])

    def _check(self, entry: Entry, config: EventInvokeConfig) -> None:
        given = (config.max_retry_attempts, config.max_event_age)
        targets = (config.on_success, config.on_failure)
        if given == (None, None) and targets == (None, None):
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "You must specify at least one of error handling or destination setting.",
            )
        for field, value, bounds in (
            ("maximumRetryAttempts", config.max_retry_attempts, MAX_RETRY_ATTEMPTS),
            ("maximumEventAgeInSeconds", config.max_event_age, MAX_EVENT_AGE),
        ):
            if value is not None:
                rules.check_range(field, value, bounds)
        for arn in targets:
            if arn:
                self._check_target(entry, arn, config)

    def _check_target(self, entry: Entry, arn: str, config: EventInvokeConfig) -> None:
        try:
            target = Target.parse(arn)
        except ValueError:
            raise _invalid(config) from None
        if target.service is Service.S3 and arn == config.on_success:
            raise _invalid(config)  # S3 takes failures only
        if target.service is not Service.LAMBDA:
            return
        if arn == entry.shown.arn or arn.startswith(f"{entry.shown.arn}:"):
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "You can't specify the function as a destination for itself.",
            )
        # One of another account or Region can't be looked for; that it is not ours shows when
        # something is sent there.
        if arn.startswith(self._index.arn("")):
            other = self._index.find(target.name)
            if other is None or other.find(target.qualifier) is None:
                raise ClientError(AWS.INVALID_PARAMETER, f"The destination ARN {arn} is invalid.")

    def _entry(self, name: str, qualifier: str | None) -> Entry:
        entry = self._index.find(name)
        if entry is None or entry.find(qualifier) is None:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, "The function doesn't exist.")
        return entry


def _resource(entry: Entry, qualifier: str | None) -> str:
    arn = entry.shown.arn
    return arn if qualifier in (None, LATEST) else f"{arn}:{qualifier}"


def _shown(entry: Entry, qualifier: str | None, config: EventInvokeConfig) -> ShownConfig:
    return ShownConfig(f"{entry.shown.arn}:{qualifier or LATEST}", config)


def _configs_of(entry: Entry) -> Iterator[tuple[str, EventInvokeConfig]]:
    for (kind, resource), attached in entry.attached.items():
        if kind is Kind.EVENT_INVOKE:
            arn = f"{resource}:{LATEST}" if resource == entry.shown.arn else resource
            yield arn, EventInvokeConfig.of(attached.document)


def _none(entry: Entry, qualifier: str | None) -> ClientError:
    return ClientError(
        AWS.RESOURCE_NOT_FOUND,
        f"The function {entry.shown.arn}:{qualifier or LATEST} doesn't have an EventInvokeConfig",
    )


def _invalid(config: EventInvokeConfig) -> ClientError:
    parts = []
    for field, kind, arn in (
        ("onSuccess", "OnSuccess", config.on_success),
        ("onFailure", "OnFailure", config.on_failure),
    ):
        parts.append(f"{field}={'null' if not arn else f'{kind}(destination={arn})'}")
    return ClientError(
        AWS.INVALID_PARAMETER,
        f"The provided destination config DestinationConfig({', '.join(parts)}) is invalid.",
    )
