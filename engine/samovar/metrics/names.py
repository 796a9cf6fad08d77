"""Every metric in one table: its name, kind, labels, buckets and meaning.

`docs/metrics.md` carries the same table (a test holds the two together). Names are prefixed with
`samovar_` and end in their base unit, as Prometheus asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Prometheus's metric types, as far as they are used here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. `buckets` are inclusive upper bounds in seconds, without +Inf.

    A counter's `name` carries its `_total`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


# A warm no-op takes well under a millisecond, an AWS function at most 900 s: the steps are 2-2.5x.
_DURATIONS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0),
)
# The floor of a dispatch is some 20 µs of the engine's CPU; 10 ms means that the loop was blocked.
_OVERHEADS = (0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05)
# A forked context answers in 1-5 ms; the init phase ends at 10 s.
_PHASES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Accept to start is milliseconds on a quiet engine; retries wait for 1 and 2 minutes, and
# an event is given up at 6 hours.
_AGES = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 120.0, 300.0, 900.0, 3600.0, 21600.0),
)

# Whose invocation it was: how the function was invoked, and the version that this came to.
_INVOKED = ("function", "qualifier", "version")

INVOCATION_DURATION = Metric(
    "samovar_invocation_duration_seconds",
    Kind.HISTOGRAM,
    "Time from the acceptance of an invocation to its outcome, waiting and cold start included.",
    (*_INVOKED, "start"),
    _DURATIONS,
)
DISPATCH_OVERHEAD = Metric(
    "samovar_dispatch_overhead_seconds",
    Kind.HISTOGRAM,
    "Acceptance to the handler's start, without waiting and cold start: the engine's own part.",
    (),
    _OVERHEADS,
)
COLD_START_PHASE = Metric(
    "samovar_cold_start_phase_seconds",
    Kind.HISTOGRAM,
    "Cold starts by phase: environment, package (fetch, extract, mount) and init.",
    ("function", "version", "kind", "phase"),
    _PHASES,
)
COLD_STARTS = Metric(
    "samovar_cold_starts_total",
    Kind.COUNTER,
    "Contexts that became ready.",
    ("function", "version", "kind"),
)
FUNCTION_ERRORS = Metric(
    "samovar_function_errors_total",
    Kind.COUNTER,
    "Invocations that ended in the function's error, by AWS's error type.",
    (*_INVOKED, "error_type"),
)
TIMEOUTS = Metric(
    "samovar_timeouts_total", Kind.COUNTER, "Invocations that ran out of time.", _INVOKED
)
OUT_OF_MEMORY = Metric(
    "samovar_out_of_memory_total",
    Kind.COUNTER,
    "Invocations that ended because their context had more memory than MemorySize.",
    _INVOKED,
)
THROTTLES = Metric(
    "samovar_throttles_total",
    Kind.COUNTER,
    "Invocations refused before anything ran.",
    (*_INVOKED, "reason"),
)
SPILLOVERS = Metric(
    "samovar_provisioned_spillover_invocations_total",
    Kind.COUNTER,
    "Invocations that ran on demand although their version has provisioned concurrency.",
    _INVOKED,
)
CONCURRENT_EXECUTIONS = Metric(
    "samovar_concurrent_executions",
    Kind.GAUGE,
    "Invocations in flight: they run, or wait for a context.",
    _INVOKED,
)
ACCOUNT_IN_FLIGHT = Metric(
    "samovar_account_concurrent_executions",
    Kind.GAUGE,
    "Invocations in flight, of all functions.",
)
ACCOUNT_UNRESERVED = Metric(
    "samovar_account_unreserved_concurrent_executions",
    Kind.GAUGE,
    "Those of them whose functions have no reserved concurrency.",
)
ACCOUNT_CLAIMED = Metric(
    "samovar_account_claimed_concurrency",
    Kind.GAUGE,
    "Concurrency that functions without reserved concurrency can't get on demand any more:"
    " reserved, provisioned or in flight.",
)
ACCOUNT_LIMIT = Metric(
    "samovar_account_concurrency_limit",
    Kind.GAUGE,
    "Invocations that may be in flight at once.",
)
RESERVED = Metric(
    "samovar_reserved_concurrency",
    Kind.GAUGE,
    "What a function has reserved; absent where it has reserved nothing.",
    ("function",),
)
PROVISIONED_REQUESTED = Metric(
    "samovar_provisioned_concurrency_requested",
    Kind.GAUGE,
    "Provisioned contexts that a version is to have.",
    ("function", "version"),
)
PROVISIONED_READY = Metric(
    "samovar_provisioned_concurrency_ready",
    Kind.GAUGE,
    "Provisioned contexts that are initialised, busy ones among them.",
    ("function", "version"),
)
PROVISIONED_UTILIZATION = Metric(
    "samovar_provisioned_concurrency_utilization_ratio",
    Kind.GAUGE,
    "The share of these that run an invocation, from 0 to 1.",
    ("function", "version"),
)
ENGINE_ERRORS = Metric(
    "samovar_engine_errors_total",
    Kind.COUNTER,
    "Invocations that the engine could not answer by its own fault.",
    ("function", "kind"),
)
UNSIGNED_DEPLOYMENTS = Metric(
    "samovar_unsigned_deployments_total",
    Kind.COUNTER,
    "Packages without a verified signature that a code signing config let through.",
    ("function",),
)
EVENTS_RECEIVED = Metric(
    "samovar_async_events_received_total",
    Kind.COUNTER,
    "Events that were accepted for asynchronous invocation.",
    ("function",),
)
EVENT_AGE = Metric(
    "samovar_async_event_age_seconds",
    Kind.HISTOGRAM,
    "Age of an event as it is handed to its function, at every attempt.",
    ("function",),
    _AGES,
)
EVENT_RETRIES = Metric(
    "samovar_async_event_retries_total",
    Kind.COUNTER,
    "Events that were made to wait for another attempt.",
    ("function", "reason"),
)
EVENTS_DROPPED = Metric(
    "samovar_async_events_dropped_total",
    Kind.COUNTER,
    "Events that were given up, whether or not they were then sent anywhere.",
    ("function", "condition"),
)
RECURSION_STOPS = Metric(
    "samovar_recursive_invocations_dropped_total",
    Kind.COUNTER,
    "Invocations, synchronous ones too, that were stopped because their chain of calls is a loop.",
    ("function",),
)
QUEUE_ITEMS = Metric(
    "samovar_async_queue_items",
    Kind.GAUGE,
    "Events, and deliveries of what became of them, that the queue holds.",
    ("kind", "state"),
)
_DELIVERED = ("function", "channel", "service")
DELIVERIES = Metric(
    "samovar_async_deliveries_total",
    Kind.COUNTER,
    "Records and dead letters that were sent.",
    _DELIVERED,
)
DELIVERY_RETRIES = Metric(
    "samovar_async_delivery_retries_total",
    Kind.COUNTER,
    "Times that one could not be sent and was made to wait for another attempt.",
    _DELIVERED,
)
DELIVERY_FAILURES = Metric(
    "samovar_async_delivery_failures_total",
    Kind.COUNTER,
    "Records and dead letters that could not be sent and were given up.",
    _DELIVERED,
)
SOURCE_EVENTS = Metric(
    "samovar_event_source_events_total",
    Kind.COUNTER,
    "Records of event source mappings, by what came of them: polled, filtered, invoked, failed, "
    "deleted, committed, dropped, delivered.",
    ("mapping", "outcome"),
)
SOURCE_ERRORS = Metric(
    "samovar_event_source_errors_total",
    Kind.COUNTER,
    "Times that the source of a mapping could not be read, by what it said.",
    ("mapping", "error"),
)
SOURCE_DELIVERY_ERRORS = Metric(
    "samovar_event_source_delivery_errors_total",
    Kind.COUNTER,
    "Times that the on-failure destination of a mapping could not be told of records that were "
    "given up.",
    ("mapping", "service"),
)
SOURCE_POLLERS = Metric(
    "samovar_event_source_pollers",
    Kind.GAUGE,
    "Pollers that read the source of a mapping at once.",
    ("mapping",),
)
SOURCE_AGE = Metric(
    "samovar_event_source_iterator_age_milliseconds",
    Kind.GAUGE,
    "How long ago the last record of the last batch of a stream had come in when it was handed to "
    "the function of a mapping; of the shard where that is longest, 0 for one that is caught up.",
    ("mapping",),
)
SOURCE_LAG = Metric(
    "samovar_event_source_offset_lag",
    Kind.GAUGE,
    "Records of a topic of Kafka that the readers of a mapping have not committed: in the partition"
    " that has the most of them (`max`), and in all (`sum`).",
    ("mapping", "of"),
)
CONTEXTS = Metric("samovar_contexts", Kind.GAUGE, "Contexts that exist, by state.", ("state",))
FROZEN = Metric(
    "samovar_contexts_frozen",
    Kind.GAUGE,
    "Idle contexts whose processes stand still until the next invocation.",
)
FREEZES = Metric(
    "samovar_freezes_total",
    Kind.COUNTER,
    "Times that a context was frozen, or an invocation came first while it was about to be.",
)
FREEZE_FAILURES = Metric(
    "samovar_freeze_failures_total",
    Kind.COUNTER,
    "Times that a process of a context could not be stopped, by what the kernel said.",
    ("error",),
)
MEMORY_ROOM = Metric(
    "samovar_memory_room_bytes",
    Kind.GAUGE,
    "Memory that new contexts may take, `memory_reserve` left free; negative: more is in use.",
)
ZYGOTES = Metric("samovar_zygotes", Kind.GAUGE, "Zygotes that answer.", ("interpreter", "preload"))
ZYGOTE_DEATHS = Metric(
    "samovar_zygote_deaths_total",
    Kind.COUNTER,
    "Zygotes that ended without the engine having asked for it.",
    ("interpreter", "preload"),
)
WALL = Metric(
    "samovar_wall_held",
    Kind.GAUGE,
    "1 where the host allows this wall around contexts, 0 where it does not.",
    ("wall",),
)

LOG_RECORDS_LOST = Metric(
    "samovar_log_records_lost_total",
    Kind.COUNTER,
    "Log records of functions that are not where they should be, by the place that lost them.",
    ("place", "reason"),
)

ALL = (
    INVOCATION_DURATION,
    DISPATCH_OVERHEAD,
    COLD_START_PHASE,
    COLD_STARTS,
    FUNCTION_ERRORS,
    TIMEOUTS,
    OUT_OF_MEMORY,
    THROTTLES,
    SPILLOVERS,
    CONCURRENT_EXECUTIONS,
    ACCOUNT_IN_FLIGHT,
    ACCOUNT_UNRESERVED,
    ACCOUNT_CLAIMED,
    ACCOUNT_LIMIT,
    RESERVED,
    PROVISIONED_REQUESTED,
    PROVISIONED_READY,
    PROVISIONED_UTILIZATION,
    ENGINE_ERRORS,
    UNSIGNED_DEPLOYMENTS,
    EVENTS_RECEIVED,
    EVENT_AGE,
    EVENT_RETRIES,
    EVENTS_DROPPED,
    RECURSION_STOPS,
    QUEUE_ITEMS,
    DELIVERIES,
    DELIVERY_RETRIES,
    DELIVERY_FAILURES,
    SOURCE_EVENTS,
    SOURCE_ERRORS,
    SOURCE_DELIVERY_ERRORS,
    SOURCE_POLLERS,
    SOURCE_AGE,
    SOURCE_LAG,
    CONTEXTS,
    FROZEN,
    FREEZES,
    FREEZE_FAILURES,
    MEMORY_ROOM,
    ZYGOTES,
    ZYGOTE_DEATHS,
    WALL,
    LOG_RECORDS_LOST,
)


def markdown_table() -> str:
    """The table of `docs/metrics.md`, without a trailing newline."""
    lines = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in ALL:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        meaning = metric.help
        if metric.buckets:
            bounds = ", ".join(f"{bound:g}" for bound in metric.buckets)
            meaning += f" Buckets: {bounds}."
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {meaning} |")
    return "\n".join(lines)
