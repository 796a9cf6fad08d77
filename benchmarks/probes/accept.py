"""Loads of events: over HTTP on the engine, and in the process of what it is held against."""

from __future__ import annotations

import json
import socket
import time

from benchmarks.measures import Batch
from benchmarks.probes.http import Wrk, connect, path_of
from benchmarks.remote import ContenderError, Remote

_PATIENCE = 10.0  # seconds that an event may take to begin
# Seconds between two events: the end of one is a commit, too, and the next would wait for it.
REST = 0.01


class WrkEvents(Wrk):
    """Events on many connections, one request outstanding on each; `measure` takes seconds."""

    def __init__(self, remote: Remote, connections: int) -> None:
        super().__init__(remote, connections)
        self._command += ["-H", "X-Amz-Invocation-Type: Event"]


class Puts:
    """The same many rows at once; `measure` takes seconds."""

    def __init__(self, remote: Remote, connections: int) -> None:
        self._remote = remote
        self._connections = connections

    def measure(self, count: int) -> Batch:
        told = self._remote.ask("puts", seconds=count, in_flight=self._connections)
        quantiles = {50: told["p50"], 99: told["p99"]}
        return Batch(told["count"], told["elapsed"], quantiles=quantiles)

    def close(self) -> None:
        return None


class EventStarts:
    """From before a request is sent until its handler has begun, by a clock that both share."""

    def __init__(self, remote: Remote) -> None:
        self._port = remote.port
        self._stamps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stamps.bind(("127.0.0.1", 0))
        self._stamps.settimeout(_PATIENCE)
        body = json.dumps({"port": self._stamps.getsockname()[1]}).encode()
        self._request = (
            f"POST {path_of('stamp')} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"X-Amz-Invocation-Type: Event\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def measure(self, count: int) -> Batch:
        latencies = []
        clock = time.monotonic_ns
        started = clock()
        with connect(self._port) as connection:
            for _ in range(count):
                before = clock()
                connection.sendall(self._request)
                _demand_accepted(connection)
                latencies.append(int(self._stamps.recv(64)) - before)
                time.sleep(REST)
        return Batch(count, (clock() - started) / 1e9, latencies)

    def close(self) -> None:
        self._stamps.close()


class BareStarts:
    """From before a row is put until another process has heard that it is durable."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        told = self._remote.ask("starts", count=count, rest=REST)
        return Batch(count, told["elapsed"], told["latencies"])

    def close(self) -> None:
        return None


def _demand_accepted(connection: socket.socket) -> None:
    data = b""
    while not data.endswith(b"\r\n\r\n"):  # the body is empty
        more = connection.recv(65536)
        if not more:
            raise ContenderError(f"the connection closed after {data!r}")
        data += more
    if not data.startswith(b"HTTP/1.1 202"):
        raise ContenderError(f"not accepted: {data!r}")
