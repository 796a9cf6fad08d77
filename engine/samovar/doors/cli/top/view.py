"""What is shown of one look at an engine: lines of text, and rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, cast

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from samovar.doors.cli.concurrency import reserved_text
from samovar.doors.cli.screen import age, depths_text, fitted
from samovar.doors.cli.sources import shown
from samovar.doors.cli.sources.asking import Counts
from samovar.doors.cli.top.rates import ByVersion, Rates, total
from samovar.model.census import (
    Document,
    FunctionEntry,
    ProvisionedEntry,
    SourceEntry,
    VersionEntry,
    unused,
)

_GAP = "   "
_STARTING = ("starting", "initializing")
_BUSY = ("reserved", "busy")  # reserved lasts no time: the invocation is there
# The columns that matter least, the least of all first.
_LEAST = (
    *(
        "stopping",
        "frozen",
        "errors",
        "peak",
        "reserved",
        "spilled",
        "starting",
        "throttled",
        "cold/s",
    ),
    *("ahead", "ready", "waiting", "idle for", "memory", "busy for", "calls/s", "warm", "cold"),
)
# Shown only where there is something to show.
_OPTIONAL = (
    *(
        "stopping",
        "frozen",
        "errors",
        "reserved",
        "ready",
        "ahead",
        "spilled",
        "waiting",
        "throttled",
    ),
    *("calls/s", "cold/s"),
)
_NOTHING = ("-", "0")
_TEXTS = ("function", "version")
# Of a screen's lines sources get one in so many, if that is enough for a few of them.
_SOURCES_SHARE, _LEAST_SOURCES = 4, 3


class Order(StrEnum):
    """What the rows are sorted by; all but names with the largest first."""

    NAME = "name"
    CONTEXTS = "contexts"
    BUSY = "busy"
    MEMORY = "memory"
    COLD = "cold"
    CALLS = "calls"


def only(document: Document, names: Sequence[str]) -> Document:
    """The document with these functions alone; its totals stay those of the engine."""
    if not names:
        return document
    functions = [one for one in document["functions"] if one["name"] in names]
    arns = {one["function"] for one in functions}
    contexts = [one for one in document["contexts"] if one["function"] in arns]
    found = {**document, "functions": functions, "contexts": contexts}
    if "sources" in document:  # an engine that does not say yet has none
        found["sources"] = [one for one in document["sources"] if _named(one) in names]
    return cast(Document, found)


def _named(source: SourceEntry) -> str:
    return source["function"].split(":")[6]


def with_rates(document: Document, found: ByVersion) -> dict[str, Any]:
    """The document as `--json` prints it: versions have `per_second`, null at the first look."""
    functions = [
        {
            **function,
            "versions": [
                {
                    **version,
                    "per_second": _rounded(found.get((function["name"], version["version"]))),
                }
                for version in function["versions"]
            ],
        }
        for function in document["functions"]
    ]
    return {**document, "functions": functions}


def _rounded(found: Rates | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {name: round(value, 3) for name, value in found._asdict().items()}


def screen_of(
    screen: Console,
    document: Document,
    found: ByVersion,
    *,
    endpoint: str,
    order: Order,
    height: int | None = None,
    trouble: str = "",
) -> Group:
    """All that is shown, fitted to the screen's width, and to `height` lines where that is given;
    `trouble` is said below the first line."""
    lines = [Text(line, no_wrap=True) for line in _head(document, found, endpoint, screen.width)]
    if trouble:
        lines.insert(0, Text(trouble, style="bold red"))
    rows = table_rows(document, found, order)
    below = _sources(screen, document, height)
    if not rows:
        return Group(*lines, Text(), Text("no contexts, and no invocations so far"), *below)
    left = len(rows)
    if height is not None:
        height -= sum(map(_lines, below))
    if height is not None:
        # An empty line and the headings; of a low screen the head has not more than the table.
        lines = lines[: max(1, (height - 2) // 2)] if len(lines) + 4 > height else lines
        room = max(1, height - len(lines) - 2)
        left = len(rows) if len(rows) <= room else max(1, room - 1)
    right = tuple(heading for heading in rows[0] if heading not in _TEXTS)
    table, _ = fitted(screen, rows[:left], right=right, least=_LEAST)
    more = [Text(f"… and {len(rows) - left} more")] if left < len(rows) else []
    return Group(*lines, Text(), table, *more, *below)


def _lines(shown_below: Text | Table) -> int:
    return shown_below.row_count + 1 if isinstance(shown_below, Table) else 1


def _sources(screen: Console, document: Document, height: int | None) -> list[Text | Table]:
    """Event source mappings, where there is room for some beside the functions."""
    rows = source_rows(document)
    room = len(rows) if height is None else height // _SOURCES_SHARE
    if not rows or (room < _LEAST_SOURCES and room < len(rows)):
        return []
    left = len(rows) if len(rows) <= room else room - 1
    table, _ = fitted(screen, rows[:left], right=shown.RIGHT, least=shown.LEFT_OUT_FIRST)
    if left == len(rows):
        return [Text(), table]
    return [Text(), table, Text(f"… and {len(rows) - left} more: samovar sources list")]


def source_rows(document: Document) -> list[dict[str, str]]:
    """A row per event source mapping, all with the same headings."""
    # Nothing from an engine that does not say yet.
    entries = document.get("sources", [])
    counts: dict[str, Counts] = {
        one["mapping"]: {
            "events": one["events"],
            "errors": one["errors"],
            "delivery_errors": {},
            "pollers": one["pollers"],
            "iterator_age_milliseconds": one["iterator_age_milliseconds"],
            "offset_lag": one.get("offset_lag"),
        }
        for one in entries
    }
    asked = [
        {
            "UUID": one["mapping"],
            "State": one["state"],
            "EventSourceArn": one["source"] if one["source"].startswith("arn:") else None,
            "Topics": [one["topic"]] if one.get("topic") else [],
            "FunctionArn": one["function"],
            "LastProcessingResult": one["last_result"],
        }
        for one in entries
    ]
    return [
        {name: text for name, text in row.items() if name not in ("UUID", "batch")}
        for row in shown.rows(asked, counts)
    ]


def _head(document: Document, found: ByVersion, endpoint: str, width: int) -> Iterator[str]:
    yield from packed(
        [
            endpoint,
            f"up {age(document['uptime_seconds'])}",
            f"{document['time'][11:19]} UTC",
        ],
        width,
    )
    totals, limits, host = document["totals"], document["limits"], document["host"]
    states = totals["contexts"]
    by_state = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    parts = [
        f"contexts {sum(states.values())} of {limits['contexts']}"
        + (f": {by_state}" if by_state else ""),
        f"in flight {totals['in_flight']} of {limits['account_concurrency']}"
        + (f", {totals['waiting']} waiting" if totals["waiting"] else ""),
    ]
    if totals["claimed_concurrency"] > totals["in_flight"]:
        parts.append(f"claimed {totals['claimed_concurrency']}")
    parts += [
        f"memory {totals['memory_mb']:,.0f} MB",
        f"host {host['memory_available_mb']:,} of {host['memory_mb']:,} MB available",
    ]
    if host["room_mb"] is not None:
        parts.append(f"room {host['room_mb']:,} MB")
    # Nothing where there is nothing, and from an engine that does not say yet.
    queue = document.get("queue")
    if queue is not None:
        for kind, depths in (("events", queue["events"]), ("deliveries", queue["deliveries"])):
            if any(depths.values()):
                parts.append(f"{kind} {depths_text(depths)}")
    if found:
        parts.append(f"{total(found).invocations:,.1f} calls/s")
    yield from packed(parts, width)


def packed(parts: Sequence[str], width: int) -> list[str]:
    """Lines of whole parts that are no longer than `width`, where the parts let that be."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(_GAP) + len(part) <= width:
            lines[-1] += _GAP + part
        else:
            lines.append(part)
    return lines


