"""One connection that invokes one function: as little as can be between the clock and the engine.

boto3 takes a millisecond of its own for a call, which is more than the engine does.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from samovar.doors.cli.bench.sample import Round, Sample
from samovar.doors.cli.exits import Exit, Failure, throttled
from samovar.doors.cli.headers import CONTEXT, PHASES, START
from samovar.doors.cli.pages import signed
from samovar.doors.cli.remote import CONNECT_TIMEOUT, READ_TIMEOUT


@dataclass(frozen=True, slots=True)
class Target:
    """What is invoked: through whose client's endpoint and keys, which function, with what."""

    client: Any
    name: str
    qualifier: str | None
    event: bytes

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.qualifier}" if self.qualifier else self.name

    @property
    def url(self) -> str:
        query = f"?{urlencode({'Qualifier': self.qualifier})}" if self.qualifier else ""
        endpoint = str(self.client.meta.endpoint_url).rstrip("/")
        name = quote(self.name, safe="")
        return f"{endpoint}/2015-03-31/functions/{name}/invocations{query}"


class Caller:
    """For one thread; closed at the end of the block."""

    def __init__(self, target: Target) -> None:
        self._target = target
        parts = urlsplit(target.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_TIMEOUT)
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        """Let the thread that waits for an answer find the connection ended."""
        sock: socket.socket | None = self._connection.sock
        if sock is not None:
            with suppress(OSError):  # it has ended by itself
                sock.shutdown(socket.SHUT_RDWR)

    def invoke(self, purpose: Round) -> Sample:
        """Invoke once. An error of the function is part of the sample; raises Failure where there
        is no answer, and where the API refuses."""
        target, connection = self._target, self._connection
        # Made before the clock runs: a signature holds for some minutes only.
        headers = dict(signed(target.client, "POST", target.url, target.event).headers.items())
        try:
            if connection.sock is None:
                connection.connect()
            if connection.sock is not None:  # connecting may take less long than a function
                connection.sock.settimeout(READ_TIMEOUT)
            began = time.perf_counter()
            connection.request("POST", self._path, target.event, headers)
            reply = connection.getresponse()
            body = reply.read()
            total = (time.perf_counter() - began) * 1000
        except (OSError, http.client.HTTPException) as error:
            raise Failure(
                Exit.UNREACHABLE,
                f"no answer from {target.client.meta.endpoint_url}: {error or type(error)}",
            ) from error
        if reply.status != 200:
            raise Failure(Exit.REFUSED, f"{target.reference}: {_message(body, reply.status)}")
        failed = reply.headers.get("x-amz-function-error") is not None
        return Sample(
            purpose,
            reply.headers.get(START, ""),
            reply.headers.get(CONTEXT, ""),
            reply.headers.get("x-amzn-requestid", ""),
            total,
            json.loads(reply.headers.get(PHASES, "{}")),
            _error_type(body) if failed else "",
        )


def _message(body: bytes, status: int) -> str:
    try:
        told = json.loads(body)
        message = told.get("message") or told.get("Message") or status
        return "\n".join(filter(None, (str(message), throttled(told.get("Reason", "")))))
    except (ValueError, AttributeError):
        return f"status {status}"


def _error_type(body: bytes) -> str:
    try:
        return str(json.loads(body)["errorType"])
    except (ValueError, KeyError, TypeError):
        return "Unhandled"
