"""What happened between two looks at an engine, per second. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from samovar.model.census import Document, VersionEntry


class Rates(NamedTuple):
    """Of one version; `cold` are contexts that became ready."""

    invocations: float
    cold: float
    throttles: float


_NONE = Rates(0.0, 0.0, 0.0)
ByVersion = Mapping[tuple[str, str], Rates]


def rates(before: Document | None, now: Document) -> ByVersion:
    """By function's name and version; empty at the first look, and at the first one at an engine
    that was started anew."""
    seconds = now["uptime_seconds"] - before["uptime_seconds"] if before is not None else 0.0
    if before is None or seconds <= 0:
        return {}
    earlier = dict(_counts(before))
    return {
        # A function that was deleted and created anew begins at nothing again.
        key: Rates(
            *(
                max(0.0, (count - old) / seconds)
                for count, old in zip(counts, earlier.get(key, _NONE), strict=True)
            )
        )
        for key, counts in _counts(now)
    }


def _counts(document: Document) -> Iterator[tuple[tuple[str, str], Rates]]:
    for function in document["functions"]:
        for version in function["versions"]:
            yield (function["name"], version["version"]), _sums(version)


def _sums(version: VersionEntry) -> Rates:
    return Rates(
        sum(version["invocations"].values()),
        sum(version["cold_starts"].values()),
        sum(version["throttles"].values()),
    )


def total(found: ByVersion) -> Rates:
    """Of all versions together."""
    return Rates(*(sum(parts) for parts in zip(*found.values(), strict=True))) if found else _NONE
