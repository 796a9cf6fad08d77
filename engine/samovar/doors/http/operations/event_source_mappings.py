"""Event source mappings: which function gets what comes into a queue or a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model.event_source import (
    BATCH_SIZE,
    WINDOW,
    EventSourceMapping,
    ShownMapping,
    Source,
    SourceKind,
    StartingPosition,
)
from samovar.registry.event_source_rules import QUEUE_DEFAULT_POLLERS, read_source
from samovar.registry.kafka_rules import DEFAULT_POLLERS
from samovar.registry.mapping_texts import refused, unsupported

_REPORT = "ReportBatchItemFailures"
# Where the consumer group is said, of each kind of Kafka.
_GROUPS = {
    SourceKind.KAFKA: "SelfManagedKafkaEventSourceConfig",
    SourceKind.MSK: "AmazonManagedKafkaEventSourceConfig",
}

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
        "SourceAccessConfigurations",
        "SelfManagedKafkaEventSourceConfig.ConsumerGroupId",
        "AmazonManagedKafkaEventSourceConfig.ConsumerGroupId",
        "ProvisionedPollerConfig.MinimumPollers",
        "ProvisionedPollerConfig.MaximumPollers",
    }
)


def _shown(shown: ShownMapping) -> dict[str, Any]:
    mapping, source = shown.mapping, shown.mapping.source
    found: dict[str, Any] = {
        "UUID": mapping.uuid,
        "EventSourceMappingArn": shown.arn,
        "BatchSize": mapping.batch_size,
        "EventSourceArn": mapping.source_arn or None,
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.last_modified,
        "State": shown.state.value,
        "StateTransitionReason": shown.reason,
        "FunctionResponseTypes": [_REPORT] if mapping.report_failures else [],
        "LastProcessingResult": shown.last_result,
    }
    if mapping.window == int(mapping.window):  # half a second of Kafka can't be told (unconfirmed)
        found["MaximumBatchingWindowInSeconds"] = int(mapping.window)
    if source.is_stream:
        found |= {
            "ParallelizationFactor": mapping.parallelization,
            "TumblingWindowInSeconds": mapping.tumbling_window,
        }
    if source.is_kafka:
        found |= _shown_kafka(mapping)
    if source.is_stream or source.is_kafka:
        destination = {"Destination": mapping.on_failure} if mapping.on_failure else {}
        found |= {
            "StartingPosition": mapping.starting_position,
            "StartingPositionTimestamp": mapping.starting_at,
            "DestinationConfig": {"OnFailure": destination},
            # Of Kafka unconfirmed: without an end is said, too, because whoever leaves provisioned
            # mode has to ask for that, and Terraform would ask for it again and again.
            "MaximumRetryAttempts": mapping.retries,
            "MaximumRecordAgeInSeconds": mapping.record_age,
            "BisectBatchOnFunctionError": mapping.bisect,
        }
    if mapping.provisioned:
        found["ProvisionedPollerConfig"] = {
            "MinimumPollers": mapping.least_pollers,
            "MaximumPollers": mapping.most_pollers,
        }
    if mapping.filters:
        found["FilterCriteria"] = {"Filters": [{"Pattern": text} for text in mapping.filters]}
    if mapping.maximum_concurrency is not None:
        found["ScalingConfig"] = {"MaximumConcurrency": mapping.maximum_concurrency}
    if mapping.metrics:
        found["MetricsConfig"] = {"Metrics": list(mapping.metrics)}
    return found


def _shown_kafka(mapping: EventSourceMapping) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Topics": [mapping.topic],
        "SourceAccessConfigurations": [{"Type": name, "URI": uri} for name, uri in mapping.access],
        _GROUPS[mapping.source.kind]: {"ConsumerGroupId": mapping.group},
    }
    if mapping.servers:
        found["SelfManagedEventSource"] = {
            "Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": list(mapping.servers)}
        }
    return found


def _with_given(mapping: EventSourceMapping, call: Call) -> EventSourceMapping:
    """`mapping` with what a request gives; the rest stays. What is given empty is taken away."""
    params = call.params
    changes: dict[str, Any] = {}
    if "FunctionName" in params:
        changes["function_arn"] = call.reference().arn
    for name, field in _PLAIN.items():
        if name in params:
            changes[field] = params[name]
    for name, read in _READ.items():
        if name in params:
            changes |= read(params[name])
    if "ProvisionedPollerConfig" in params:
        changes |= _pollers(mapping, params["ProvisionedPollerConfig"])
    for kind, name in _GROUPS.items():
        if name in params:
            changes |= _group(mapping, kind, params[name])
    return replace(mapping, **changes)


# Members that are fields as they are.
_PLAIN = {
    "Enabled": "enabled",
    "BatchSize": "batch_size",
    "MaximumBatchingWindowInSeconds": "window",
    "MaximumRetryAttempts": "retries",
    "MaximumRecordAgeInSeconds": "record_age",
    "BisectBatchOnFunctionError": "bisect",
    "ParallelizationFactor": "parallelization",
    "TumblingWindowInSeconds": "tumbling_window",
}
# And those that are not.
_READ: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "FunctionResponseTypes": lambda given: {"report_failures": _REPORT in given},
    "ScalingConfig": lambda given: {"maximum_concurrency": given.get("MaximumConcurrency")},
    "MetricsConfig": lambda given: {"metrics": tuple(given.get("Metrics", ()))},
    "DestinationConfig": lambda given: {
        "on_failure": given.get("OnFailure", {}).get("Destination") or None
    },
    "StartingPosition": lambda given: {"starting_position": StartingPosition(given)},
    "StartingPositionTimestamp": lambda given: {"starting_at": given.timestamp()},
    # A filter without a pattern is refused, as an empty one is (unconfirmed).
    "FilterCriteria": lambda given: {
        "filters": tuple(one.get("Pattern", "{}") for one in given.get("Filters", ()))
    },
    "SourceAccessConfigurations": lambda given: {
        "access": tuple((one.get("Type", ""), one.get("URI", "")) for one in given)
    },
}


def _pollers(mapping: EventSourceMapping, given: Mapping[str, int]) -> dict[str, Any]:
    """Of provisioned mode, which an empty structure ends. What is not said stays, or is AWS's
    default."""
    if not given:
        return {"least_pollers": None, "most_pollers": None}
    least, most = DEFAULT_POLLERS if mapping.source.is_kafka else QUEUE_DEFAULT_POLLERS
    if mapping.least_pollers is not None and mapping.most_pollers is not None:
        least, most = mapping.least_pollers, mapping.most_pollers
    return {
        "least_pollers": given.get("MinimumPollers", least),
        "most_pollers": given.get("MaximumPollers", most),
    }


def _group(
    mapping: EventSourceMapping, kind: SourceKind, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The consumer group is said once, for the kind that its structure is of (unconfirmed)."""
    group = given.get("ConsumerGroupId")
    if group is None:
        return {}
    if mapping.source.kind is not kind:
        raise unsupported(_GROUPS[kind])
    if mapping.uuid and group != mapping.group:
        raise refused(
            f"The ConsumerGroupId {mapping.group} can't be changed: make another mapping."
        )
    return {"consumer_group": group}


async def _create(call: Call) -> dict[str, Any]:
    source, params = _source(call), call.params
    if params.get("Topics") and not source.is_kafka:
        raise unsupported("Topics")
    new = EventSourceMapping(
        "",
        "",
        source.arn,
        batch_size=BATCH_SIZE[source.kind],
        window=WINDOW[source.kind],
        tags=params.get("Tags", {}),
        servers=_servers(params),
        topic=next(iter(params.get("Topics", ())), None),
    )
    return _shown(await call.engine.registry.event_sources.create(_with_given(new, call)))


def _source(call: Call) -> Source:
    arn, region = call.params.get("EventSourceArn"), call.engine.settings.region
    return read_source(arn, _servers(call.params), region=region)


def _servers(params: Mapping[str, Any]) -> tuple[str, ...]:
    endpoints = params.get("SelfManagedEventSource", {}).get("Endpoints", {})
    return tuple(endpoints.get("KAFKA_BOOTSTRAP_SERVERS", ()))


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
        _SETTINGS
        | {
            "EventSourceArn",
            "SelfManagedEventSource.Endpoints",
            "StartingPosition",
            "StartingPositionTimestamp",
            "Tags",
            "Topics",
        },
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
