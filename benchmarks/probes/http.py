"""HTTP loads: one connection by hand, many at once by wrk, a burst of many requests."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.event import EVENT_BYTES
from benchmarks.measures import Batch
from benchmarks.remote import ContenderError, Remote, UnavailableError

_SCRIPT = Path(__file__).with_name("wrk.lua")


def path_of(function: str) -> str:
    """Where a function is invoked. The other contenders take any path, so all get this one."""
    return f"/2015-03-31/functions/{function}/invocations"


def request_bytes(function: str, body: bytes = EVENT_BYTES) -> bytes:
    """A whole invoke request."""
    return (
        f"POST {path_of(function)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_reply(connection: socket.socket) -> bytes:
    """The body of one reply; raises ContenderError unless it is a whole 200 without error."""
    data = b""
    end = -1
    length = 0
    while end < 0 or len(data) < end + length:
        more = connection.recv(65536)
        if not more:
            raise ContenderError(f"the connection closed after {data!r}")
        data += more
        if end < 0 and (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            end += 4
            if not head.startswith(b"http/1.1 200") or b"x-amz-function-error" in head:
                raise ContenderError(f"not a success: {data[:2000]!r}")
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return data[end:]


def check(port: int, function: str) -> None:
    """One request whose answer is looked at: a contender must really run the handler."""
    with connect(port) as connection:
        connection.sendall(request_bytes(function))
        body = read_reply(connection)
    if json.loads(body) != json.loads(EVENT_BYTES):
        raise ContenderError(f"the no-op answered {body!r}, not its event")


class OneConnection:
    """Requests one after the other over one kept connection, from a client of two system calls.

    A batch has a connection of its own, because some contenders close those that wait for their
    turn; the first request on it is not measured.
    """

    def __init__(self, remote: Remote, function: str = "noop") -> None:
        check(remote.port, function)
        self._port = remote.port
        self._request = request_bytes(function)

    def measure(self, count: int) -> Batch:
        latencies = []
        request, clock = self._request, time.perf_counter_ns
        with connect(self._port) as connection:
            connection.sendall(request)
            read_reply(connection)
            started = clock()
            for _ in range(count):
                before = clock()
                connection.sendall(request)
                read_reply(connection)
                latencies.append(clock() - before)
            return Batch(count, (clock() - started) / 1e9, latencies)

    def close(self) -> None:
        return None


class Wrk:
    """Many connections, one request outstanding on each; `measure` takes seconds."""

    def __init__(self, remote: Remote, connections: int, function: str = "noop") -> None:
        wrk = shutil.which("wrk")
        if wrk is None:
            raise UnavailableError("wrk is not installed: apt-get install wrk")
        check(remote.port, function)
        self._body = Path(tempfile.mkdtemp(prefix="wrk-")) / "event.json"
        self._body.write_bytes(EVENT_BYTES)
        self._url = f"http://127.0.0.1:{remote.port}{path_of(function)}"
        self._command = [wrk, "-t1", f"-c{connections}", "-s", str(_SCRIPT)]

    def measure(self, count: int) -> Batch:
        command = [*self._command, f"-d{count}s", self._url, "--", str(self._body)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(ran.stdout.rpartition("RESULT ")[2])
        if result["errors"]:
            raise ContenderError(f"{result['errors']} of {result['requests']} requests failed")
        return Batch(
            count=result["requests"],
            elapsed=result["elapsed"],
            quantiles={50: result["p50"], 99: result["p99"]},
        )

    def close(self) -> None:
        shutil.rmtree(self._body.parent)
