"""Event source mappings: which function gets what comes into a queue or a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model.event_source import (
    BATCH_SIZE,
    EventSourceMapping,
    ShownMapping,
    Source,
    StartingPosition,
)
from samovar.registry.event_source_rules import read_source

_REPORT = "ReportBatchItemFailures"
_EVENT_COUNT = "EventCount"

# What CreateEventSourceMapping and UpdateEventSourceMapping both take.
_SETTINGS = frozenset(
    {
        "FunctionName",
        "Enabled",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FilterCriteria.Filters",
        "FunctionResponseTypes",
        "MetricsConfig.Metrics",
        "ScalingConfig.MaximumConcurrency",
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "BisectBatchOnFunctionError",
        "ParallelizationFactor",
        "TumblingWindowInSeconds",
        "DestinationConfig.OnFailure.Destination",
    }
)


def _shown(shown: ShownMapping) -> dict[str, Any]:
    mapping = shown.mapping
    found: dict[str, Any] = {
        "UUID": mapping.uuid,
        "EventSourceMappingArn": shown.arn,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.window,
        "EventSourceArn": mapping.source_arn,
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.last_modified,
        "State": shown.state.value,
        "StateTransitionReason": shown.reason,
        "FunctionResponseTypes": [_REPORT] if mapping.report_failures else [],
        "LastProcessingResult": shown.last_result,
    }
    if mapping.source.is_stream:
        destination = {"Destination": mapping.on_failure} if mapping.on_failure else {}
        found |= {
            "StartingPosition": mapping.starting_position,
            "StartingPositionTimestamp": mapping.starting_at,
            "ParallelizationFactor": mapping.parallelization,
            "TumblingWindowInSeconds": mapping.tumbling_window,
            "MaximumRetryAttempts": mapping.retries,
            "MaximumRecordAgeInSeconds": mapping.record_age,
            "BisectBatchOnFunctionError": mapping.bisect,
            "DestinationConfig": {"OnFailure": destination},
        }
    if mapping.filters:
        found["FilterCriteria"] = {"Filters": [{"Pattern": text} for text in mapping.filters]}
    if mapping.maximum_concurrency is not None:
        found["ScalingConfig"] = {"MaximumConcurrency": mapping.maximum_concurrency}
    if mapping.event_metrics:
        found["MetricsConfig"] = {"Metrics": [_EVENT_COUNT]}
    return found


def _with_given(mapping: EventSourceMapping, call: Call) -> EventSourceMapping:
    """`mapping` with what a request gives; the rest stays. What is given empty is taken away."""
    params = call.params
    changes: dict[str, Any] = {}
    if "FunctionName" in params:
        changes["function_arn"] = call.reference().arn
    for name, field in (
        ("Enabled", "enabled"),
        ("BatchSize", "batch_size"),
        ("MaximumBatchingWindowInSeconds", "window"),
        ("MaximumRetryAttempts", "retries"),
        ("MaximumRecordAgeInSeconds", "record_age"),
        ("BisectBatchOnFunctionError", "bisect"),
        ("ParallelizationFactor", "parallelization"),
        ("TumblingWindowInSeconds", "tumbling_window"),
    ):
        if name in params:
            changes[field] = params[name]
    if "FunctionResponseTypes" in params:
        changes["report_failures"] = _REPORT in params["FunctionResponseTypes"]
    if "ScalingConfig" in params:
        changes["maximum_concurrency"] = params["ScalingConfig"].get("MaximumConcurrency")
    if "MetricsConfig" in params:
        metrics = params["MetricsConfig"].get("Metrics", [])
        changes["event_metrics"] = _EVENT_COUNT in metrics
    if "DestinationConfig" in params:
        on_failure = params["DestinationConfig"].get("OnFailure", {})
        changes["on_failure"] = on_failure.get("Destination") or None
    if "StartingPosition" in params:
        changes["starting_position"] = StartingPosition(params["StartingPosition"])
    if "StartingPositionTimestamp" in params:
        changes["starting_at"] = params["StartingPositionTimestamp"].timestamp()
    if "FilterCriteria" in params:
        changes["filters"] = _patterns(params["FilterCriteria"])
    return replace(mapping, **changes)


def _patterns(criteria: Mapping[str, Any]) -> tuple[str, ...]:
    # A filter without a pattern is refused, as an empty one is (unconfirmed).
    return tuple(one.get("Pattern", "{}") for one in criteria.get("Filters", ()))


async def _create(call: Call) -> dict[str, Any]:
    source = _source(call)
    new = EventSourceMapping(
        "",
        "",
        source.arn,
        batch_size=BATCH_SIZE[source.kind],
        tags=call.params.get("Tags", {}),
    )
    return _shown(await call.engine.registry.event_sources.create(_with_given(new, call)))


def _source(call: Call) -> Source:
    return read_source(call.params.get("EventSourceArn"), region=call.engine.settings.region)


async def _get(call: Call) -> dict[str, Any]:
    return _shown(call.engine.registry.event_sources.get(call.params["UUID"]))


async def _update(call: Call) -> dict[str, Any]:
    mappings = call.engine.registry.event_sources
    return _shown(
        await mappings.update(call.params["UUID"], lambda present: _with_given(present, call))
    )


async def _delete(call: Call) -> dict[str, Any]:
    return _shown(await call.engine.registry.event_sources.delete(call.params["UUID"]))


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    page = call.engine.registry.event_sources.list(
        source_arn=params.get("EventSourceArn"),
        function_arn=call.reference().arn if "FunctionName" in params else None,
        marker=params.get("Marker"),
        max_items=params.get("MaxItems"),
    )
    return {
        "NextMarker": page.next_marker,
        "EventSourceMappings": [_shown(shown) for shown in page.mappings],
    }


OPERATIONS = (
    Operation(
        _create,
        _SETTINGS | {"EventSourceArn", "Tags", "StartingPosition", "StartingPositionTimestamp"},
        "CreateEventSourceMapping",
    ),
    Operation(_get, frozenset({"UUID"}), "GetEventSourceMapping"),
    Operation(_update, _SETTINGS | {"UUID"}, "UpdateEventSourceMapping"),
    Operation(_delete, frozenset({"UUID"}), "DeleteEventSourceMapping"),
    Operation(
        _list,
        frozenset({"EventSourceArn", "FunctionName", "Marker", "MaxItems"}),
        "ListEventSourceMappings",
    ),
)
