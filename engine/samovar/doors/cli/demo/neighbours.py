"""The services beside the demo's engine, which moto's server plays in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from select import select

from samovar.doors.cli.exits import Exit, Failure

_PATIENCE = 60.0  # seconds until it is given up; it takes one
_ENDING = 5.0


class Moto:
    """moto's server, being started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def endpoint(self) -> str:
        """Wait until it listens; raises Failure if it does not."""
        out = self._process.stdout
        assert out is not None
        line = out.readline().decode() if select([out], [], [], _PATIENCE)[0] else ""
        if not line.startswith("http"):
            raise Failure(
                Exit.ENGINE,
                "moto's server did not start; samovar demo --calls does without it. To see why: "
                f"{sys.executable} -m moto.server",
            )
        return line.strip()


@contextmanager
def moto(account: str) -> Iterator[Moto]:
    """Start it, for the length of the block; everything in it is gone afterwards.

    Raises Failure where moto is not installed.
    """
    if any(find_spec(name) is None for name in ("moto", "flask", "flask_cors")):
        raise Failure(
            Exit.USAGE,
            "the demo needs moto's server to play S3, DynamoDB and SQS: pip install 'moto[server]',"
            " or python3 run.py demo; samovar demo --calls does without",
        )
    process = subprocess.Popen(
        [sys.executable, "-m", "samovar.doors.cli.demo.moto_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # No Ctrl-C of the terminal's: it is ended when nothing asks it any more.
        start_new_session=True,
        env={**os.environ, "MOTO_ACCOUNT_ID": account},
    )
    try:
        yield Moto(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
