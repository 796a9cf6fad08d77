"""What happens to asynchronous invocations: event invoke configs of functions' qualifiers."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model.event import EventInvokeConfig
from samovar.registry.event_invoke import ShownConfig

_GIVEN = frozenset(
    {
        "FunctionName",
        "Qualifier",
        "MaximumRetryAttempts",
        "MaximumEventAgeInSeconds",
        "DestinationConfig.OnSuccess.Destination",
        "DestinationConfig.OnFailure.Destination",
    }
)


def _shown(shown: ShownConfig) -> dict[str, Any]:
    config = shown.config
    return {
        "LastModified": config.last_modified,
        "FunctionArn": shown.arn,
        "MaximumRetryAttempts": config.max_retry_attempts,
        "MaximumEventAgeInSeconds": config.max_event_age,
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }


def _config(params: Any) -> EventInvokeConfig:
    destinations = params.get("DestinationConfig", {})
    return EventInvokeConfig(
        params.get("MaximumRetryAttempts"),
        params.get("MaximumEventAgeInSeconds"),
        destinations.get("OnSuccess", {}).get("Destination"),
        destinations.get("OnFailure", {}).get("Destination"),
    )


async def _put(call: Call) -> dict[str, Any]:
    reference = call.reference()
    configs = call.engine.registry.event_invoke
    return _shown(await configs.put(reference.name, reference.qualifier, _config(call.params)))


async def _update(call: Call) -> dict[str, Any]:
    reference = call.reference()
    configs = call.engine.registry.event_invoke
    return _shown(await configs.update(reference.name, reference.qualifier, _config(call.params)))


async def _get(call: Call) -> dict[str, Any]:
    reference = call.reference()
    return _shown(call.engine.registry.event_invoke.get(reference.name, reference.qualifier))


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    reference = call.reference()
    configs = call.engine.registry.event_invoke
    page = configs.list(reference.name, params.get("Marker"), params.get("MaxItems"))
    return {
        "NextMarker": page.next_marker,
        "FunctionEventInvokeConfigs": [_shown(shown) for shown in page.configs],
    }


async def _delete(call: Call) -> dict[str, Any]:
    reference = call.reference()
    await call.engine.registry.event_invoke.delete(reference.name, reference.qualifier)
    return {}


OPERATIONS = (
    Operation(_put, _GIVEN, "PutFunctionEventInvokeConfig"),
    Operation(_update, _GIVEN, "UpdateFunctionEventInvokeConfig"),
    Operation(_get, frozenset({"FunctionName", "Qualifier"}), "GetFunctionEventInvokeConfig"),
    Operation(
        _list,
        frozenset({"FunctionName", "Marker", "MaxItems"}),
        "ListFunctionEventInvokeConfigs",
    ),
    Operation(_delete, frozenset({"FunctionName", "Qualifier"}), "DeleteFunctionEventInvokeConfig"),
)
