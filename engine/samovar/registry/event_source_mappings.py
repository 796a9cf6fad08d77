"""Event source mappings: what is kept of them, and the states that they go through.

A mapping outlives its function, as in AWS: it names it, and finds it when there is something to
invoke it with. Whoever reads sources follows the mappings (`Follower`), and what it is asked for is
under way until it has done it: other requests are refused meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from samovar.clock import Clock
from samovar.errors import AWS, ClientError, EngineError
from samovar.model.event_source import (
    EventSourceMapping,
    MappingState,
    ShownMapping,
    SourceKind,
)
from samovar.model.function import FunctionVersion
from samovar.registry import event_source_rules as rules_of_sources
from samovar.registry import transitions
from samovar.registry.index import Index
from samovar.registry.mapping_texts import refused
from samovar.registry.pages import page
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.settings import Settings
from samovar.stores.protocols import Put, Record, Remove

KIND = "event-source-mapping"
# StateTransitionReason, of queues and of Kafka's own clusters, and of others.
_BY_USER, _BY_USER_OF_STREAM = "USER_INITIATED", "User action"
_USER_INITIATED = (SourceKind.SQS, SourceKind.KAFKA)

# What was asked for while something is under way (reference, section 5.2).
_IN_USE = "Cannot delete the event source mapping because it is in use"
_BEING_UPDATED = (
    "The operation cannot be performed at this time. The event source mapping is currently being "
    "updated."
)

_log = logging.getLogger(__name__)

Change = Callable[[EventSourceMapping], EventSourceMapping]
_Pair = tuple[str, str, frozenset[str], str | None]


class Follower(Protocol):
    """Reads what mappings say."""

    async def demand(self, mapping: EventSourceMapping, function: FunctionVersion) -> None:
        """Raise ClientError unless the source is there, and the function may read it."""

    async def follow(self, mapping: EventSourceMapping) -> None:
        """Have a mapping be read, or not be read, as it says from now on; returns when it is so.
        Raises nothing."""

    async def leave(self, mapping: EventSourceMapping) -> None:
        """Read it no more; returns when what was in hand is over. Raises nothing."""

    def last_result(self, mapping: EventSourceMapping) -> str | None:
        """AWS's LastProcessingResult; None where there is none (queues have none)."""


class Nobody:
    """Reads nothing: where only the API is wanted."""

    async def demand(self, mapping: EventSourceMapping, function: FunctionVersion) -> None:
        """Everything is there."""

    async def follow(self, mapping: EventSourceMapping) -> None:
        """There is nothing to do."""

    async def leave(self, mapping: EventSourceMapping) -> None:
        """There is nothing to do."""

    def last_result(self, mapping: EventSourceMapping) -> str | None:
        """Nothing was processed."""


class MappingPage(NamedTuple):
    """Mappings in the order of their UUIDs."""

    mappings: Sequence[ShownMapping]
    next_marker: str | None


class _Entry:
    __slots__ = ("mapping", "settled", "state", "writing")

    def __init__(self, mapping: EventSourceMapping, state: MappingState) -> None:
        self.mapping = mapping
        self.state = state
        self.settled = asyncio.Event()  # set while nothing is under way, and once it is gone
        self.settled.set()
        self.writing = asyncio.Lock()  # of its record: one after another


