"""Cold loads: a context that does not exist yet, one at a time or many at once."""

from __future__ import annotations

import selectors
import socket
import time

from benchmarks.measures import Batch
from benchmarks.probes.http import check, connect, read_reply, request_bytes
from benchmarks.remote import Remote


class ColdRequests:
    """Each request invokes a function that nobody has invoked: `noop-1`, `noop-2` …

    They were created beforehand from one package, so neither its upload nor its extraction is in
    the figure; `noop-0`'s request, which warms up the door, is not timed.
    """

    def __init__(self, remote: Remote) -> None:
        check(remote.port, "noop-0")
        self._connection = connect(remote.port)
        self._next = 1

    def measure(self, count: int) -> Batch:
        latencies = []
        started = time.perf_counter_ns()
        for _ in range(count):
            request = request_bytes(f"noop-{self._next}")
            self._next += 1
            before = time.perf_counter_ns()
            self._connection.sendall(request)
            read_reply(self._connection)
            latencies.append(time.perf_counter_ns() - before)
        return Batch(count, (time.perf_counter_ns() - started) / 1e9, latencies)

    def close(self) -> None:
        self._connection.close()


class Forks:
    """The floor of `ColdRequests`: a walled fork up to its first byte."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        reply = self._remote.ask("forks", count=count)
        return Batch(count, reply["elapsed"], reply["latencies"])

    def close(self) -> None:
        return None


class Burst:
    """`count` requests at once to a fresh function: seconds from the first to the last reply.

    The connections stand before the clock starts. Afterwards the function is deleted, so that its
    contexts are gone before the next burst.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._number = 0

    def measure(self, count: int) -> Batch:
        function = f"second-{self._number}"
        self._number += 1
        self._remote.ask("create", function=function, handler="one_second")
        request = request_bytes(function)
        connections = [connect(self._remote.port) for _ in range(count)]
        try:
            started = time.perf_counter_ns()
            for connection in connections:
                connection.sendall(request)
            latencies = _collect(connections, started)
        finally:
            for connection in connections:
                connection.close()
        self._remote.ask("delete", function=function)
        return Batch(count, max(latencies) / 1e9, latencies)

    def close(self) -> None:
        return None


def _collect(connections: list[socket.socket], started: int) -> list[int]:
    latencies = []
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                read_reply(key.fileobj)
                latencies.append(time.perf_counter_ns() - started)
                selector.unregister(key.fileobj)
    return latencies


class ForkBurst:
    """The floor of `Burst`: as many walled forks, each of which sleeps for its second."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def measure(self, count: int) -> Batch:
        return Batch(count, self._remote.ask("burst", count=count)["elapsed"])

    def close(self) -> None:
        return None
