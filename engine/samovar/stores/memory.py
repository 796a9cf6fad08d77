"""A RecordStore that keeps nothing: for tests, held to the real one by the contract tests."""

from __future__ import annotations

from samovar.stores.protocols import Put, Record, Remove, RevisionConflict

_Key = tuple[str, str]


class MemoryRecordStore:
    """Lives as long as the object; what was written is there again after `close` and `open`."""

    def __init__(self) -> None:
        self._records: dict[_Key, Record] = {}

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def load(self) -> tuple[Record, ...]:
        return tuple(self._records[key] for key in sorted(self._records))

    async def write(self, *changes: Put | Remove) -> None:
        records = dict(self._records)
        for change in changes:
            if isinstance(change, Put):
                record = change.record
                _demand(records, (record.kind, record.key), change.expected)
                if record.owner is not None and record.owner not in records:
                    raise RevisionConflict(record.key, change.expected, None)
                records[record.kind, record.key] = record
            else:
                _demand(records, (change.kind, change.key), change.expected)
                _remove(records, (change.kind, change.key))
        self._records = records


def _demand(records: dict[_Key, Record], key: _Key, expected: str | None) -> None:
    record = records.get(key)
    found = record.revision if record else None
    if found != expected:
        raise RevisionConflict(key[1], expected, found)


def _remove(records: dict[_Key, Record], key: _Key) -> None:
    del records[key]
    for owned in [record for record in records.values() if record.owner == key]:
        _remove(records, (owned.kind, owned.key))
