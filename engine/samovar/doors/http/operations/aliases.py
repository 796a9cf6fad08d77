"""Aliases: create, show, list, update, delete."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model.alias import Alias

_ROUTING = "RoutingConfig.AdditionalVersionWeights"


def _shown(alias: Alias) -> dict[str, Any]:
    return {
        "AliasArn": alias.arn,
        "Name": alias.name,
        "FunctionVersion": alias.function_version,
        "Description": alias.description,
        "RoutingConfig": (
            None
            if alias.additional is None
            else {"AdditionalVersionWeights": dict([alias.additional])}
        ),
        "RevisionId": alias.revision_id,
    }


def _routing(call: Call) -> dict[str, float] | None:
    """The weights that are given: none of them takes away what is there."""
    given = call.params.get("RoutingConfig")
    return None if given is None else given.get("AdditionalVersionWeights", {})


async def _create(call: Call) -> dict[str, Any]:
    params = call.params
    alias = await call.engine.registry.aliases.create(
        call.whole_function(),
        params["Name"],
        params["FunctionVersion"],
        description=params.get("Description", ""),
        routing=_routing(call),
    )
    return _shown(alias)


async def _get(call: Call) -> dict[str, Any]:
    return _shown(call.engine.registry.aliases.get(call.whole_function(), call.params["Name"]))


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    page = call.engine.registry.aliases.list(
        call.whole_function(),
        params.get("FunctionVersion"),
        params.get("Marker"),
        params.get("MaxItems"),
    )
    return {
        "NextMarker": page.next_marker,
        "Aliases": [_shown(alias) for alias in page.aliases],
    }


async def _update(call: Call) -> dict[str, Any]:
    params = call.params
    alias = await call.engine.registry.aliases.update(
        call.whole_function(),
        params["Name"],
        function_version=params.get("FunctionVersion"),
        description=params.get("Description"),
        routing=_routing(call),
        revision_id=params.get("RevisionId"),
    )
    return _shown(alias)


async def _delete(call: Call) -> dict[str, Any]:
    await call.engine.registry.aliases.delete(call.whole_function(), call.params["Name"])
    return {}


OPERATIONS = (
    Operation(
        _create,
        frozenset({"FunctionName", "Name", "FunctionVersion", "Description", _ROUTING}),
        "CreateAlias",
    ),
    Operation(_get, frozenset({"FunctionName", "Name"}), "GetAlias"),
    Operation(
        _list, frozenset({"FunctionName", "FunctionVersion", "Marker", "MaxItems"}), "ListAliases"
    ),
    Operation(
        _update,
        frozenset(
            {"FunctionName", "Name", "FunctionVersion", "Description", "RevisionId", _ROUTING}
        ),
        "UpdateAlias",
    ),
    Operation(_delete, frozenset({"FunctionName", "Name"}), "DeleteAlias"),
)
