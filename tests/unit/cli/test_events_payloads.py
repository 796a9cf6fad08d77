"""`samovar events`: payloads of all sorts, and an engine that goes away.

The engine's pages are played over real HTTP.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import PATIENCE, Cli, cli_command
from tests.unit.cli.test_events_command import EVENT, NOW

from samovar.doors.cli.events import shown
from samovar.doors.cli.exits import Exit
from samovar.doors.cli.main import main

DEEP = "[" * 1000 + "]" * 1000
HALF = '{"k":"\\ud83d"}'
ODD = [HALF, DEEP, '{"a":1e400,"a":1,"b":1.10}', '{"k":"é"}', "no JSON", ""]


class Pages(BaseHTTPRequestHandler):
    """An event with the payload that `payload` is; redrives what is not called `gone`."""

    payload = ""
    message: str | None = None

    def do_GET(self) -> None:
        event = {**EVENT, "state": "dead", "due": None, "error_message": self.message}
        self._answer(
            {
                "schema": 1,
                "time": NOW,
                "event": {**event, "payload": self.payload},
                "deliveries": [],
            }
        )

    def do_POST(self) -> None:
        if "gone" not in self.path:
            self._answer({**EVENT})

    def _answer(self, document: dict[str, Any]) -> None:
        text = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", f"{len(text)}")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def pages(payload: str = "", message: str | None = None) -> Iterator[str]:
    kind = type("Played", (Pages,), {"payload": payload, "message": message})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def samovar(endpoint: str, *arguments: str) -> Result:
    return CliRunner(env={"AWS_ENDPOINT_URL_LAMBDA": endpoint}).invoke(main, arguments)


@pytest.mark.parametrize("payload", ODD, ids=["half", "deep", "numbers", "accent", "text", "none"])
def test_a_file_gets_a_payload_as_it_is_kept(payload: str) -> None:
    with pages(payload) as endpoint:
        done = samovar(endpoint, "events", "show", "e")
        assert (done.exit_code, done.stdout) == (Exit.DONE, f"{payload}\n")
        everything = samovar(endpoint, "events", "show", "e", "--json")
        assert json.loads(everything.stdout)["event"]["payload"] == payload


def test_half_a_character_in_an_error_is_no_error_of_ours() -> None:
    with pages("{}", "\ud83d é") as endpoint:
        done = samovar(endpoint, "events", "show", "e", "--json")
        assert json.loads(done.stdout)["event"]["error_message"] == "\ud83d é"
        assert samovar(endpoint, "events", "show", "e").exit_code == Exit.DONE


def test_a_pipe_that_takes_ascii_alone_gets_escapes(cli: Cli) -> None:
    with pages('{"k":"é\U0001f600",  "n":1.0}') as endpoint:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": endpoint, "PYTHONIOENCODING": "ascii"}
        done = cli("events", "show", "e", environment=environment)
        assert done.returncode == Exit.DONE, done.stderr
        assert done.stdout == '{"k":"\\u00e9\\ud83d\\ude00",  "n":1.0}\n'


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ('{"k":[1]}', '{\n  "k": [\n    1\n  ]\n}'),
        (HALF, '{\n  "k": "\\ud83d"\n}'),
        (DEEP, DEEP),
        ("tea", "tea"),
    ],
    ids=["usual", "half", "deep", "text"],
)
def test_a_terminal_gets_line_breaks(
    payload: str, text: str, cli_environment: dict[str, str]
) -> None:
    leader, terminal = pty.openpty()
    try:
        with pages(payload) as endpoint:
            done = subprocess.run(
                cli_command("events", "show", "e", "--endpoint-url", endpoint),
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.PIPE,
                check=False,
                env=cli_environment,
                timeout=PATIENCE,
            )
        assert done.returncode == Exit.DONE, done.stderr
        assert os.read(leader, 65536).decode().replace("\r\n", "\n") == f"{text}\n"
    finally:
        os.close(leader)
        os.close(terminal)


def test_what_an_encoding_lacks_is_escaped() -> None:
    assert shown.pretty('{"k":"é"}', "ascii") == '{\n  "k": "\\u00e9"\n}'
    assert shown.pretty('{"k":"é"}', "utf-8") == '{\n  "k": "é"\n}'


def test_what_was_done_is_told_though_the_engine_goes_away() -> None:
    with pages() as endpoint:
        done = samovar(endpoint, "events", "redrive", "here", "gone", "--json")
    assert done.exit_code == Exit.UNREACHABLE
    told = json.loads(done.stdout)
    assert told["redriven"] == ["here"]
    assert told["failed"]["gone"].startswith("not known: ")
    assert "redriven: 1; not: 0; not known of 1" in done.stderr


def test_deliveries_of_events_that_went_well_can_be_chosen() -> None:
    with pages() as endpoint:
        done = samovar(endpoint, "events", "redrive", "--condition", "Success", "here")
    assert done.exit_code == Exit.USAGE
    assert "not both" in done.stderr  # and not that there is no such condition
