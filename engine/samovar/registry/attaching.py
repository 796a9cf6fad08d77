"""Changes of what belongs to functions: policies and the like, and tags."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from samovar.model.alias import Alias
from samovar.model.function import FunctionVersion
from samovar.registry import rules, transitions
from samovar.registry.attached import Attached, Kind
from samovar.registry.index import Entry, Index
from samovar.registry.records import Tags, alias_to_stored, to_stored
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.stores.protocols import Put, Remove


class Attaching:
    """All methods raise ClientError (404 for a function that isn't there, or was deleted before it
    was its turn) and EngineError if the disk fails."""

    def __init__(self, index: Index, underway: UnderWay, writer: Writer) -> None:
        self._index = index
        self._underway = underway
        self._writer = writer

    async def attach(
        self,
        name: str,
        kind: Kind,
        resource: str,
        change: Callable[[Entry], Any],
        *,
        revise: bool = False,
        during: AbstractContextManager[None] | None = None,
        alone: asyncio.Lock | None = None,
    ) -> None:
        """Replace what a function has of `kind` at the ARN `resource` (its own, a version's or an
        alias's) by the document that `change` makes of it; None removes it. It happens within
        `during`, and while nothing else holds `alone`; `change` finds what has that ARN in place.

        `revise`: what has that ARN gets a new revision with it, in one durable write. AWS does so
        for policies; for the rest it is not known, and they leave it alone, so that a client that
        holds a revision of the function is not refused for what is no part of what GetFunction
        shows.

        Changes of one function wait for each other, so that none is lost; an update that is in
        progress does not hinder them.
        """
        entry = self._index.entry(name)

        async def attach() -> None:
            with during or nullcontext():
                async with alone or nullcontext(), self._underway.holding(entry):
                    bearer = entry.bearer(resource)
                    if bearer is None:  # deleted, while its function was not
                        qualifier = resource.rpartition(":")[2]
                        raise self._index.not_found(entry.shown.name, qualifier)
                    document = change(entry)
                    revised = bearer if revise else None
                    await self._attach(entry, kind, resource, document, revised)

        await self._underway.carry_out(attach())

    @contextmanager
    def telling(self, entry: Entry, tell: Callable[[], None]) -> Iterator[None]:
        """To `attach` within: tells of the change once it is there, whether the caller still waits
        for it or not, and unless its function is gone by then."""
        yield
        if self._index.find(entry.shown.name) is entry:
            tell()

    async def _attach(
        self,
        entry: Entry,
        kind: Kind,
        resource: str,
        document: Any,
        bearer: FunctionVersion | Alias | None,
    ) -> None:
        present = entry.attached.get((kind, resource))
        expected = None if present is None else present.revision
        arn = entry.shown.arn
        revised = None if bearer is None else transitions.revised(bearer)
        writes: list[Put | Remove] = []
        if bearer is not None and revised is not None:
            node = self._writer.node
            stored = (
                alias_to_stored(revised, arn, node)
                if isinstance(revised, Alias)
                else to_stored(revised, node)
            )
            writes.append(Put(stored, bearer.revision_id))
        new = None
        if document is not None:
            new = Attached(kind, resource, arn, transitions.new_revision(), document)
            writes.append(Put(new.stored(self._writer.node), expected))
        elif expected is not None:
            writes.append(Remove(kind.value, resource, expected))
        await self._writer.write(resource, *writes)
        if revised is not None:
            entry.revise(revised)
        if new is None:
            entry.attached.pop((kind, resource), None)
        else:
            entry.attached[kind, resource] = new

    async def retag(self, name: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace a function's tags by what `change` makes of them; 409 while an update of it is in
        progress."""
        await self._underway.carry_out(self._retag(self._index.entry(name), change))

    async def _retag(
        self, entry: Entry, change: Callable[[Mapping[str, str]], dict[str, str]]
    ) -> None:
        transitions.demand_settled(entry.shown)
        async with self._underway.holding(entry):
            transitions.demand_settled(entry.shown)
            values = change(entry.tags.values if entry.tags else {})
            rules.check_tags(values)
            tags = Tags(entry.shown.arn, transitions.new_revision(), values)
            expected = entry.tags.revision if entry.tags else None
            await self._writer.write(tags.function, Put(tags.stored(self._writer.node), expected))
            entry.tags = tags
