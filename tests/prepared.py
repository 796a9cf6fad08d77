"""Programs of this interpreter that need not import anew what a hundred others have imported.

A command of the CLI spends nine tenths of its time on imports and on botocore's models. Here one
process, started once per test process, does that; programs are forked from it. Each is a process of
its own, with its own arguments, environment, directory and pipes, a child of the test's process
like any other one, and ends as interpreters do. What a fork can't show, how a program begins, is
for the tests that start real ones: whatever `cli_command` of `tests/unit/cli/conftest.py` begins.

    python -m tests.prepared NUMBER    serve at the socket with this number
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import models

CHECKOUT = Path(__file__).resolve().parents[1]
_HEEDED = ("PYTHONPATH", "PYTHONUNBUFFERED")
_LARGEST = 1 << 20  # bytes of a program's arguments and environment

commands: dict[int, str] = {}  # of programs, by pid: the system only knows what all are forked from
_server: socket.socket | None = None
_begun: dict[str, str] = {}  # the environment that it began in


@contextmanager
def serving() -> Iterator[None]:
    """For the time of the block `Prepared` processes can be started. A block within one adds
    nothing."""
    global _server, _begun  # noqa: PLW0603 - one per process, as there is one of pytest's
    if _server is not None:
        yield
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    places = os.pathsep.join(str(CHECKOUT / place) for place in ("engine", "workers", "."))
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.prepared", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": places},
        )
        theirs.close()
        _server, _begun = ours, dict(os.environ)
        try:
            yield
        finally:
            _server = None
            ours.close()  # which ends it
            process.wait()


class Prepared(subprocess.Popen[str]):
    """As `subprocess.Popen` of `python -m MODULE ARGUMENT...` or `python FILE ARGUMENT...`, which
    are given without the interpreter; needs `serving`, and that orphans are adopted (see `leaks`).

    Where `env` has a variable for the beginning of an interpreter, a real one is begun.
    """

    def _execute_child(self, args: Sequence[str], *given: Any) -> None:
        _, _, _, _, cwd, env, _, _, _, *pipes = given[:15]
        stdin, _, _, stdout, _, stderr = pipes
        environment: Mapping[str, str] = os.environ if env is None else env
        if any(
            name.startswith("PYTHON") and name not in _HEEDED and _begun.get(name) != value
            for name, value in environment.items()
        ):
            super()._execute_child([sys.executable, *args], *given)  # type: ignore[misc]
            return
        order = {
            "command": [str(item) for item in args],
            "cwd": os.getcwd() if cwd is None else str(cwd),
            "environment": dict(environment),
        }
        if _server is None:
            raise RuntimeError("nothing is prepared: see tests.prepared.serving")
        inherited = [
            own if pipe == -1 else pipe for own, pipe in enumerate((stdin, stdout, stderr))
        ]
        socket.send_fds(_server, [json.dumps(order).encode()], inherited)
        self.pid = int(_server.recv(64))
        commands[self.pid] = " ".join(map(str, args))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _serve(number: int) -> None:
    """Fork a program for each order until nobody is there to give one; in a program: run it."""
    orders = socket.socket(fileno=number)
    _import_all()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests and what they run
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, _LARGEST, 3)
        if not order:
            return
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            # Its child is an orphan by the time it is heard of, and so the test's.
            pid = os.fork()
            if pid:
                os.write(writing, str(pid).encode())
                os._exit(0)
            for one in (reading, writing, orders.detach()):
                os.close(one)
            _become(json.loads(order), descriptors)
            return
        os.close(writing)
        for one in descriptors:
            os.close(one)
        os.waitpid(between, 0)
        orders.send(os.read(reading, 64))
        os.close(reading)


def _import_all() -> None:
    import boto3

    import samovar.engine  # noqa: F401 - and with it all parts
    from samovar.doors.cli import main

    models.read_once()  # for the sessions of all programs
    for name in main.NAMES:
        main.command(name)
    client = boto3.Session("any", "any", region_name="us-east-1").client("lambda")
    client.get_paginator("list_functions")
    client.close()
    gc.collect()
    gc.freeze()


def _become(order: dict[str, Any], descriptors: list[int]) -> None:
    """Run the program; raises what it raises."""
    for own, descriptor in enumerate(descriptors):
        os.dup2(descriptor, own)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    first, *rest = order["command"]
    if first == "-m":
        name, *arguments = rest
        sys.path[0] = order["cwd"]
        sys.argv = [name, *arguments]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(first).parent)
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
