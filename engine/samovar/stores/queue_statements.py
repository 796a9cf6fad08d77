"""The queue's schema and its SQL: how an item stands in a row, and how rows are looked at.

An item that is put only appends to its table: no index has it before it waits or is dead, so that
one which is claimed as it comes in costs least. There is none on the id, either. What is claimed is
known by its id in memory (it is no more than what can be in hand), what is dead has an
index of its own, and who looks for another one is a person, for whom the table is read through,
on a connection that no commit waits for (`samovar.stores.queue_reads`).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
READING = 1.0  # seconds until the log is tried to be emptied again, where somebody reads it

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
_BODIES = "LEFT JOIN bodies USING (seq)"
_FROM = f"FROM items {_BODIES}"

CLAIM = (
    f"SELECT {_WHOLE} {_FROM}"
    " WHERE state = 0 AND kind = ? AND lane = ? AND due <= ? ORDER BY due, items.seq LIMIT ?"
)
# Told which index: the planner takes the other one of the dead, and reads them all.
EXHUME = (
    "SELECT seq, kind, format, size + length(head) FROM items INDEXED BY dead_id"
    " WHERE id = ? AND state = 2"
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


def find(database: sqlite3.Connection, item_id: str, held: int | None) -> Found | None:
    """See `InvokeQueue.find`; `held` is where the item was when it was claimed, if it was.

    Reads the table through for what is neither there nor dead. An item keeps its place whatever
    becomes of it, so it is found even if it changes between two of these looks.
    """
    looks: list[tuple[str, tuple[Any, ...]]] = [
        ("items INDEXED BY dead_id {} WHERE id = ? AND state = 2", (item_id,)),
        ("items NOT INDEXED {} WHERE id = ? LIMIT 1", (item_id,)),
    ]
    if held is not None:
        looks.insert(0, ("items {} WHERE items.seq = ? AND id = ?", (held, item_id)))
    for source, values in looks:
        sql = f"SELECT {_WHOLE} FROM {source.format(_BODIES)}"
        row = database.execute(sql, values).fetchone()
        if row is not None:
            return _found(row)
    return None


class Look(NamedTuple):
    """What `InvokeQueue.look` is asked for; `held` are the seqs of what is claimed, `unknown` says
    whether items of a format of the future may be there."""

    state: ItemState
    kind: ItemKind | None
    lane: str | None
    after: int
    limit: int
    held: Sequence[int] = ()
    unknown: bool = False


def look(database: sqlite3.Connection, asked: Look) -> Sequence[Found]:
    """See `InvokeQueue.look`. A page costs its own size where neither kind nor lane is given, or
    where few are of them."""
    # By seq from `after` on, so that it ends with the last that is wanted.
    source, where = "items NOT INDEXED", "state IN (0, 3)"
    values: list[Any] = []
    if asked.state is ItemState.DEAD:
        source, where = "items INDEXED BY dead", "state = 2"
    elif asked.state is ItemState.CLAIMED:
        source, where = "items", "state = 1 AND items.seq IN (SELECT value FROM json_each(?))"
        values.append(listed(asked.held))
    elif not asked.unknown and _are_few(database, asked):
        source, where = "items INDEXED BY waiting", "state = 0"
    of, which = _of(asked)
    rows = database.execute(
        f"SELECT {_CUT} FROM {source} {_BODIES} WHERE {where} AND {of} AND items.seq > ?"
        " ORDER BY items.seq LIMIT ?",
        (*values, *which, asked.after, asked.limit),
    )
    return [_found(row) for row in rows]


def _are_few(database: sqlite3.Connection, asked: Look) -> bool:
    """Whether what waits and is asked for fits on a page: then it is cheaper to have it all from
    the index and to sort it than to look for it among everything else."""
    if asked.kind is None and asked.lane is None:
        return False
    of, which = _of(asked)
    (count,) = database.execute(
        "SELECT count(*) FROM (SELECT 1 FROM items INDEXED BY waiting"
        f" WHERE state = 0 AND {of} LIMIT ?)",
        (*which, asked.limit + 1),
    ).fetchone()
    return bool(count <= asked.limit)


def _of(asked: Look) -> tuple[str, tuple[Any, ...]]:
    kinds = KINDS if asked.kind is None else (asked.kind,)
    of = f"kind IN ({', '.join('?' * len(kinds))})"
    numbers = tuple(NUMBER[kind] for kind in kinds)
    if asked.lane is None:
        return of, numbers
    return f"{of} AND lane = ?", (*numbers, asked.lane)


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
    return Found(item_of(row), STATES[row[-1]], row[0])
