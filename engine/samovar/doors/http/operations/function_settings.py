"""What is set for a function without a new version of it: its runtime's updates, its recursion."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.registry.recursion import RecursiveLoop
from samovar.registry.runtime_management import RuntimeManagement, UpdateRuntimeOn


def _shown(function_arn: str, managed: RuntimeManagement) -> dict[str, Any]:
    return {
        "FunctionArn": function_arn,
        "UpdateRuntimeOn": managed.update_on.value,
        "RuntimeVersionArn": managed.version_arn,  # AWS: null unless the mode is Manual
    }


async def _get_runtime_management(call: Call) -> dict[str, Any]:
    reference = call.reference()
    registry = call.engine.registry
    managed = registry.runtime_management.get(reference.name, reference.qualifier)
    return _shown(reference.arn, managed)


async def _put_runtime_management(call: Call) -> dict[str, Any]:
    params = call.params
    reference = call.reference()
    wanted = RuntimeManagement(
        UpdateRuntimeOn(params["UpdateRuntimeOn"]), params.get("RuntimeVersionArn")
    )
    registry = call.engine.registry
    await registry.runtime_management.put(reference.name, reference.qualifier, wanted)
    return _shown(reference.arn, wanted)


async def _get_recursion(call: Call) -> dict[str, Any]:
    return {"RecursiveLoop": call.engine.registry.recursion.get(call.whole_function()).value}


async def _put_recursion(call: Call) -> dict[str, Any]:
    wanted = RecursiveLoop(call.params["RecursiveLoop"])
    await call.engine.registry.recursion.put(call.whole_function(), wanted)
    return {"RecursiveLoop": wanted.value}


OPERATIONS = (
    Operation(
        _get_runtime_management,
        frozenset({"FunctionName", "Qualifier"}),
        "GetRuntimeManagementConfig",
    ),
    Operation(
        _put_runtime_management,
        frozenset({"FunctionName", "Qualifier", "UpdateRuntimeOn", "RuntimeVersionArn"}),
        "PutRuntimeManagementConfig",
    ),
    Operation(_get_recursion, frozenset({"FunctionName"}), "GetFunctionRecursionConfig"),
    Operation(
        _put_recursion, frozenset({"FunctionName", "RecursiveLoop"}), "PutFunctionRecursionConfig"
    ),
)
