"""Putting the HTTP door in front of a running engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from samovar.doors.http.app import LambdaApp
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.limits import ConnectionLimits
from samovar.doors.http.server import HttpServer
from samovar.invocation.identity import Identities

# Seconds that requests in progress get when serving ends; then they are answered with a 503.
GRACE = 30.0


@asynccontextmanager
async def serving(
    engine: ServedEngine, *, limits: ConnectionLimits | None = None, grace: float = GRACE
) -> AsyncIterator[str]:
    """Serve the Lambda API of `engine` at its settings' host and port while the block runs.

    Gives the endpoint URL. The engine must be running, on this loop, and must outlive the block;
    no signal is touched. Raises SettingsError if the address can't be had.
    """
    request_ids = Identities()
    settings = engine.settings
    server = HttpServer(
        LambdaApp(engine, request_ids),
        host=settings.host,
        port=settings.port,
        limits=limits,
        request_ids=request_ids,
    )
    await server.start()
    try:
        yield server.endpoint
    finally:
        await server.stop(grace)
