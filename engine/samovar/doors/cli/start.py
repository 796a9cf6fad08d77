"""`samovar start`: an engine that serves until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
import uvloop

from samovar.doors.cli.exits import failures
from samovar.doors.cli.options import read_settings, setting_flags
from samovar.doors.cli.report import Report, start_line_json, start_text
from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.settings import PREFIX, Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command(
    epilog="""\b
Examples:
  samovar start
  samovar start --port 9000 --data-dir ./samovar-data
  SAMOVAR_AWS_ENDPOINT=http://127.0.0.1:4567 samovar start
  samovar start --port 0 --json > ready.json
\b
Then, anywhere:
  export AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:4566
  aws lambda list-functions

Ctrl-C or SIGTERM lets running invocations finish; a second one ends everything at once."""
)
@setting_flags()
@click.option("-v", "--verbose", is_flag=True, help="log what the engine does, to stderr")
@click.option("--json", "as_json", is_flag=True, help="say where it listens as one line of JSON")
def start(verbose: bool, as_json: bool, **flags: Any) -> None:
    """Serve the Lambda API until stopped.

    What it says on stdout it says once it is ready: the first line has the endpoint.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if not verbose:  # mappings say once a minute what this says ten times a second
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    settings = read_settings(flags, {f"{PREFIX}LOG_FILES": "on"})
    with failures():
        uvloop.run(serve(settings, start_line_json if as_json else start_text))


async def serve(settings: Settings, notice: Callable[[Settings, str, Report], str]) -> None:
    """Run an engine until a signal; the second signal doesn't wait for it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        if stop.is_set():
            # No Python code runs after this one. What the engine leaves undone then, the kernel
            # does (workers die with it), and the next start's sweep.
            click.echo("samovar: forced to stop", err=True)
            os._exit(128 + number)
        stop.set()
        click.echo("samovar: stopping; once more to force it", err=True)

    for number in SIGNALS:
        loop.add_signal_handler(number, told, number)
    try:
        async with Engine(settings) as engine, serving(engine) as endpoint:
            # Whoever reads along may have gone (`samovar start | head -1`): serve on.
            with suppress(BrokenPipeError):
                click.echo(notice(settings, endpoint, engine.report()))
            await stop.wait()
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
