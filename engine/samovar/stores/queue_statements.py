"""The queue's tables, and the statements that work on them."""

from __future__ import annotations

from samovar.stores.invoke_queue import ItemState

SCHEMA_VERSION = 1
SHOWN_BODY = 1024  # bytes of a body that `look` shows

# A body above this stands in a table of its own: SQLite writes a whole row again whenever a part
# of it changes, and one of 1 MB would be written again with each attempt.
INLINE = 4096
STEPS = {
    0: (
        """
        CREATE TABLE items (
            sequence INTEGER PRIMARY KEY,
            id TEXT NOT NULL,
            kind TEXT NOT NULL,
            lane TEXT NOT NULL,
            state TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            node TEXT NOT NULL,
            format INTEGER NOT NULL,
            accepted REAL NOT NULL,
            due REAL NOT NULL,
            expires REAL NOT NULL,
            until REAL,
            head BLOB NOT NULL,
            body BLOB
        )
        """,
        "CREATE TABLE bodies (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        "CREATE INDEX waiting ON items (kind, lane, due) WHERE state = 'waiting'",
        "CREATE INDEX dead ON items (sequence) WHERE state = 'dead'",
    )
}
PRAGMAS = (
    "auto_vacuum = INCREMENTAL",  # a backlog that was worked off gives its disk back
    "wal_autocheckpoint = 4000",  # pages: one commit in some hundred pays for it
    f"journal_size_limit = {64 << 20}",
)
FREED = 256  # pages that are given back to the disk at a time, beside a commit

# Every change of an item is conditional on the attempt that it is made for.
_HELD = "WHERE sequence = ? AND attempt = ? AND state = 'claimed'"
PUT = "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_BODY = "INSERT INTO bodies VALUES (?, ?)"
EXTEND = f"UPDATE items SET until = ? {_HELD}"
GIVE_UP = f"UPDATE items SET state = 'waiting', until = NULL {_HELD}"
PUT_OFF = f"UPDATE items SET state = 'waiting', until = NULL, due = ?, head = ? {_HELD}"
BURY = f"UPDATE items SET state = 'dead', until = NULL, head = ? {_HELD}"
REMOVE = f"DELETE FROM items {_HELD}"
REMOVE_BODY = "DELETE FROM bodies WHERE sequence = ?"
CLAIM = (
    "UPDATE items SET state = 'claimed', attempt = attempt + 1, node = ?, until = ?"
    " WHERE sequence = ?"
)
REVIVE = (
    "UPDATE items SET state = 'waiting', accepted = ?, due = ?, expires = ?, head = ?"
    " WHERE sequence = ?"
)
TAKE_BACK = "UPDATE items SET state = 'waiting', until = NULL WHERE state = 'claimed' AND node = ?"

_FROM = "FROM items LEFT JOIN bodies USING (sequence)"
_BODY = "coalesce(items.body, bodies.body)"
_COLUMNS = "id, kind, lane, head, {body}, accepted, due, expires, node, attempt, format"
_WHOLE = _COLUMNS.format(body=_BODY)
ATTEMPT = 8  # where it stands behind an id
# What has to wait, in the order of the index of that name.
_WAITING = "WHERE state = 'waiting' AND kind = ? AND lane = ? AND format <= ?"
DUE = f"SELECT sequence, {_WHOLE} {_FROM} {_WAITING} AND due <= ? ORDER BY due LIMIT ?"
NEXT = f"SELECT due FROM items {_WAITING} ORDER BY due LIMIT 1"
BY_ID = f"SELECT state, {_WHOLE} {_FROM} WHERE id = ?"
SEQUENCE_OF = "SELECT sequence FROM items WHERE id = ?"
_SIZE = f"length(head) + length({_BODY})"
SIZE_OF = f"SELECT {_SIZE} {_FROM} WHERE sequence = ?"
DEAD = f"SELECT sequence, kind, {_SIZE} {_FROM} WHERE state = 'dead' AND id = ?"
DEAD_BYTES = f"SELECT sum({_SIZE}) {_FROM} WHERE state = 'dead'"
OLDEST_DEAD = (
    f"SELECT sequence, kind, {_SIZE} {_FROM} WHERE state = 'dead' ORDER BY sequence LIMIT 1000"
)
# The state is written out, so that the index of the dead is seen to do.
LOOK = {
    state: f"SELECT {_COLUMNS.format(body=f'substr({_BODY}, 1, {SHOWN_BODY})')} {_FROM}"
    f" WHERE state = '{state}' AND sequence > :after AND (:lane IS NULL OR lane = :lane)"
    " ORDER BY sequence LIMIT :limit"
    for state in ItemState
}
OTHERS_CLAIMS = "SELECT id, sequence, kind, attempt, until FROM items WHERE state = 'claimed'"
DEPTHS = "SELECT kind, state, count(*) FROM items GROUP BY kind, state"
STRANGE = "SELECT count(*) FROM items WHERE format > ?"
LANES = (
    "SELECT kind, lane, sum(state = 'waiting'), sum(state = 'claimed'),"
    " min(due) FILTER (WHERE state = 'waiting'), min(accepted) FILTER (WHERE state = 'waiting')"
    " FROM items WHERE state <> 'dead' GROUP BY kind, lane"
)
