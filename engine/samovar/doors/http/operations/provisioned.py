"""Provisioned concurrency of aliases and versions."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.doors.http.serialization import whole_seconds
from samovar.model.provisioning import ProvisionedStatus, ShownConfig


def _shown(shown: ShownConfig) -> dict[str, Any]:
    config, progress = shown
    status = shown.status
    return {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AvailableProvisionedConcurrentExecutions": progress.ready,
        "AllocatedProvisionedConcurrentExecutions": progress.allocated,
        "Status": status.value,
        "StatusReason": progress.failure if status is ProvisionedStatus.FAILED else None,
        "LastModified": whole_seconds(config.last_modified),
    }


async def _put(call: Call) -> dict[str, Any]:
    reference = call.reference()
    return _shown(
        await call.engine.registry.provisioned.put(
            reference.name, reference.qualifier, call.params["ProvisionedConcurrentExecutions"]
        )
    )


async def _get(call: Call) -> dict[str, Any]:
    reference = call.reference()
    return _shown(call.engine.registry.provisioned.get(reference.name, reference.qualifier))


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    reference = call.reference()
    registry = call.engine.registry
    registry.get(reference.name, reference.qualifier)  # one that isn't there has no list
    page = registry.provisioned.list(reference.name, params.get("Marker"), params.get("MaxItems"))
    return {
        "NextMarker": page.next_marker,
        "ProvisionedConcurrencyConfigs": [
            {"FunctionArn": shown.config.resource, **_shown(shown)} for shown in page.configs
        ],
    }


async def _delete(call: Call) -> dict[str, Any]:
    reference = call.reference()
    await call.engine.registry.provisioned.delete(reference.name, reference.qualifier)
    return {}


OPERATIONS = (
    Operation(
        _put,
        frozenset({"FunctionName", "Qualifier", "ProvisionedConcurrentExecutions"}),
        "PutProvisionedConcurrencyConfig",
    ),
    Operation(_get, frozenset({"FunctionName", "Qualifier"}), "GetProvisionedConcurrencyConfig"),
    Operation(
        _list,
        frozenset({"FunctionName", "Marker", "MaxItems"}),
        "ListProvisionedConcurrencyConfigs",
    ),
    Operation(
        _delete, frozenset({"FunctionName", "Qualifier"}), "DeleteProvisionedConcurrencyConfig"
    ),
)
