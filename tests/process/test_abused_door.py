"""What an engine takes of memory and connections while its door is abused, seen from outside."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from tests.api.abuse import SHAPES
from tests.api.house import invocation, request
from tests.process.abused_program import LIMITS
from tests.process.programs import PATIENCE, Program

pytestmark = pytest.mark.usefixtures("prepared")

MEGA = 1_000_000
CROWD = 120  # clients at once, each of which would hold some MB
# With its limits it grows by 20 to 85 MB, however large the crowd is: by what they allow, and what
# the allocator keeps. Without them, or where the refused keep what they sent, by 330 MB and more.
GROWTH = 160 * MEGA


class Victim:
    """The engine's process, and what is asked of it in the usual way."""

    def __init__(self, program: Program, endpoint: str) -> None:
        self.port = int(endpoint.rpartition(":")[2])
        self.asked = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        self._process = psutil.Process(program.pid)
        self.answers()
        self._memory = self._process.memory_info().rss
        self._connections = self.connections()

    def answers(self) -> None:
        assert self.ask("POST", "/2015-03-31/functions/f/invocations", b'"tea"') == b'"tea"'

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self.asked.request(method, path, body)
        reply = self.asked.getresponse()
        content = reply.read()
        assert reply.status == 200, content
        return content

    def holds_out(self) -> None:
        """It answers others, and has not grown beyond its limits."""
        self.answers()
        grown = self._process.memory_info().rss - self._memory
        assert grown < GROWTH, f"{grown / MEGA:.0f} MB"

    def has_recovered(self) -> None:
        """It answers, and every connection is closed."""
        self.holds_out()
        for _ in range(1000):
            self.answers()
            if self.connections() <= self._connections:
                return
        raise AssertionError(f"{self.connections()} connections, of {self._connections}")

    def connections(self) -> int:
        return len(self._process.net_connections("tcp"))

    def connect(self, stack: ExitStack, *, deaf: bool = False) -> socket.socket:
        client = stack.enter_context(socket.socket())
        if deaf:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", self.port))
        return client


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("def handler(event, context):\n    return event\n")
    (code / "ballast").write_bytes(bytes(range(256)) * (5 * MEGA // 256))
    program = ("-m", "tests.process.abused_program", str(tmp_path / "data"), str(code))
    with Program(*program) as running:
        it = Victim(running, running.line())
        try:
            yield it
        finally:
            it.asked.close()
            running.end()


def send(client: socket.socket, data: bytes) -> None:
    """As much of `data` as the engine takes before it hangs up."""
    try:
        client.sendall(data)
    except ConnectionError:
        pass


def refused(clients: list[socket.socket], wanted: int) -> int:
    """Wait until `wanted` of the clients have a 503; how many have one."""
    found = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while found < wanted:
            ready = selector.select(PATIENCE)
            assert ready, f"{found} of {wanted} were refused"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                try:
                    answer = key.fileobj.recv(4096)
                except ConnectionError:
                    answer = b"HTTP/1.1 503 "  # in the middle of what it was still sending
                assert answer.startswith(b"HTTP/1.1 503 "), answer
                found += 1
    return found


HALVES = (
    invocation("f", b"x" * (3 * MEGA))[:-1],
    request("POST", "/2015-03-31/functions", b"x" * (3 * MEGA))[:-1],
    request("GET", "/healthz")[:-2] + b"X: " + b"x" * 900_000,
)


def test_a_crowd_that_never_finishes_its_requests(victim: Victim) -> None:
    for half in HALVES:
        fit = LIMITS.incoming_bytes // len(half) + 1
        with ExitStack() as stack:
            crowd = [victim.connect(stack) for _ in range(CROWD)]
            for client in crowd:
                send(client, half)
            refused(crowd, CROWD - fit)
            victim.holds_out()
        victim.has_recovered()


def test_a_crowd_that_never_reads(victim: Victim) -> None:
    large = invocation("f", b'"' + b"x" * (5 * MEGA) + b'"')
    with ExitStack() as stack:
        for _ in range(CROWD // 4):
            send(victim.connect(stack, deaf=True), large)
            victim.holds_out()
        location = json.loads(victim.ask("GET", "/2015-03-31/functions/f"))["Code"]["Location"]
        path = "/" + location.split("/", 3)[3]
        assert len(victim.ask("GET", path)) > 5 * MEGA
        for _ in range(CROWD):
            send(victim.connect(stack, deaf=True), request("GET", path) * 20)
            victim.holds_out()
    victim.has_recovered()


def test_a_crowd_that_talks_nonsense_and_is_too_large(victim: Victim) -> None:
    for _ in range(10):
        with ExitStack() as stack:
            for shape in SHAPES.values():
                send(victim.connect(stack), shape.sent * 10)
            victim.holds_out()
    with ExitStack() as stack:
        crowd = [victim.connect(stack) for _ in range(3 * LIMITS.connections)]
        refused(crowd, 2 * LIMITS.connections)
        victim.holds_out()
    victim.has_recovered()
