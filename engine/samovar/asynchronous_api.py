"""What an embedding program does with asynchronous invocation: send events, say what becomes of
them (docs/asynchronous-invocation.md)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from samovar.assembly import Parts
from samovar.model import limits
from samovar.model.event import EventInvokeConfig


class AsynchronousApi:
    """A part of `Engine`, which has the rest; raises EngineError while that does not run."""

    @property
    def _parts(self) -> Parts:
        raise NotImplementedError

    async def invoke_async(
        self,
        name: str,
        payload: Any = b"",
        *,
        qualifier: str | None = None,
        trace: str | None = None,
    ) -> str:
        """Have a function run later, and again if it fails; the request id, once the event is
        durable. `payload` and errors are as in `invoke`."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        accept = self._parts.asynchronous.acceptor.accept
        return await accept(name, data, qualifier=qualifier, trace=trace)

    def submit_event(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None,
        function_arn: str,
        trace: str | None,
        request_id: str,
        limit: int = limits.ASYNC_PAYLOAD_SIZE,
    ) -> asyncio.Future[str]:
        """What `invoke_async` waits for, for a door that has no coroutine to wait in."""
        return self._parts.asynchronous.acceptor.accept(
            name,
            payload,
            qualifier=qualifier,
            function_arn=function_arn,
            trace=trace,
            request_id=request_id,
            limit=limit,
        )

    async def put_event_invoke(
        self,
        name: str,
        *,
        qualifier: str | None = None,
        max_retry_attempts: int | None = None,
        max_event_age: int | None = None,
        on_success: str | None = None,
        on_failure: str | None = None,
    ) -> EventInvokeConfig:
        """Say what becomes of the events of a function, or of one of its qualifiers, in the place
        of what was said before: retries (0 to 2), age (60 to 21600 seconds), and the ARNs of
        destinations. Raises ClientError."""
        given = EventInvokeConfig(max_retry_attempts, max_event_age, on_success, on_failure)
        shown = await self._parts.registry.event_invoke.put(name, qualifier, given)
        return shown.config

    async def delete_event_invoke(self, name: str, *, qualifier: str | None = None) -> None:
        """Have AWS's defaults count again. Raises ClientError, also where nothing was said."""
        await self._parts.registry.event_invoke.delete(name, qualifier)
