"""`samovar demo`: start an engine, deploy a function, and show what becomes of an upload to S3."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import uvloop

from samovar.doors.cli.demo import calls, story, tables
from samovar.doors.cli.demo.neighbours import moto
from samovar.doors.cli.demo.package import CALLS, PICTURE, STORY, build_package, example_directory
from samovar.doors.cli.demo.told import Teller
from samovar.doors.cli.exits import Exit, Failure, failures
from samovar.doors.cli.options import read_settings, setting_flags
from samovar.doors.cli.progress import progress_bar
from samovar.doors.cli.remote import lambda_client
from samovar.doors.cli.screen import console, say
from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.settings import Settings

_CALLS = 1 + calls.WARM + calls.AT_ONCE + len(calls.First)
# AWS's waits of one and two minutes are 1.2 and 2.4 s then.
_TIME_SCALE = "0.02"
_POISON = b"This says that it is a picture, and it is none.\n"
Run = Callable[[str, threading.Event], None]


@click.command(
    short_help="See a function work on an upload to S3.",
    epilog="""\b
Examples:
  samovar demo
  samovar demo --time-scale 1               # with AWS's waits: three minutes
  samovar demo --output /tmp/thumbnails --json
  samovar demo --calls                      # cold and warm, measured

It starts an engine of its own on a free port of the loopback interface, with a data directory that
is gone afterwards (unless --data-dir names one), and moto's server as S3, DynamoDB and SQS beside
it. It deploys examples/thumbnail-events with Pillow inside, uploads a picture and sends the event
of that as S3 does; then a file that is no picture, whose event is tried three times and ends in the
dead-letter queue.

--calls needs no neighbours: it deploys examples/thumbnail and invokes it once cold, 20 times warm
and 8 times at once; then, once each, versions of it whose context starts on demand, is provisioned,
and is forked from a SnapStart template.""",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("samovar-demo"),
    show_default=True,
    help="directory for the thumbnails",
)
@click.option("--calls", "measure", is_flag=True, help="measure calls, cold and warm")
@click.option("--json", "as_json", is_flag=True, help="print everything as one JSON object")
@setting_flags(
    leave_out={"host", "port", "credentials_file", "allow_unsigned", "aws_endpoint", "endpoints"}
)
def demo(output: Path, measure: bool, as_json: bool, **flags: Any) -> None:
    """Upload a picture to S3, and see a function make a thumbnail of it."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(
            Exit.USAGE, f"{output}: {error.strerror}; name another directory with --output"
        ) from error
    defaults = {"SAMOVAR_TIME_SCALE": _TIME_SCALE}
    with _data_directory(flags) as directory:
        settings = read_settings(flags, defaults, port=0, host="127.0.0.1", data_dir=directory)
        # It serves nobody but itself, and has neighbours of its own.
        settings = replace(settings, credentials_file=None, aws_endpoint="", endpoints={})
        with failures():
            if measure:
                _play(settings, lambda endpoint, _: _measure(endpoint, output, as_json=as_json))
            else:
                _tell(settings, output, as_json=as_json)


@contextmanager
def _data_directory(flags: dict[str, Any]) -> Iterator[Path]:
    given = flags.get("data_dir")
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="samovar-demo-") as directory:
        yield Path(directory)


def _play(settings: Settings, run: Run) -> None:
    """Have an engine, and `run` beside it in a thread, with its endpoint and what stops it."""
    stopping = threading.Event()

    async def play() -> None:
        async with Engine(settings) as engine, serving(engine) as endpoint:
            # boto3 blocks: it runs in a thread, the engine goes on here.
            running = asyncio.ensure_future(asyncio.to_thread(run, endpoint, stopping))
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:  # Ctrl-C: the thread is let out before the engine stops
                stopping.set()
                await asyncio.wait({running})
                running.exception()
                raise

    uvloop.run(play())


def _tell(settings: Settings, output: Path, *, as_json: bool) -> None:
    screen = console(stderr=True)
    status = screen.status("starting moto's server and the engine")
    out = None if as_json else console()
    with moto(settings.account_id) as neighbours, status if screen.is_terminal else nullcontext():
        package = build_package(example_directory(STORY))
        at = neighbours.endpoint()
        settings = replace(settings, aws_endpoint=at)
        teller = Teller(out, settings.time_scale)

        def run(endpoint: str, stopping: threading.Event) -> None:
            with failures(endpoint), story.stage(settings, endpoint, stopping) as stage:

                def doing(text: str) -> None:
                    status.update(text)

                doing("making a bucket, a table and three queues, and creating the function")
                stage.build()
                stage.deploy(package)
                teller.begin(endpoint, at, len(package))
                doing("the picture's event is on its way")
                picture = (example_directory(CALLS) / PICTURE).read_bytes()
                good = stage.upload(story.PICTURE_KEY, picture)
                teller.upload("A picture", story.PICTURE_KEY, good)
                record = stage.message("on-success", good)
                teller.success(record, *stage.thumbnail(record, output))
                doing("what is no picture is tried three times")
                bad = stage.upload(story.POISON_KEY, _POISON)
                teller.upload("What is no picture", story.POISON_KEY, bad)
                for attempt in stage.attempts(bad):
                    teller.attempt(attempt)
                letter = stage.message("dead-letter", bad)
                teller.failure(letter, stage.message("on-failure", bad))
                doing("calling it synchronously")
                teller.calls(stage.calls(good.event))

        _play(settings, run)
        if as_json:
            click.echo(teller.document())


def _measure(endpoint: str, output: Path, *, as_json: bool) -> None:
    example = example_directory(CALLS)
    client = lambda_client(endpoint, connections=calls.AT_ONCE)
    screen = console(stderr=True)
    progress = progress_bar(screen)
    try:
        with failures(endpoint), progress:
            step = progress.add_task("packing Pillow", total=_CALLS)
            package = build_package(example)
            progress.update(step, description="creating the function")
            calls.deploy(client, calls.FUNCTION, package)
            progress.update(step, description="invoking it")
            made = calls.invoke_all(
                client, (example / PICTURE).read_bytes(), lambda: progress.advance(step)
            )
    finally:
        client.close()
    paths = calls.write_thumbnails(made.thumbnails, output)
    for line in made.missing:
        say(f"left out: {line}")
    if as_json:
        click.echo(json.dumps(tables.as_document(made.calls, len(package), paths), indent=2))
        return
    out = console()
    out.print(
        f"[bold]{calls.FUNCTION}[/bold] ({calls.RUNTIME}, {len(package) / 1e6:.1f} MB with Pillow)"
        f" at {endpoint}\n",
        soft_wrap=True,
    )
    tables.show(out, made.calls, paths)