class EventSourceMappings:
    """The mappings of one Region and account. Methods raise ClientError for what the caller did
    wrong, EngineError if the disk fails; a call that raised has changed nothing."""

    def __init__(
        self, index: Index, underway: UnderWay, writer: Writer, clock: Clock, settings: Settings
    ) -> None:
        self.follower: Follower = Nobody()
        self._index = index
        self._underway = underway
        self._writer = writer
        self._clock = clock
        self._region = settings.region
        self._prefix = f"arn:aws:lambda:{settings.region}:{settings.account_id}:{KIND}:"
        self._entries: dict[str, _Entry] = {}
        self._coming: set[_Pair] = set()  # pairs that are being created, or updated to
        self._elsewhere: set[str] = set()  # UUIDs of other Regions and accounts

    def restore(self, records: Sequence[Record]) -> None:
        """Take in what was stored; raises EngineError for a damaged record."""
        for record in records:
            if record.kind != KIND:
                continue
            if not record.key.startswith(self._prefix):
                self._elsewhere.add(record.key.rpartition(":")[2])
                continue
            mapping = _read(record, record.key.removeprefix(self._prefix))
            self._entries[mapping.uuid] = _Entry(mapping, mapping.target_state)

    # Reading.

    def all(self) -> list[EventSourceMapping]:
        """Every mapping."""
        return [entry.mapping for entry in self._entries.values()]

    def uuids(self) -> set[str]:
        """Of every mapping that is kept, of whichever Region and account."""
        return self._elsewhere | self._entries.keys()

    def get(self, mapping_uuid: str) -> ShownMapping:
        """One mapping; raises 404."""
        return self._shown(self._entry(mapping_uuid))

    def list(
        self,
        *,
        source_arn: str | None = None,
        function_arn: str | None = None,
        marker: str | None = None,
        max_items: int | None = None,
    ) -> MappingPage:
        """A page of the mappings of a source, or of a function (as it was asked for), or of all."""
        names = sorted(
            key
            for key, entry in self._entries.items()
            if source_arn in (None, entry.mapping.source_arn)
            and function_arn in (None, entry.mapping.function_arn)
        )
        found = page(names, marker, max_items, "ListEventSourceMappings")
        shown = [self._shown(self._entries[name]) for name in found.names]
        return MappingPage(shown, found.next_marker)

    async def wait_settled(self, mapping_uuid: str) -> ShownMapping | None:
        """What a mapping is when nothing is under way for it any more; None if it is gone then."""
        entry = self._entries.get(mapping_uuid)
        if entry is None:
            return None
        await entry.settled.wait()
        return self._shown(entry) if mapping_uuid in self._entries else None

    # Changing.

    async def create(self, new: EventSourceMapping) -> ShownMapping:
        """Keep a new mapping, and have it read; its UUID, time and revision are made here."""
        return await self._underway.carry_out(self._create(new))

    async def update(self, mapping_uuid: str, change: Change) -> ShownMapping:
        """Replace a mapping by what `change` makes of it."""
        return await self._underway.carry_out(self._update(mapping_uuid, change))

    async def delete(self, mapping_uuid: str) -> ShownMapping:
        """Delete a mapping; what it was."""
        return await self._underway.carry_out(self._delete(mapping_uuid))

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The tags of a mapping; raises 404."""
        return self._entry(arn.removeprefix(self._prefix)).mapping.tags

    async def retag(self, arn: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace a mapping's tags; no change of the mapping itself."""

        async def retag() -> None:
            entry = self._entry(arn.removeprefix(self._prefix))
            async with entry.writing:
                if entry.state is MappingState.DELETING:
                    raise _unknown()
                tagged = replace(entry.mapping, tags=change(entry.mapping.tags))
                rules_of_sources.check(tagged)
                await self._keep(entry, tagged)

        await self._underway.carry_out(retag())

    def resume(self) -> None:
        """Have everything read that is to be, after a start."""
        for entry in list(self._entries.values()):
            if entry.mapping.enabled:
                entry.state = MappingState.ENABLING
            entry.settled.clear()
            self._underway.start(self._settle(entry))

    async def _create(self, new: EventSourceMapping) -> ShownMapping:
        pair = _pair(new)
        self._demand_one(new)
        self._coming.add(pair)
        try:
            await self._demand(new)
            mapping = replace(new, uuid=str(uuid.uuid4()), last_modified=self._clock.wall())
            state = MappingState.CREATING if mapping.enabled else MappingState.DISABLED
            entry = _Entry(mapping, state)
            await self._keep(entry, mapping)
            self._entries[mapping.uuid] = entry
        finally:
            self._coming.discard(pair)
        return self._begin(entry)

    async def _update(self, mapping_uuid: str, change: Change) -> ShownMapping:
        entry = self._settled(mapping_uuid, _BEING_UPDATED)
        present, before = entry.mapping, entry.state
        wanted = change(present)
        pair = _pair(wanted)
        moves = pair != _pair(present)
        if moves:
            self._demand_one(wanted)
            self._coming.add(pair)
        entry.state = _on_the_way(present, wanted)
        try:
            # What is gone, or allowed no more, can be read no more all the same.
            if wanted != replace(present, enabled=False):
                await self._demand(wanted)
            async with entry.writing:
                tags = entry.mapping.tags  # which may have been changed meanwhile
                await self._keep(
                    entry, replace(wanted, tags=tags, last_modified=self._clock.wall())
                )
        except BaseException:
            entry.state = before
            raise
        finally:
            if moves:
                self._coming.discard(pair)
        return self._begin(entry)

    async def _delete(self, mapping_uuid: str) -> ShownMapping:
        entry = self._settled(mapping_uuid, _IN_USE)
        before, entry.state = entry.state, MappingState.DELETING
        arn = self._arn(entry.mapping)
        try:
            async with entry.writing:
                await self._writer.write(arn, Remove(KIND, arn, entry.mapping.revision))
        except BaseException:
            entry.state = before
            raise
        shown = self._shown(entry)
        entry.settled.clear()
        self._underway.start(self._leave(entry))
        return shown

    def _begin(self, entry: _Entry) -> ShownMapping:
        """What a request is answered with, while what it asked for begins."""
        shown = self._shown(entry)
        entry.settled.clear()
        self._underway.start(self._settle(entry))
        return shown

    async def _settle(self, entry: _Entry) -> None:
        try:
            await self.follower.follow(entry.mapping)
        except Exception:  # a bug of ours: it can be changed and deleted all the same
            _log.exception("%s is not read", entry.mapping.source_name)
        finally:
            entry.state = entry.mapping.target_state
            entry.settled.set()

    async def _leave(self, entry: _Entry) -> None:
        try:
            await self.follower.leave(entry.mapping)
        except Exception:
            _log.exception("%s may be read still", entry.mapping.source_name)
        finally:
            self._entries.pop(entry.mapping.uuid, None)
            entry.settled.set()

    async def _demand(self, mapping: EventSourceMapping) -> None:
        rules_of_sources.check(mapping)
        try:
            function = self._index.candidates(mapping.function_name, mapping.qualifier)[0]
        except ClientError as error:
            if error.error is AWS.RESOURCE_NOT_FOUND:
                raise refused("Function does not exist") from None
            function = self._index.shown(mapping.function_name, mapping.qualifier)
        await self.follower.demand(mapping, function)

    def _demand_one(self, mapping: EventSourceMapping) -> None:
        """Raise 409 if there is another mapping of this source and function."""
        same = _pair(mapping)
        for other in self._entries.values():
            one = other.mapping
            if one.uuid != mapping.uuid and _pair(one) == same:
                raise ClientError(
                    AWS.RESOURCE_CONFLICT,
                    f"{_what_exists(mapping)} already exists. Please update or delete the existing "
                    f"mapping with UUID {one.uuid}",
                )
        if same in self._coming:
            raise ClientError(
                AWS.RESOURCE_CONFLICT,
                f"An event source mapping of {mapping.source_name} and {mapping.function_name} is "
                "being made by another request.",
            )

    async def _keep(self, entry: _Entry, mapping: EventSourceMapping) -> None:
        kept = replace(mapping, revision=transitions.new_revision())
        arn = self._arn(kept)
        document = json.dumps(kept.document(), ensure_ascii=False, separators=(",", ":"))
        record = Record(KIND, arn, kept.revision, document, self._writer.node)
        await self._writer.write(arn, Put(record, entry.mapping.revision or None))
        entry.mapping = kept

    def _entry(self, mapping_uuid: str) -> _Entry:
        entry = self._entries.get(mapping_uuid)
        if entry is None:
            raise _unknown()
        return entry

    def _settled(self, mapping_uuid: str, otherwise: str) -> _Entry:
        """One that nothing is under way for; raises 404, and ResourceInUse with a text."""
        entry = self._entry(mapping_uuid)
        if not entry.state.settled:
            raise ClientError(AWS.RESOURCE_IN_USE, otherwise)
        return entry

    def _shown(self, entry: _Entry) -> ShownMapping:
        mapping = entry.mapping
        return ShownMapping(
            mapping,
            self._arn(mapping),
            entry.state,
            _BY_USER if mapping.source.kind in _USER_INITIATED else _BY_USER_OF_STREAM,
            self.follower.last_result(mapping),
        )

    def _arn(self, mapping: EventSourceMapping) -> str:
        return self._prefix + mapping.uuid


