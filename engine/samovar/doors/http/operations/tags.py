"""Tags of functions."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation


async def _tag(call: Call) -> dict[str, Any]:
    await call.engine.registry.tag(call.params["Resource"], call.params["Tags"])
    return {}


async def _untag(call: Call) -> dict[str, Any]:
    await call.engine.registry.untag(call.params["Resource"], call.params["TagKeys"])
    return {}


async def _tags(call: Call) -> dict[str, Any]:
    return {"Tags": dict(call.engine.registry.tags_of(call.params["Resource"]))}


OPERATIONS = (
    Operation(_tag, frozenset({"Resource", "Tags"}), "TagResource"),
    Operation(_untag, frozenset({"Resource", "TagKeys"}), "UntagResource"),
    Operation(_tags, frozenset({"Resource"}), "ListTags"),
)
