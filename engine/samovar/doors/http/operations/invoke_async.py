"""InvokeAsync: what Invoke with the type Event has taken the place of."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.errors import AWS, ClientError


async def _invoke_async(call: Call) -> dict[str, Any]:
    # What is wrong with the request is told as ever. What is right with it is refused, too: there
    # is no durable queue yet, and what is accepted must not be lost.
    reference = call.reference()
    call.engine.registry.resolve(reference.name, reference.qualifier)
    raise ClientError(
        AWS.NOT_CARRIED_OUT,
        "Samovar does not carry out the operation InvokeAsync yet; use Invoke with the "
        "InvocationType RequestResponse.",
    )


OPERATIONS = (Operation(_invoke_async, frozenset({"FunctionName", "InvokeArgs"}), "InvokeAsync"),)
