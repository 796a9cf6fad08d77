"""InvokeAsync: what Invoke with the type Event has taken the place of."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model import limits

_STATUS = 202  # in the body; the reply's own is the model's


async def _invoke_async(call: Call) -> dict[str, Any]:
    reference = call.reference()
    await call.engine.submit_event(
        reference.name,
        call.params["InvokeArgs"],
        qualifier=reference.qualifier,
        function_arn=reference.arn,
        trace=None,  # developer guide: this operation knows no X-Ray
        request_id=call.request_id,
        limit=limits.INVOKE_ASYNC_SIZE,
    )
    return {"Status": _STATUS}


OPERATIONS = (Operation(_invoke_async, frozenset({"FunctionName", "InvokeArgs"}), "InvokeAsync"),)
