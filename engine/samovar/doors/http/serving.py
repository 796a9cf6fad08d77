"""Putting the HTTP door in front of a running engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from samovar.doors.http.access_keys import read_access_keys
from samovar.doors.http.app import LambdaApp
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.limits import ConnectionLimits
from samovar.doors.http.server import HttpServer
from samovar.doors.http.sigv4 import Verifier
from samovar.invocation.identity import Identities

# Seconds that requests in progress get when serving ends; then they are answered with a 503.
GRACE = 30.0


@asynccontextmanager
async def serving(
    engine: ServedEngine, *, limits: ConnectionLimits | None = None, grace: float = GRACE
) -> AsyncIterator[str]:
    """Serve the Lambda API of `engine` at its settings' host and port while the block runs.

    Gives the endpoint URL. The engine must be running, on this loop, and must outlive the block;
    no signal is touched. Raises SettingsError if the address can't be had, and for what is wrong
    with the file of access keys.
    """
    request_ids = Identities()
    settings = engine.settings
    verifier = None
    if settings.credentials_file is not None:
        keys = await asyncio.to_thread(read_access_keys, settings.credentials_file)
        verifier = Verifier(keys, settings.region, time.time)
    server = HttpServer(
        LambdaApp(engine, request_ids, verifier, limits),
        host=settings.host,
        port=settings.port,
        limits=limits,
        request_ids=request_ids,
        anywhere=verifier is not None or settings.allow_unsigned,
    )
    await server.start()
    try:
        yield server.endpoint
    finally:
        await server.stop(grace)
