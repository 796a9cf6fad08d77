"""Reserved concurrency."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model import limits


def reserved(value: int | None) -> dict[str, int]:
    """The document of what a function has reserved, which is empty where it has nothing."""
    return {} if value is None else {"ReservedConcurrentExecutions": value}


async def _put(call: Call) -> dict[str, Any]:
    reference = call.reference(limits.UNQUALIFIED_REFERENCE_LENGTH)
    wanted = call.params["ReservedConcurrentExecutions"]
    await call.engine.registry.concurrency.put(reference.name, reference.qualifier, wanted)
    return reserved(wanted)


async def _get(call: Call) -> dict[str, Any]:
    reference = call.reference(limits.UNQUALIFIED_REFERENCE_LENGTH)
    return reserved(call.engine.registry.concurrency.get(reference.name, reference.qualifier))


async def _delete(call: Call) -> dict[str, Any]:
    reference = call.reference(limits.UNQUALIFIED_REFERENCE_LENGTH)
    await call.engine.registry.concurrency.delete(reference.name, reference.qualifier)
    return {}


OPERATIONS = (
    Operation(
        _put, frozenset({"FunctionName", "ReservedConcurrentExecutions"}), "PutFunctionConcurrency"
    ),
    Operation(_get, frozenset({"FunctionName"}), "GetFunctionConcurrency"),
    Operation(_delete, frozenset({"FunctionName"}), "DeleteFunctionConcurrency"),
)
