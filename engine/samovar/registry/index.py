"""What the registry knows, in memory: one writer, and reads that cost a dictionary look-up."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from samovar.errors import AWS, ClientError
from samovar.model.arn import function_arn
from samovar.model.function import LATEST, CodePackage, FunctionVersion, State
from samovar.registry import transitions
from samovar.registry.attached import Attached, Kind
from samovar.registry.pages import page
from samovar.registry.records import Tags


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
    update is in progress. `attached` are a policy and the like, by kind and by the ARN that they
    belong to."""

    __slots__ = ("_change", "attached", "serving", "settled", "shown", "tags")

    def __init__(
        self, shown: FunctionVersion, tags: Tags | None, attached: Iterable[Attached] = ()
    ) -> None:
        self.shown = shown
        ready = transitions.is_settled(shown) and shown.state is State.ACTIVE
        self.serving = shown if ready else None
        self.tags = tags
        self.attached: dict[tuple[Kind, str], Attached] = {
            (item.kind, item.resource): item for item in attached
        }
        self.settled = asyncio.Event()  # set, too, once the function is deleted
        if transitions.is_settled(shown):
            self.settled.set()
        self._change: asyncio.Event | None = None  # only where somebody waits for one

    def show(self, function: FunctionVersion) -> None:
        """Have the API tell of `function` from now on."""
        self.shown = function
        self.tell_change()

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
    """The functions of one Region and account, by name."""

    def __init__(self, region: str, account: str) -> None:
        self._region = region
        self._account = account
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
        self._generation = max(self._generation, entry.shown.generation)

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
        """The function, for the API; raises AWS's 404."""
        entry = self._entries.get(name)
        if entry is None or (qualifier is not None and qualifier != LATEST):
            raise self._not_found(name, qualifier)
        return entry

    def demand_present(self, entry: Entry) -> None:
        """Raise AWS's 404 if this very function was deleted, whatever has its name by now."""
        if self._entries.get(entry.shown.name) is not entry:
            raise self._not_found(entry.shown.name, None)

    def resolve(self, name: str, qualifier: str | None) -> FunctionVersion:
        """The version to run; raises AWS's 404, and its 409 while there is none yet."""
        entry = self._entries.get(name)
        if entry is None or (qualifier is not None and qualifier != LATEST):
            raise self._not_found(name, qualifier or LATEST)
        serving = entry.serving
        if serving is None:
            # A function whose creation was cut short shows as Pending until it is finished.
            state = entry.shown.state if entry.shown.state is not State.ACTIVE else State.PENDING
            raise ClientError(
                AWS.RESOURCE_CONFLICT,
                "The operation cannot be performed at this time. The function is currently in the "
                f"following state: {state}",
            )
        return serving

    def page(self, marker: str | None, max_items: int | None) -> FunctionPage:
        """The functions after `marker`, at most `max_items` and never more than AWS's 50."""
        found = page(self._names, marker, max_items, "ListFunctions")
        functions = tuple(self._entries[name].shown for name in found.names)
        return FunctionPage(functions, found.next_marker)

    def usage(self) -> AccountUsage:
        """Code size and number of all functions."""
        return AccountUsage(
            sum(entry.shown.code.size for entry in self._entries.values()), len(self._entries)
        )

    def packages(self) -> Iterator[CodePackage]:
        """What functions show and run."""
        for entry in self._entries.values():
            yield entry.shown.code
            if entry.serving is not None:
                yield entry.serving.code

    def directories(self) -> set[str]:
        """The directories that hot reload takes functions' code from."""
        return {code.directory for code in self.packages() if code.directory}

    def tags(self, name: str) -> Mapping[str, str]:
        """The tags of a function; raises AWS's 404."""
        tags = self.entry(name).tags
        return dict(tags.values) if tags else {}

    def _not_found(self, name: str, qualifier: str | None) -> ClientError:
        return ClientError(
            AWS.RESOURCE_NOT_FOUND, f"Function not found: {self.arn(name, qualifier)}"
        )
