"""What is counted of each function, in plain dicts and lists: nothing here knows of Prometheus.

On the way of an invocation there are two look-ups, a bisect and two additions; tuples as keys are
made of strings that exist already, whose hashes are known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from samovar.metrics import names

# AWS's error types of what has a metric of its own.
TIMEOUT_ERROR = "Sandbox.Timedout"
MEMORY_ERROR = "Runtime.OutOfMemory"
_OWN_METRICS = (TIMEOUT_ERROR, MEMORY_ERROR)
OTHER = "other"
# Error types are class names of users' code: without a bound one function could fill the memory.
MAX_ERROR_TYPES = 50

PHASES = ("environment", "package", "init")
PHASE_BOUNDS = names.COLD_START_PHASE.buckets


class Histogram:
    """Counts per bucket (not cumulated; the last one is +Inf) and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class FunctionCounts:
    """All that is counted under one function's name.

    `qualifier` is how a function was invoked, `version` what that came to. Keys: of `durations`
    qualifier, version and start; of `errors` qualifier, version and error type; of `throttles`
    qualifier, version and reason; of `spillovers` qualifier and version; of `cold_starts` version
    and kind; of `phases` version, kind and phase; of `engine_errors` the kind.
    """

    __slots__ = (
        "cold_starts",
        "durations",
        "engine_errors",
        "errors",
        "phases",
        "spillovers",
        "throttles",
        "unsigned",
    )

    def __init__(self) -> None:
        self.durations: dict[tuple[str, str, str], Histogram] = {}
        self.errors: dict[tuple[str, str, str], int] = {}
        self.throttles: dict[tuple[str, str, str], int] = {}
        self.spillovers: dict[tuple[str, str], int] = {}
        self.cold_starts: dict[tuple[str, str], int] = {}
        self.phases: dict[tuple[str, str, str], Histogram] = {}
        self.engine_errors: dict[str, int] = {}
        self.unsigned = 0

    def error(self, qualifier: str, version: str, error_type: str) -> None:
        """One more error of this type, or of OTHER where the function has too many of them."""
        key = (qualifier, version, error_type)
        # Those with a metric of their own are read from here: never lumped together.
        if (
            key not in self.errors
            and error_type not in _OWN_METRICS
            and len({known for _, _, known in self.errors} | {error_type}) > MAX_ERROR_TYPES
        ):
            key = (qualifier, version, OTHER)
        self.errors[key] = self.errors.get(key, 0) + 1

    def cold_start(self, version: str, kind: str, seconds: Iterable[float]) -> None:
        """A context became ready; `seconds` are those of PHASES."""
        self.cold_starts[version, kind] = self.cold_starts.get((version, kind), 0) + 1
        for phase, value in zip(PHASES, seconds, strict=True):
            histogram = self.phases.get((version, kind, phase))
            if histogram is None:
                histogram = self.phases[version, kind, phase] = Histogram(PHASE_BOUNDS)
            histogram.counts[bisect_left(PHASE_BOUNDS, value)] += 1
            histogram.total += value

    def forget_version(self, version: str) -> None:
        """Let go of all that is counted of a version, whichever way it was invoked."""
        self._forget({key for key in self._pairs() if key[1] == version})
        for kind in [kind for ran, kind in self.cold_starts if ran == version]:
            del self.cold_starts[version, kind]
        for key in [key for key in self.phases if key[0] == version]:
            del self.phases[key]

    def forget_alias(self, alias: str, kept: frozenset[str]) -> None:
        """Let go of what is counted of an alias, but for the versions that it leads to now."""
        self._forget({key for key in self._pairs() if key[0] == alias and key[1] not in kept})

    def _pairs(self) -> set[tuple[str, str]]:
        three = (self.durations, self.errors, self.throttles)
        found = {(qualifier, version) for counts in three for qualifier, version, _ in counts}
        return found | self.spillovers.keys()

    def _forget(self, pairs: set[tuple[str, str]]) -> None:
        three: tuple[dict[tuple[str, str, str], Any], ...] = (
            self.durations,
            self.errors,
            self.throttles,
        )
        for counts in three:
            for key in [key for key in counts if key[:2] in pairs]:
                del counts[key]
        for pair in pairs:
            self.spillovers.pop(pair, None)

    def errors_of(self, wanted: str) -> dict[tuple[str, str], int]:
        """Of one type, by qualifier and version; 0 for those that were invoked and had none."""
        found = {(qualifier, ran): 0 for qualifier, ran, _ in list(self.durations)}
        for (qualifier, ran, error_type), count in list(self.errors.items()):
            if error_type == wanted:
                found[qualifier, ran] = count
        return found


@dataclass(slots=True)
class Traffic:
    """What one version has had to do since the engine's start. `invocations` are those that ran to
    an outcome, by how their context came to be ready; `cold_starts` contexts that became ready, by
    kind; `throttles` by reason."""

    invocations: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    spillovers: int = 0
    cold_starts: dict[str, int] = field(default_factory=dict)
    throttles: dict[str, int] = field(default_factory=dict)


def traffic(counted: FunctionCounts) -> dict[str, Traffic]:
    """A function's, by version: all qualifiers that came to it together."""
    found: dict[str, Traffic] = {}

    def of(version: str) -> Traffic:
        return found.setdefault(version, Traffic())

    for (_, version, start), histogram in list(counted.durations.items()):
        _add(of(version).invocations, start, sum(histogram.counts))
    for (_, version, _), count in list(counted.errors.items()):
        of(version).errors += count
    for (_, version), count in list(counted.spillovers.items()):
        of(version).spillovers += count
    for (version, kind), count in list(counted.cold_starts.items()):
        _add(of(version).cold_starts, kind, count)
    for (_, version, reason), count in list(counted.throttles.items()):
        _add(of(version).throttles, reason, count)
    return found


def _add(counts: dict[str, int], key: str, count: int) -> None:
    counts[key] = counts.get(key, 0) + count
