"""Layers: publish, show, list, delete, share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samovar.doors.http.api_model import service_model
from samovar.doors.http.operations.functions import code_source
from samovar.doors.http.operations.rendering import code_sha256
from samovar.doors.http.operations.table import Call, Operation
from samovar.doors.http.serialization import last_modified
from samovar.model import policy
from samovar.model.layer import LayerVersion
from samovar.registry import rules
from samovar.registry.layers import Compatible, LayerRegistry, NewLayerVersion

_VERSION = frozenset({"LayerName", "VersionNumber"})
_FILTERS = frozenset({"CompatibleRuntime", "CompatibleArchitecture", "Marker", "MaxItems"})


def _layers(call: Call) -> LayerRegistry:
    return call.engine.registry.layers


def _named(params: Mapping[str, Any]) -> tuple[str, int]:
    return params["LayerName"], params["VersionNumber"]


def _item(version: LayerVersion) -> dict[str, Any]:
    """A version as lists show it."""
    return {
        "LayerVersionArn": version.version_arn,
        "Version": version.version,
        "Description": version.description,
        "CreatedDate": last_modified(version.created),
        "CompatibleRuntimes": _list(version.runtimes),
        "LicenseInfo": version.license_info,
        "CompatibleArchitectures": _list(version.architectures),
    }


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _shown(call: Call, version: LayerVersion) -> dict[str, Any]:
    return {
        **_item(version),
        "LayerArn": version.arn,
        "Content": {
            "Location": call.links.make(version.code, call.base_url),
            "CodeSha256": code_sha256(version.code),
            "CodeSize": version.code.size,
        },
    }


def _compatible(params: Mapping[str, Any]) -> Compatible:
    runtime = params.get("CompatibleRuntime")
    known: list[str] = service_model().shape_for("Runtime").enum
    if runtime is not None and runtime not in known:
        rule = f"Member must satisfy enum value set: [{', '.join(known)}]"
        raise rules.broken(runtime, "compatibleRuntime", rule)
    return Compatible(runtime, params.get("CompatibleArchitecture"))


async def _publish(call: Call) -> dict[str, Any]:
    params = call.params
    new = NewLayerVersion(
        params["LayerName"],
        code_source(params["Content"]),
        description=params.get("Description", ""),
        license_info=params.get("LicenseInfo"),
        runtimes=params.get("CompatibleRuntimes"),
        architectures=params.get("CompatibleArchitectures"),
    )
    return _shown(call, await _layers(call).publish(new))


async def _get(call: Call) -> dict[str, Any]:
    return _shown(call, _layers(call).get(*_named(call.params)))


async def _get_by_arn(call: Call) -> dict[str, Any]:
    return _shown(call, _layers(call).get_by_arn(call.params["Arn"]))


async def _list_layers(call: Call) -> dict[str, Any]:
    params = call.params
    wanted = _compatible(params)
    page = _layers(call).latest(wanted, params.get("Marker"), params.get("MaxItems"))
    return {
        "NextMarker": page.next_marker,
        "Layers": [
            {
                "LayerName": version.name,
                "LayerArn": version.arn,
                "LatestMatchingVersion": _item(version),
            }
            for version in page.versions
        ],
    }


async def _list_versions(call: Call) -> dict[str, Any]:
    params = call.params
    page = _layers(call).versions(
        params["LayerName"], _compatible(params), params.get("Marker"), params.get("MaxItems")
    )
    return {
        "NextMarker": page.next_marker,
        "LayerVersions": [_item(version) for version in page.versions],
    }


async def _delete(call: Call) -> dict[str, Any]:
    await _layers(call).delete(*_named(call.params))
    return {}


async def _add_permission(call: Call) -> dict[str, Any]:
    params = call.params
    place = _named(params)
    statement = policy.Statement(
        params["StatementId"],
        policy.principal(params["Principal"]),
        params["Action"],
        _layers(call).version_arn(*place),
        policy.condition(organization=params.get("OrganizationId")),
    )
    revision = await _layers(call).add_permission(*place, statement, params.get("RevisionId"))
    return {"Statement": statement.text(), "RevisionId": revision}


async def _get_policy(call: Call) -> dict[str, Any]:
    found = _layers(call).policy_of(*_named(call.params))
    return {"Policy": found.policy.text(), "RevisionId": found.revision}


async def _remove_permission(call: Call) -> dict[str, Any]:
    params = call.params
    await _layers(call).remove_permission(
        *_named(params), params["StatementId"], params.get("RevisionId")
    )
    return {}


OPERATIONS = (
    Operation(
        _publish,
        frozenset(
            {
                "LayerName",
                "Description",
                "Content.ZipFile",
                "Content.S3Bucket",
                "Content.S3Key",
                "Content.S3ObjectVersion",
                "CompatibleRuntimes",
                "CompatibleArchitectures",
                "LicenseInfo",
            }
        ),
        "PublishLayerVersion",
        {"Content.S3ObjectStorageMode": lambda value: bool(value == "COPY")},
    ),
    Operation(_get, _VERSION, "GetLayerVersion"),
    Operation(_get_by_arn, frozenset({"Arn"}), "GetLayerVersionByArn"),
    Operation(_list_layers, _FILTERS, "ListLayers"),
    Operation(_list_versions, _FILTERS | {"LayerName"}, "ListLayerVersions"),
    Operation(_delete, _VERSION, "DeleteLayerVersion"),
    Operation(
        _add_permission,
        _VERSION | {"StatementId", "Action", "Principal", "OrganizationId", "RevisionId"},
        "AddLayerVersionPermission",
    ),
    Operation(_get_policy, _VERSION, "GetLayerVersionPolicy"),
    Operation(
        _remove_permission,
        _VERSION | {"StatementId", "RevisionId"},
        "RemoveLayerVersionPermission",
    ),
)