def table_rows(document: Document, found: ByVersion, order: Order) -> list[dict[str, str]]:
    """A row per function and version, all with the same headings."""
    pairs = [(one, version) for one in document["functions"] for version in one["versions"]]
    # Functions that have something reserved, and nothing else.
    pairs += [(one, unused("-")) for one in document["functions"] if not one["versions"]]
    pairs.sort(key=lambda pair: (-_weight(pair, found, order), pair[0]["name"]))
    rows = [_row(function, version, found) for function, version in pairs]
    empty = [name for name in _OPTIONAL if all(row[name] in _NOTHING for row in rows)]
    return [{name: text for name, text in row.items() if name not in empty} for row in rows]


def _weight(pair: tuple[FunctionEntry, VersionEntry], found: ByVersion, order: Order) -> float:
    function, version = pair
    if order is Order.NAME:
        return 0
    if order is Order.CONTEXTS:
        return sum(version["contexts"].values())
    if order is Order.BUSY:
        return version["in_flight"]
    if order is Order.MEMORY:
        return version["memory_mb"]
    if order is Order.COLD:
        return version["invocations"].get("cold", 0)
    rate = found.get((function["name"], version["version"]))
    return rate.invocations if rate is not None else sum(version["invocations"].values())


def _row(function: FunctionEntry, version: VersionEntry, found: ByVersion) -> dict[str, str]:
    states, invocations = version["contexts"], version["invocations"]
    rate = found.get((function["name"], version["version"]))
    return {
        "function": function["name"],
        "version": version["version"],
        "busy": _sum(states, _BUSY),
        "idle": _sum(states, ("idle",)),
        "frozen": str(version.get("frozen", 0)),  # nothing from an engine that does not say yet
        "starting": _sum(states, _STARTING),
        "stopping": _sum(states, ("stopping",)),
        "waiting": str(version["waiting"]),
        "busy for": _age_or_none(version["longest_busy_seconds"]),
        "idle for": _age_or_none(version["longest_idle_seconds"]),
        "memory": f"{version['memory_mb']:,.0f} MB",
        "peak": f"{version['max_memory_used_mb']:,} MB",
        "cold": str(invocations.get("cold", 0)),
        "warm": str(invocations.get("warm", 0)),
        "ahead": str(invocations.get("provisioned", 0)),
        "ready": _ready(version["provisioned"]),
        "spilled": str(version["spillovers"]),
        "reserved": reserved_text(function["reserved_concurrency"]),
        "errors": str(version["errors"]),
        "throttled": str(sum(version["throttles"].values())),
        "calls/s": f"{rate.invocations:,.1f}" if rate is not None else "-",
        "cold/s": f"{rate.cold:,.1f}" if rate is not None else "-",
    }


def _sum(states: Mapping[str, int], which: Sequence[str]) -> str:
    return str(sum(states.get(state, 0) for state in which))


def _ready(ahead: ProvisionedEntry | None) -> str:
    if ahead is None:
        return "-"
    return f"{ahead['ready']}/{ahead['requested']}" + (" failed" if ahead["failed"] else "")


def _age_or_none(seconds: float | None) -> str:
    return "-" if seconds is None else age(seconds)
