"""Google's functions-framework for Python, as its container runs it: under gunicorn."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.python import peer_python
from benchmarks.remote import UnavailableError
from benchmarks.subject import BlockingSubject

_SOURCE = """\
import json
from handlers import noop

def main(request):
    return json.dumps(noop(request.get_json())), 200, {"content-type": "application/json"}
"""
_START_SECONDS = 30.0


class FunctionsFramework(BlockingSubject):
    """One gunicorn worker with its default of threads, which is what the framework chooses."""

    def __init__(self) -> None:
        python = peer_python("functions_framework", "functions-framework")
        handlers = Path(__file__).resolve().parent.parent / "functions" / "handlers.py"
        self._directory = tempfile.TemporaryDirectory(prefix="functions-framework-")
        source = Path(self._directory.name)
        (source / "main.py").write_text(_SOURCE)
        (source / "handlers.py").write_text(handlers.read_text())
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [
                *(python, "-m", "functions_framework", "--target", "main"),
                *("--source", str(source / "main.py")),
                *("--host", "127.0.0.1", "--port", str(self._port)),
            ],
            cwd=source,
            env=os.environ | {"PYTHONPATH": str(source)},
        )

    def start(self) -> dict[str, Any]:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                return {"port": self._port, "pid": self._process.pid, "whole": True}
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise UnavailableError(f"functions-framework did not listen within {_START_SECONDS:g} s")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._directory.cleanup()
