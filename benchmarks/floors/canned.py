"""The HTTP server that Samovar uses, with nothing behind it: uvicorn and a bare ASGI app."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from benchmarks.event import EVENT_BYTES
from benchmarks.subject import Subject

# What an Invoke reply carries, so that a client parses as much as it does for the real one.
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(EVENT_BYTES)).encode()),
    (b"x-amzn-requestid", b"7f0d3f54-0d5c-4a9e-9f3c-1d5f1b0a9e11"),
    (b"x-amz-executed-version", b"$LATEST"),
]


async def canned(scope: Any, receive: Any, send: Any) -> None:
    """Take the body in, answer with a constant one."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        continue
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": EVENT_BYTES})


class CannedReply(Subject):
    """uvicorn on the subject's own loop, as an engine embeds it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            canned, http="httptools", lifespan="off", log_level="warning", access_log=False
        )
        self._server = uvicorn.Server(config)
        self._serving: asyncio.Future[None] | None = None

    async def start(self) -> dict[str, Any]:
        # The backlog holds whoever connects before uvicorn has begun to accept.
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        return {"port": self._listener.getsockname()[1]}

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._listener.close()
