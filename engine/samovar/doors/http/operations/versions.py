"""Versions: publish and list; DeleteFunction deletes one, too."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations import rendering
from samovar.doors.http.operations.table import Call, Operation
from samovar.model import limits


async def _publish(call: Call) -> dict[str, Any]:
    params = call.params
    engine = call.engine
    version = await engine.registry.versions.publish(
        call.whole_function(),
        code_sha256=params.get("CodeSha256"),
        description=params.get("Description"),
        revision_id=params.get("RevisionId"),
    )
    return rendering.function_configuration(version, engine, version.qualified_arn)


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    name = call.whole_function(limits.QUALIFIED_REFERENCE_LENGTH)
    page = call.engine.registry.versions.list(name, params.get("Marker"), params.get("MaxItems"))
    return {
        "NextMarker": page.next_marker,
        "Versions": [
            rendering.list_item(item, call.engine, item.qualified_arn) for item in page.functions
        ],
    }


OPERATIONS = (
    Operation(
        _publish,
        frozenset({"FunctionName", "CodeSha256", "Description", "RevisionId"}),
        "PublishVersion",
    ),
    Operation(_list, frozenset({"FunctionName", "Marker", "MaxItems"}), "ListVersionsByFunction"),
)