def _unknown() -> ClientError:
    return ClientError(AWS.RESOURCE_NOT_FOUND, "The resource you requested does not exist.")


def _pair(mapping: EventSourceMapping) -> _Pair:
    """What there may be one mapping of."""
    return mapping.function_arn, mapping.source_arn, frozenset(mapping.servers), mapping.topic


def _what_exists(mapping: EventSourceMapping) -> str:
    """In AWS's words, blanks and all."""
    source, name = mapping.source, mapping.function_name
    if source.is_stream:
        return f'The event source arn (" {source.arn} ") and function (" {name} ") provided mapping'
    if source.is_kafka:
        return (
            f'An event source mapping with event source ("{source.name}"), function '
            f'("{mapping.function_arn}"), topics ("{mapping.topic}")'
        )
    return f'An event source mapping with SQS arn (" {source.arn} ") and function (" {name} ")'


def _on_the_way(present: EventSourceMapping, wanted: EventSourceMapping) -> MappingState:
    if present.enabled == wanted.enabled:
        return MappingState.UPDATING
    return MappingState.ENABLING if wanted.enabled else MappingState.DISABLING


def _read(record: Record, mapping_uuid: str) -> EventSourceMapping:
    try:
        mapping = EventSourceMapping.of(mapping_uuid, record.revision, json.loads(record.document))
        _ = mapping.source, mapping.function_name
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise EngineError(f"The stored record of {record.key} is damaged: {error!r}") from error
    return mapping
