"""What the registry knows, in memory: one writer, and reads that cost a dictionary look-up."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

from samovar.errors import AWS, ClientError
from samovar.model.alias import Alias
from samovar.model.arn import function_arn
from samovar.model.function import LATEST, CodePackage, FunctionVersion, State
from samovar.registry import transitions
from samovar.registry.attached import Attached, Kind
from samovar.registry.pages import marker_key, marker_of, page, page_size
from samovar.registry.records import Tags
from samovar.stores.protocols import Remove

_LEAST = " "  # a character that comes before all that a name may have
_ACTIVE = State.ACTIVE  # looked up once: an enum's members cost as much as the rest of `resolve`
_DIGITS = 20  # of a version's number where numbers are compared as texts


class FunctionPage(NamedTuple):
    """Functions in the order of their names; `next_marker` is None on the last page."""

    functions: tuple[FunctionVersion, ...]
    next_marker: str | None


class AccountUsage(NamedTuple):
    """What an account takes up: bytes of zipped code, and functions."""

    total_code_size: int
    function_count: int


class Entry:
    """One function. `shown` is what the API tells of it, and changed by `show` alone; `serving` is
    what an invocation runs: none before the function is Active, and still the old version while an
    update is in progress. `versions` are the published ones by their number, in its order;
    `aliases` by their name. `attached` are a policy and the like, by kind and by the ARN that they
    belong to."""

    __slots__ = (
        "_change",
        "aliases",
        "attached",
        "serving",
        "settled",
        "shown",
        "tags",
        "versions",
    )

    def __init__(
        self,
        shown: FunctionVersion,
        tags: Tags | None,
        attached: Iterable[Attached] = (),
        versions: Iterable[FunctionVersion] = (),
        aliases: Iterable[Alias] = (),
    ) -> None:
        self.shown = shown
        ready = transitions.is_settled(shown) and shown.state is State.ACTIVE
        self.serving = shown if ready else None
        self.tags = tags
        self.attached: dict[tuple[Kind, str], Attached] = {
            (item.kind, item.resource): item for item in attached
        }
        numbered = sorted(versions, key=lambda version: int(version.version))
        self.versions = {version.version: version for version in numbered}
        self.aliases = {alias.name: alias for alias in aliases}
        self.settled = asyncio.Event()  # set, too, once the function is deleted
        if transitions.is_settled(shown):
            self.settled.set()
        self._change: asyncio.Event | None = None  # only where somebody waits for one

    def show(self, function: FunctionVersion) -> None:
        """Have the API tell of `function` from now on."""
        self.shown = function
        self.tell_change()

    def keep(self, version: FunctionVersion) -> None:
        """Take in a published version, or what has become of one."""
        self.versions[version.version] = version
        self.tell_change()

    def bearer(self, resource: str) -> FunctionVersion | Alias | None:
        """What is revised with what is attached to the ARN `resource`: the alias, the version, or
        $LATEST for the function itself; None if it isn't there."""
        qualifier = resource.removeprefix(self.shown.arn).removeprefix(":") or None
        alias = None if qualifier is None else self.aliases.get(qualifier)
        return alias or self.find(qualifier)

    def revise(self, revised: FunctionVersion | Alias) -> None:
        """Take in another revision of what is a `bearer`."""
        if isinstance(revised, Alias):
            self.aliases[revised.name] = revised
            self.tell_change()
        elif revised.version != LATEST:
            self.keep(revised)
        else:
            if self.serving is self.shown:
                self.serving = revised
            self.show(revised)

    def removals(self, resource: str) -> Iterator[Remove]:
        """What removes all that is attached to the ARN of a version or an alias."""
        for (kind, attached_to), attached in self.attached.items():
            if attached_to == resource:
                yield Remove(kind.value, resource, attached.revision)

    def drop(self, gone: FunctionVersion | Alias) -> None:
        """Forget a published version or an alias, and what is attached to it."""
        if isinstance(gone, Alias):
            del self.aliases[gone.name]
            resource = gone.arn
        else:
            del self.versions[gone.version]
            resource = gone.qualified_arn
        self.attached = {key: item for key, item in self.attached.items() if key[1] != resource}
        self.tell_change()

    def find(self, qualifier: str | None) -> FunctionVersion | None:
        """What the API tells of a version, or of the first one of an alias."""
        if qualifier is None or qualifier == LATEST:
            return self.shown
        alias = self.aliases.get(qualifier)
        if alias is not None:
            return self.find(alias.function_version)
        return self.versions.get(qualifier)

    def all_versions(self) -> Iterator[FunctionVersion]:
        """$LATEST as the API tells of it, and what is published."""
        return chain((self.shown,), self.versions.values())

    def referred(self) -> Iterator[FunctionVersion]:
        """All that is shown or run."""
        yield from self.all_versions()
        if self.serving is not None:
            yield self.serving

    def tell_change(self) -> None:
        """Wake those who wait for the next change; the function's end is one, too."""
        if self._change is not None:
            self._change.set()
            self._change = None

    async def next_change(self) -> None:
        """Wait until something else is shown, or the function is deleted."""
        if self._change is None:
            self._change = asyncio.Event()
        await self._change.wait()


