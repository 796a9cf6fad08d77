"""What an embedding program does with event sources: have them read for a function, and not any
more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from samovar.assembly import Parts
from samovar.model.arn import function_arn
from samovar.model.event_source import BATCH_SIZE, WINDOW, EventSourceMapping, ShownMapping
from samovar.registry.event_source_rules import read_source
from samovar.settings import Settings


class SourcesApi:
    """A part of `Engine`, which has the rest; raises EngineError while that does not run."""

    settings: Settings

    @property
    def _parts(self) -> Parts:
        raise NotImplementedError

    async def read_source(
        self,
        name: str,
        source_arn: str = "",
        *,
        servers: Sequence[str] = (),
        qualifier: str | None = None,
        filters: Sequence[str] = (),
        **settings: Any,
    ) -> ShownMapping:
        """Have a queue of SQS, a stream of Kinesis or DynamoDB, or a topic of Kafka, be read for a
        function (docs/event-sources.md); returns once it is read. A cluster of Kafka that has no
        ARN is given by its `servers`. `filters` are patterns as JSON, `settings` the other fields
        of EventSourceMapping, by their names there. Raises ClientError, and TypeError for a setting
        that is none."""
        place = self.settings.region, self.settings.account_id
        source = read_source(source_arn, servers, region=place[0])
        given = {
            "batch_size": BATCH_SIZE[source.kind],
            "window": WINDOW[source.kind],
            "filters": tuple(filters),
            "servers": tuple(servers),
            **settings,
        }
        arn = function_arn(*place, name, qualifier)
        mappings = self._parts.registry.event_sources
        made = await mappings.create(EventSourceMapping("", arn, source_arn, **given))
        return await mappings.wait_settled(made.mapping.uuid) or made

    def event_sources(self, name: str | None = None) -> list[ShownMapping]:
        """The mappings of a function, whichever qualifier they name, or all."""
        mappings = self._parts.registry.event_sources
        return [
            mappings.get(one.uuid)
            for one in mappings.all()
            if name is None or one.function_name == name
        ]

    async def leave_source(self, mapping_uuid: str) -> None:
        """Read a source no more; returns when what was in hand is over. Raises ClientError."""
        mappings = self._parts.registry.event_sources
        await mappings.delete(mapping_uuid)
        await mappings.wait_settled(mapping_uuid)
