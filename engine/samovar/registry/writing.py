"""Durable writes of what the registry knows, and AWS's error where another node came first."""

from __future__ import annotations

from samovar.errors import AWS, ClientError
from samovar.model.function import FunctionVersion
from samovar.registry.index import Entry
from samovar.registry.records import to_stored
from samovar.stores.protocols import Put, RecordStore, Remove, RevisionConflict


class Writer:
    """Writes records as the node `node`.

    If the awaiting task is cancelled the write may or may not happen: call it in a task that nobody
    cancels.
    """

    def __init__(self, store: RecordStore, node: str) -> None:
        self.node = node
        self._store = store

    async def write(self, resource: str, *changes: Put | Remove) -> None:
        """Carry out all `changes` of what the ARN `resource` names, or none.

        Raises AWS's 409 if it isn't what was read any more, EngineError if the disk fails.
        """
        try:
            await self._store.write(*changes)
        except RevisionConflict as conflict:
            raise ClientError(
                AWS.RESOURCE_CONFLICT,
                f"{resource} was changed by another node at the same time; read it and try again.",
            ) from conflict

    async def replace(self, entry: Entry, function: FunctionVersion) -> None:
        """Have `entry` show `function`, which is written first; raises as `write` does."""
        await self.rewrite(entry.shown, function)
        entry.show(function)

    async def rewrite(self, old: FunctionVersion, new: FunctionVersion) -> None:
        """Write `new` in the place of `old`, an earlier form of the same version; raises as `write`
        does."""
        await self.write(new.arn, Put(to_stored(new, self.node), old.revision_id))
