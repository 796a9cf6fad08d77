"""InvokeWithResponseStream.

AWS's Python runtime cannot stream: its result arrives as one chunk when it is complete. So it is
here, and the reply, which is known as a whole before its first byte, goes out with a length.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from samovar.doors.http import eventstream
from samovar.doors.http.body import Receive
from samovar.doors.http.constraints import check_constraints
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.faults import not_carried_out
from samovar.doors.http.invoke import (
    as_one,
    check_request_id,
    client_context,
    context_headers,
    read_payload,
)
from samovar.doors.http.parsing import parse_request
from samovar.doors.http.replies import RawHeaders, Reply, to_json
from samovar.doors.http.routes import Match
from samovar.model.arn import FunctionReference
from samovar.model.invocation import Outcome

NAME = "InvokeWithResponseStream"

CARRIED = frozenset(
    {"FunctionName", "Qualifier", "InvocationType", "LogType", "ClientContext", "Payload"}
)


class StreamPath:
    """Carries out InvokeWithResponseStream for one engine."""

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine

    async def answer(
        self,
        match: Match,
        headers: RawHeaders,
        receive: Receive,
        request_id: str,
        admit: Callable[[FunctionReference], None] | None = None,
    ) -> Reply:
        """The reply to one request. Raises ClientError, EngineError, ClientGoneError, and what
        `admit` does of the function that it means.

        What goes wrong before the function has begun is an error like any other; what goes wrong
        in it is told by the stream's last event, because the status has been 200 by then.
        """
        payload = await read_payload(receive, "RequestResponse")
        params = parse_request(
            match.operation, labels=match.labels, query=match.query, headers=headers, body=payload
        )
        check_constraints(match.operation, params)
        for name in params:
            if name not in CARRIED:
                raise not_carried_out(name, NAME)
        given = as_one(headers)
        check_request_id(given.get(b"x-amzn-requestid"))
        settings = self._engine.settings
        reference = FunctionReference.parse(
            params["FunctionName"],
            params.get("Qualifier"),
            region=settings.region,
            account=settings.account_id,
        )
        if admit is not None:
            admit(reference)
        context = params.get("ClientContext")
        trace = given.get(b"x-amzn-trace-id")
        decoded = None if context is None else client_context(context)
        if params.get("InvocationType") == "DryRun":
            self._engine.registry.resolve(reference.name, reference.qualifier)
            return Reply(204)
        outcome = await self._engine.submit(
            reference.name,
            payload,
            qualifier=reference.qualifier,
            function_arn=reference.arn,
            client_context=decoded,
            trace=None if trace is None else trace.decode("latin-1"),
            log_tail=params.get("LogType") == "Tail",
            request_id=request_id,
        )
        content_type = (b"content-type", eventstream.CONTENT_TYPE)
        return Reply(200, [content_type, *context_headers(outcome)], _events(outcome))


def _events(outcome: Outcome) -> bytes:
    """All of the result in one chunk, and how it ended.

    What stands in ErrorCode and ErrorDetails of a Python function's error is not confirmed: here it
    is the error's type, and the error as Invoke would send it.
    """
    end: dict[str, Any] = {}
    chunks = []
    if outcome.function_error is None:
        chunks.append(
            eventstream.event("PayloadChunk", "application/octet-stream", outcome.payload)
        )
    else:
        end["ErrorCode"] = outcome.error_type or outcome.function_error
        end["ErrorDetails"] = outcome.payload.decode(errors="replace")
    if outcome.log_tail:
        end["LogResult"] = base64.b64encode(outcome.log_tail).decode()
    chunks.append(eventstream.event("InvokeComplete", "application/json", to_json(end)))
    return b"".join(chunks)