class Index:
    """The functions of one Region and account, by name. `draw` gives numbers from 0 to below 1:
    which version an alias stands for that has two."""

    def __init__(
        self, region: str, account: str, draw: Callable[[], float] = random.random
    ) -> None:
        self._region = region
        self._account = account
        self._draw = draw
        self._entries: dict[str, Entry] = {}
        self._names: list[str] = []
        self._generation = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def arn(self, name: str, qualifier: str | None = None) -> str:
        """The ARN that a function of this name has here."""
        return function_arn(self._region, self._account, name, qualifier)

    def add(self, entry: Entry) -> None:
        """Take in a function whose name is free."""
        name = entry.shown.name
        self._entries[name] = entry
        insort(self._names, name)
        highest = max(version.generation for version in entry.all_versions())
        self._generation = max(self._generation, highest)

    def next_generation(self) -> int:
        """A generation that no function has had."""
        # Counted over all functions: one that is deleted and created anew must not meet the
        # contexts of its namesake.
        self._generation += 1
        return self._generation

    def remove(self, name: str) -> None:
        """Forget a function."""
        entry = self._entries.pop(name)
        self._names.remove(name)
        entry.settled.set()
        entry.tell_change()

    def find(self, name: str) -> Entry | None:
        """The function of this name, if there is one."""
        return self._entries.get(name)

    def entry(self, name: str, qualifier: str | None = None) -> Entry:
        """The function, for the API; raises AWS's 404, for an unknown qualifier too."""
        entry = self._entries.get(name)
        if entry is None or (qualifier is not None and entry.find(qualifier) is None):
            raise self.not_found(name, qualifier)
        return entry

    def shown(self, name: str, qualifier: str | None = None) -> FunctionVersion:
        """What the API tells of a version; raises as `entry` does."""
        entry = self._entries.get(name)
        found = None if entry is None else entry.find(qualifier)
        if found is None:
            raise self.not_found(name, qualifier)
        return found

    def demand_present(self, entry: Entry) -> None:
        """Raise AWS's 404 if this very function was deleted, whatever has its name by now."""
        if self._entries.get(entry.shown.name) is not entry:
            raise self.not_found(entry.shown.name, None)

    def resolve(self, name: str, qualifier: str | None) -> FunctionVersion:
        """The version to run; raises AWS's 404, and its 409 while there is none yet."""
        entry = self._entries.get(name)
        if entry is None:
            raise self.not_found(name, qualifier or LATEST)
        if qualifier is not None and qualifier != LATEST:
            return self._resolve_qualified(entry, qualifier)
        serving = entry.serving
        if serving is None:
            # A function whose creation was cut short shows as Pending until it is finished.
            state = entry.shown.state if entry.shown.state is not State.ACTIVE else State.PENDING
            raise _not_now(state)
        return serving

    def _resolve_qualified(self, entry: Entry, qualifier: str) -> FunctionVersion:
        number = qualifier
        alias = entry.aliases.get(qualifier)
        if alias is not None:
            number = alias.function_version
            if alias.additional is not None:
                other, weight = alias.additional
                if self._draw() < weight:
                    number = other
            if number == LATEST:
                return self.resolve(entry.shown.name, None)
        version = entry.versions.get(number)
        if version is None:
            raise self.not_found(entry.shown.name, qualifier)
        if version.state is not _ACTIVE:
            if version.starts_from_template and version.state is State.PENDING:
                # AWS documents it for a version that lost its snapshot; of one that has none yet it
                # is unconfirmed.
                raise ClientError(
                    AWS.SNAP_START_NOT_READY,
                    "Lambda is initializing your function. It will be ready to invoke once your "
                    "function state becomes ACTIVE.",
                )
            raise _not_now(version.state)
        return version

    def candidates(self, name: str, qualifier: str | None) -> tuple[FunctionVersion, ...]:
        """All versions that `resolve` may give; raises what it raises."""
        entry = self._entries.get(name)
        alias = entry.aliases.get(qualifier) if entry and qualifier else None
        if alias is None:
            return (self.resolve(name, qualifier),)
        return tuple(self.resolve(name, number) for number in alias.versions)

    def page(self, marker: str | None, max_items: int | None) -> FunctionPage:
        """The functions after `marker`, at most `max_items` and never more than AWS's 50."""
        found = page(self._names, marker, max_items, "ListFunctions")
        functions = tuple(self._entries[name].shown for name in found.names)
        return FunctionPage(functions, found.next_marker)

    def page_of_all(self, marker: str | None, max_items: int | None) -> FunctionPage:
        """The versions of all functions after `marker`, as many as in a `page`."""
        count = page_size(max_items)
        after = marker_key(marker, "ListFunctions") if marker else ""
        name, _, version_key = after.partition(_LEAST)
        # One of a `page` of functions alone stands for all versions of the function.
        start = bisect_left(self._names, name) if version_key else bisect_right(self._names, name)
        everything = (
            (f"{name}{_LEAST}{sort_key(version.version)}", version)
            for name in islice(self._names, start, None)
            for version in self._entries[name].all_versions()
        )
        found = list(islice((item for item in everything if item[0] > after), count + 1))
        more = len(found) > count
        functions = tuple(version for _, version in found[:count])
        return FunctionPage(functions, marker_of(found[count - 1][0]) if more else None)

    def usage(self) -> AccountUsage:
        """Code size of all functions, each of its versions counted, and their number."""
        versions = chain.from_iterable(entry.all_versions() for entry in self._entries.values())
        return AccountUsage(sum(version.code.size for version in versions), len(self._entries))

    def packages(self) -> Iterator[CodePackage]:
        """What functions show and run."""
        for entry in self._entries.values():
            for version in entry.referred():
                yield version.code

    def directories(self) -> set[str]:
        """The directories that hot reload takes functions' code from."""
        return {code.directory for code in self.packages() if code.directory}

    def tags(self, name: str) -> Mapping[str, str]:
        """The tags of a function; raises AWS's 404."""
        tags = self.entry(name).tags
        return dict(tags.values) if tags else {}

    def alias_not_found(self, name: str, alias: str) -> ClientError:
        """AWS's 404 of operations that are asked for an alias."""
        return ClientError(
            AWS.RESOURCE_NOT_FOUND, f"Cannot find alias arn: {self.arn(name, alias)}"
        )

    def not_found(self, name: str, qualifier: str | None) -> ClientError:
        """AWS's 404 for a function or one of its versions."""
        return ClientError(
            AWS.RESOURCE_NOT_FOUND, f"Function not found: {self.arn(name, qualifier)}"
        )


def sort_key(version: str) -> str:
    """What versions are put in order by, as texts: $LATEST, then by number."""
    return version if version == LATEST else version.zfill(_DIGITS)


def _not_now(state: State) -> ClientError:
    return ClientError(
        AWS.RESOURCE_CONFLICT,
        "The operation cannot be performed at this time. The function is currently in the "
        f"following state: {state}",
    )
