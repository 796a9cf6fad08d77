"""The neighbour that keeps code and data: a real moto server in a process of its own (with a few
mends: see `tests.mended_moto`)."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.house import SESSION
from tests.process.programs import environment

PATIENCE = 60.0  # seconds after which it will not come up any more
_STEP = 0.05
_PLACE = re.compile(r"Running on (http://127\.0\.0\.1:[0-9]+)")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A running moto server. Buckets live as long as the session: tests name their own."""

    url: str

    @contextmanager
    def client(self, service: str) -> Iterator[Any]:
        client = SESSION.client(service, endpoint_url=self.url)
        try:
            yield client
        finally:
            client.close()

    def s3(self) -> AbstractContextManager[Any]:
        return self.client("s3")


@contextmanager
def running(directory: Path) -> Iterator[Neighbour]:
    """A server on a port that the system chooses; `directory` gets what it writes."""
    output = directory / "moto.log"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.mended_moto", "-H", "127.0.0.1", "-p", "0"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=directory,
            env=environment(),
        )
    try:
        yield Neighbour(_place(process, output))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _place(process: subprocess.Popen[bytes], output: Path) -> str:
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = _PLACE.search(output.read_text(errors="replace"))
        if found:
            return found[1]
        pause.wait(_STEP)
    raise AssertionError(f"moto does not serve: {output.read_text(errors='replace')}")
