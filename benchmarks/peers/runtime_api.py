"""AWS's own runtime client for Python behind a minimal Lambda runtime API.

The server is as thin as the bare loop and made of the same HTTP code, so what is measured is the
runtime: `next` is a long poll, `response` hands the result to the waiting invoker.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

from benchmarks.floors.http_protocol import RawHttp, listen, port_of
from benchmarks.functions import handlers
from benchmarks.peers.python import peer_python
from benchmarks.subject import Subject

_API = b"/2018-06-01/runtime/invocation/"
_ARN = b"arn:aws:lambda:us-east-1:000000000000:function:noop"
# Far enough away that the runtime never sees a deadline pass.
_NEXT_HEADERS = (
    b"lambda-runtime-aws-request-id: %d\r\n"
    b"lambda-runtime-deadline-ms: 4102444800000\r\n"
    b"lambda-runtime-invoked-function-arn: " + _ARN + b"\r\n"
)


class RuntimeInterface(Subject):
    """`runtimes` processes of awslambdaric, each taking one invocation at a time."""

    def __init__(self, runtimes: int) -> None:
        self._python = peer_python("awslambdaric", "awslambdaric")
        self._count = runtimes
        self._runtimes: list[subprocess.Popen[bytes]] = []
        self._polls: list[RawHttp] = []
        self._waiting: deque[tuple[bytes, RawHttp]] = deque()
        self._running: dict[bytes, RawHttp] = {}
        self._number = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> dict[str, Any]:
        self._server = await listen(self._route)
        port = port_of(self._server)
        directory = str(Path(handlers.__file__).parent)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "LAMBDA_TASK_ROOT": directory,
            "PYTHONPATH": directory,
            "AWS_LAMBDA_FUNCTION_NAME": "noop",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        }
        for _ in range(self._count):
            # spawned by hand: asyncio's child watcher is not wanted on the measured loop
            self._runtimes.append(
                subprocess.Popen(  # noqa: ASYNC220
                    [self._python, "-m", "awslambdaric", "handlers.noop"],
                    env=environment,
                    cwd=directory,
                )
            )
        return {"port": port}

    def _route(self, connection: RawHttp, url: bytes, body: bytes) -> None:
        if url == _API + b"next":
            if self._waiting:
                self._hand_over(connection, *self._waiting.popleft())
            else:
                self._polls.append(connection)
        elif url.startswith(_API):
            number, _, kind = url[len(_API) :].partition(b"/")
            status = 200 if kind == b"response" else 502
            self._running.pop(number).reply(body, status)
            connection.reply(b'{"status":"OK"}', 202)
        elif url.startswith(b"/2018-06-01/"):
            raise SystemExit(f"the runtime asked for {url!r}: {body!r}")
        elif self._polls:
            self._hand_over(self._polls.pop(), body, connection)
        else:
            self._waiting.append((body, connection))

    def _hand_over(self, poll: RawHttp, body: bytes, invoker: RawHttp) -> None:
        self._number += 1
        self._running[b"%d" % self._number] = invoker
        poll.reply(body, headers=_NEXT_HEADERS % self._number)

    async def stop(self) -> None:
        for runtime in self._runtimes:
            runtime.terminate()
        for runtime in self._runtimes:
            runtime.wait()
        if self._server is not None:
            self._server.close()
