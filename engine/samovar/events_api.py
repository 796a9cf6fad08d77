"""What an embedding program does with events: send them, say what becomes of them, look at them,
have them run again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from samovar.assembly import Parts
from samovar.model import limits
from samovar.model.event import EventInvokeConfig
from samovar.model.event_entries import Entry, EventDetails, EventList


class EventsApi:
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
        """Have a function run later, and again if it fails (docs/asynchronous-invocation.md); the
        request id, once the event is durable. `payload` and errors are as in `invoke`."""
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

    async def events(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        function: str | None = None,
        condition: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> EventList:
        """A page of the events that are not over, of the dead ones, and of what is to be sent of
        either: the document of docs/events.md. `state` is `waiting`, `claimed` or `dead`, `kind`
        `event` or `delivery`, `function` a name; `after` is the `next` of the
        page before; `limit` is from 1 to 1,000. Raises ClientError."""
        return await self._parts.asynchronous.inspection.list(
            state=state,
            kind=kind,
            function=function,
            condition=condition,
            after=after,
            limit=limit,
        )

    async def event(self, event_id: str) -> EventDetails:
        """One event (its id is its request id) or delivery, with its payload; raises ClientError
        (404) if there is none: what ended well is not kept."""
        return await self._parts.asynchronous.inspection.show(event_id)

    async def redrive(self, event_id: str) -> Entry:
        """Have a dead event run again under its request id, as if it had just come in, or a dead
        delivery sent again. Raises ClientError: 404, 409 for what is not dead."""
        return await self._parts.asynchronous.inspection.redrive(event_id)

    async def forget(self, event_id: str) -> None:
        """Delete a dead event or delivery for good; raises ClientError as `redrive` does."""
        await self._parts.asynchronous.inspection.forget(event_id)

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
        """Say what becomes of events that a function is invoked with, or an alias or a version of
        it, in the place of what was said before: retries (0 to 2), age (60 to 21600 seconds), and
        the ARNs of destinations (docs/destinations.md). What is None is AWS's default, or no
        destination. Raises ClientError."""
        given = EventInvokeConfig(max_retry_attempts, max_event_age, on_success, on_failure)
        shown = await self._parts.registry.event_invoke.put(name, qualifier, given)
        return shown.config

    async def get_event_invoke(
        self, name: str, *, qualifier: str | None = None
    ) -> EventInvokeConfig:
        """What was said of a function's events, or of those of one of its qualifiers; what was not
        is None in it. Raises ClientError, also where nothing was said."""
        return self._parts.registry.event_invoke.get(name, qualifier).config

    async def delete_event_invoke(self, name: str, *, qualifier: str | None = None) -> None:
        """Have AWS's defaults count again. Raises ClientError, also where nothing was said."""
        await self._parts.registry.event_invoke.delete(name, qualifier)
