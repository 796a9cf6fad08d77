"""The engine's own pages, asked for at a place that has none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from samovar.doors.cli import pages
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import lambda_client


class Stranger(BaseHTTPRequestHandler):
    """Another emulator: it answers `reply`, and remembers what was asked."""

    reply = b"<html>not found</html>"
    get_status = 404
    asked: list[tuple[str, str, str]] = []  # noqa: RUF012 - one per test, see below

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        self.send_response(self.get_status if self.command == "GET" else 404)
        self.send_header("Content-Length", str(len(self.reply)))
        self.end_headers()
        self.wfile.write(self.reply)

    do_POST = do_GET  # noqa: N815 - the server's own spelling

    def log_message(self, *_: object) -> None:
        """Nothing to stderr."""


@pytest.fixture
def stranger() -> Iterator[tuple[Any, type[Stranger]]]:
    handler = type("Own", (Stranger,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = lambda_client(f"http://127.0.0.1:{server.server_port}")
    try:
        yield client, handler
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("reply", [b"<html>", b"[]", b'{"message": "who?"}'])
def test_a_stranger_has_no_contexts_and_drops_none(
    stranger: tuple[Any, type[Stranger]], reply: bytes
) -> None:
    client, handler = stranger
    handler.reply = reply
    assert pages.contexts(client) is None
    with pytest.raises(Failure) as raised:
        pages.drop_idle(client, "f:1")
    assert raised.value.exit_code == Exit.REFUSED
    expected = "who?" if b"who" in reply else "it is no Samovar"
    assert expected in raised.value.message
    assert [(method, path) for method, path, _ in handler.asked] == [
        ("GET", "/_samovar/contexts"),
        ("POST", "/_samovar/functions/f%3A1/drop-idle"),
    ]
    # An engine that knows keys is to know who asks.
    assert all("Signature=" in signature for _, _, signature in handler.asked)


def test_a_stranger_tells_of_no_changes(stranger: tuple[Any, type[Stranger]]) -> None:
    client, handler = stranger
    handler.reply, handler.get_status = b"{}", 200  # the function is there
    with pytest.raises(Failure) as raised:
        pages.await_change(client, "f", "a-revision")
    assert raised.value.exit_code == Exit.REFUSED
    assert "does not tell of changes (404): it is no Samovar" in raised.value.message
    assert [(method, path) for method, path, _ in handler.asked] == [
        ("POST", "/_samovar/functions/f/await-change/a-revision"),
        ("GET", "/2015-03-31/functions/f/configuration"),
    ]
