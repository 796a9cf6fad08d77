"""What the HTTP door needs of an engine, and nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from samovar.model.invocation import Outcome
from samovar.registry.functions import FunctionRegistry
from samovar.settings import Settings


class ServedEngine(Protocol):
    """An engine as a door sees it.

    Methods raise ClientError for what the caller did wrong and EngineError for what broke here.
    """

    @property
    def settings(self) -> Settings:
        """How this engine runs: its Region and account are in every ARN."""

    @property
    def registry(self) -> FunctionRegistry:
        """The functions."""

    @property
    def templates_possible(self) -> bool:
        """Whether this host lets contexts be forked from templates (SnapStart)."""

    def submit(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None,
        function_arn: str,
        client_context: str | None,
        trace: str | None,
        log_tail: bool,
        request_id: str,
    ) -> asyncio.Future[Outcome]:
        """Run a function; the future has what comes of it. Cancelling it stops nothing.

        `payload` is the event's raw JSON, empty for `{}`; what is no JSON raises ClientError
        (InvalidRequestContentException). `function_arn` is the ARN as invoked, `client_context`
        decoded JSON text, `request_id` a UUID that no other invocation has.
        """

    def submit_event(
        self,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None,
        function_arn: str,
        trace: str | None,
        request_id: str,
        limit: int = ...,
    ) -> asyncio.Future[str]:
        """Accept an event, to be run later; the future has its request id once it is durable.

        `limit` is bytes that `payload` may have. The rest is as in `submit`.
        """

    async def events(
        self,
        *,
        state: str | None,
        kind: str | None,
        function: str | None,
        condition: str | None,
        after: str | None,
        limit: int,
    ) -> Mapping[str, Any]:
        """A page of what the queue holds: docs/events.md."""

    async def event(self, event_id: str) -> Mapping[str, Any]:
        """One event or delivery, with its payload."""

    async def redrive(self, event_id: str) -> Mapping[str, Any]:
        """Have what is dead run or be sent again; what it is then."""

    async def forget(self, event_id: str) -> None:
        """Delete what is dead."""

    def drop_idle_contexts(self, name: str, *, qualifier: str | None = None) -> int:
        """End a function's idle contexts, and no others; how many there were."""

    def metrics_text(self) -> bytes:
        """All metrics in the Prometheus text format."""

    async def census(self, *, history: bool) -> Mapping[str, Any]:
        """Every execution context, and what functions have had to do: docs/contexts.md. With
        `history` each context has its last states."""

    def memory_room(self) -> int | None:
        """MB that new contexts may take; None where that is not known."""

    def not_ready(self) -> str | None:
        """Why this engine can't take invocations now; None when it can."""
