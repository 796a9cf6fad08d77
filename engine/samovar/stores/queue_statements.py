"""The queue's schema and its SQL: how an item stands in a row, and how rows are looked at.

An item that is put only appends to its table: no index has it before it waits or is dead, so that
one which is claimed as it comes in costs least. There is none on the id, either. What is claimed is
known by its id in memory (it is no more than what can be in hand), what is dead has an
index of its own, and who looks for another one is a person, for whom the table is read through.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from samovar.stores.invoke_queue import Found, Item, ItemKind, ItemState, Lane

SCHEMA_VERSION = 1
SHOWN_BODY = 1024
NEVER = float("inf")

# Bodies up to this size stand in their item's row, two of which fit on a page; others have a row
# of their own, which is not written anew with each change of the item.
INLINE = 1536

KINDS = tuple(ItemKind)
NUMBER = {kind: number for number, kind in enumerate(KINDS)}

WAITING, CLAIMED, DEAD = 0, 1, 2
UNKNOWN = 3  # waits too, but a newer Samovar wrote it, and this one does not know how to read it
STATES = (ItemState.WAITING, ItemState.CLAIMED, ItemState.DEAD, ItemState.WAITING)

SCHEMA = (
    """
    CREATE TABLE items (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        kind INTEGER NOT NULL,
        lane TEXT NOT NULL,
        state INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        node TEXT NOT NULL,
        format INTEGER NOT NULL,
        accepted REAL NOT NULL,
        due REAL NOT NULL,
        expires REAL NOT NULL,
        until REAL,
        size INTEGER NOT NULL,
        head BLOB NOT NULL,
        body BLOB
    )
    """,
    "CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE INDEX waiting ON items (kind, lane, due) WHERE state = 0",
    "CREATE INDEX dead ON items (state) WHERE state = 2",  # by seq
    "CREATE INDEX dead_id ON items (id) WHERE state = 2",
)

# Pages of 4 KB. Free ones beyond the first number are given back when it is quiet, the second
# number at a time; the third is how long the write-ahead log grows before it is written back.
KEPT_FREE = 4096
STEP = 512
CHECKPOINT = 4096

WIDTH = 15
_ONE = f"({', '.join('?' * WIDTH)})"
LONGEST_RUN = 64
INSERT = tuple(
    "INSERT INTO items VALUES " + ", ".join([_ONE] * count) for count in range(LONGEST_RUN + 1)
)
_FIELDS = (
    "items.seq, id, kind, lane, head, {body}, accepted, due, expires, node, attempt, format, state"
)
_WHOLE = _FIELDS.format(body="coalesce(items.body, bodies.body)")
_CUT = _FIELDS.format(body=f"substr(coalesce(items.body, bodies.body), 1, {SHOWN_BODY})")
_FROM = "FROM items LEFT JOIN bodies USING (seq)"

CLAIM = (
    f"SELECT {_WHOLE} {_FROM}"
    " WHERE state = 0 AND kind = ? AND lane = ? AND due <= ? ORDER BY due, items.seq LIMIT ?"
)
NEXT = "SELECT due FROM items WHERE state = 0 AND kind = ? AND lane = ? ORDER BY due LIMIT 1"


def row_of(item: Item, node: str, state: int, until: float | None) -> tuple[Any, ...]:
    """An item's row but for `seq`; its body is taken out of it later if it is large."""
    body = item.body
    return (
        *(item.id, NUMBER[item.kind], item.lane, state, item.attempt, node, item.format),
        *(item.accepted, item.due, item.expires, until, len(body), item.head, body),
    )


def insert(database: sqlite3.Connection, values: Sequence[Any]) -> None:
    """Put rows in, one behind the other in `values`.

    Many a statement: each lets go of the interpreter's lock, and may wait long to have it back. All
    lengths that there are stay prepared.
    """
    for start in range(0, len(values), LONGEST_RUN * WIDTH):
        run = values[start : start + LONGEST_RUN * WIDTH]
        database.execute(INSERT[len(run) // WIDTH], run)


def lanes(database: sqlite3.Connection) -> Sequence[Lane]:
    """See `InvokeQueue.lanes`."""
    rows = database.execute(
        "SELECT kind, lane, sum(state != 1), sum(state = 1),"
        " min(CASE state WHEN 0 THEN due END), min(CASE WHEN state != 1 THEN accepted END)"
        " FROM items WHERE state != 2 GROUP BY kind, lane"
    )
    return [Lane(KINDS[kind], *rest) for kind, *rest in rows]


def find(database: sqlite3.Connection, seq: int) -> Found | None:
    """See `InvokeQueue.find`."""
    row = database.execute(f"SELECT {_WHOLE} {_FROM} WHERE items.seq = ?", (seq,)).fetchone()
    return row and _found(row)


def seq_of(database: sqlite3.Connection, item_id: str) -> int | None:
    """Where an item is that is not claimed; reads the table through unless it is dead."""
    for where in ("items WHERE id = ? AND state = 2", "items NOT INDEXED WHERE id = ?"):
        sql = f"SELECT seq FROM {where} LIMIT 1"
        row = database.execute(sql, (item_id,)).fetchone()
        if row is not None:
            return int(row[0])
    return None


def look(
    database: sqlite3.Connection,
    state: ItemState,
    lane: str | None,
    *,
    behind: int,
    limit: int,
    held: Iterable[int],
) -> Sequence[Found]:
    """See `InvokeQueue.look`; `held` are the seqs of what is claimed."""
    source, where = _FROM, "state = 2"
    values: list[Any] = []
    if state is ItemState.WAITING:
        # By seq from the first on, so that it ends with the last that is wanted.
        source, where = _FROM.replace("items", "items NOT INDEXED", 1), "state IN (0, 3)"
    elif state is ItemState.CLAIMED:
        where = "items.seq IN (SELECT value FROM json_each(?))"
        values.append(listed(held))
    rows = database.execute(
        f"SELECT {_CUT} {source} WHERE {where} AND items.seq > ?"
        " AND lane = coalesce(?, lane) ORDER BY items.seq LIMIT ?",
        (*values, behind, lane, limit),
    )
    return [_found(row) for row in rows]


def at(kind: int, state: int) -> int:
    """Where the number of such items stands."""
    return kind * len(STATES) + state


def depths(counts: Sequence[int]) -> Mapping[tuple[ItemKind, ItemState], int]:
    """Those numbers as the queue tells them."""
    found: Counter[tuple[ItemKind, ItemState]] = Counter()
    for place, count in enumerate(counts):
        kind, state = divmod(place, len(STATES))
        if count:
            found[KINDS[kind], STATES[state]] += count
    return found


def listed(numbers: Iterable[int]) -> str:
    """As a statement takes any number of seqs."""
    return json.dumps(list(numbers))


def item_of(row: tuple[Any, ...]) -> Item:
    """What a row of CLAIM is."""
    return Item(row[1], KINDS[row[2]], *row[3:-1])


def _found(row: tuple[Any, ...]) -> Found:
    return Found(item_of(row), STATES[row[-1]])
