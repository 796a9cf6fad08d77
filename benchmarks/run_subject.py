"""The contender's side of `benchmarks.remote`, started with FD MODULE:CLASS JSON.

A module apart from `benchmarks.subject`, which would exist twice if it were also `__main__`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.remote import UnavailableError
from benchmarks.subject import BlockingSubject, Subject


def _answer(kind: str, value: Any) -> bytes:
    return json.dumps([kind, value]).encode() + b"\n"


def run_blocking(subject: BlockingSubject, control: socket.socket) -> None:
    """Serve commands until the harness closes its end."""
    with control.makefile("rwb") as file:
        try:
            try:
                file.write(_answer("ok", subject.start()))
            except UnavailableError as error:
                file.write(_answer("unavailable", str(error)))
                return
            file.flush()
            for line in file:
                name, arguments = json.loads(line)
                try:
                    reply = _answer("ok", subject.commands()[name](**arguments))
                except Exception:
                    reply = _answer("error", traceback.format_exc())
                file.write(reply)
                file.flush()
        finally:
            subject.stop()


async def run(subject: Subject, control: socket.socket) -> None:
    """Serve commands until the harness closes its end."""
    reader, writer = await asyncio.open_connection(sock=control)
    try:
        try:
            writer.write(_answer("ok", await subject.start()))
        except UnavailableError as error:
            writer.write(_answer("unavailable", str(error)))
            await writer.drain()
            return
        while line := await reader.readline():
            name, arguments = json.loads(line)
            try:
                reply = _answer("ok", await subject.commands()[name](**arguments))
            except Exception:
                reply = _answer("error", traceback.format_exc())
            writer.write(reply)
            await writer.drain()
    finally:
        await subject.stop()
        writer.close()


def main() -> None:
    fd, name, options = sys.argv[1:]
    checkout = Path(__file__).resolve().parent.parent
    # The engine of this checkout is what is measured, whatever else is installed.
    sys.path[:0] = [str(checkout / "engine"), str(checkout / "workers")]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(fd))
    module, _, kind = name.partition(":")
    try:
        subject = getattr(importlib.import_module(module), kind)(**json.loads(options))
    except UnavailableError as error:
        control.sendall(_answer("unavailable", str(error)))
        return
    if isinstance(subject, BlockingSubject):
        run_blocking(subject, control)
    else:
        uvloop.run(run(subject, control))


if __name__ == "__main__":
    main()
