"""`samovar demo`: start an engine, deploy the thumbnail function, invoke it, show what came."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from samovar.doors.cli.demo import calls, tables
from samovar.doors.cli.demo.package import PICTURE, build_package, example_directory
from samovar.doors.cli.exits import Exit, Failure, failures
from samovar.doors.cli.options import read_settings, setting_flags
from samovar.doors.cli.remote import lambda_client
from samovar.doors.cli.screen import console, say
from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.settings import Settings

_CALLS = 1 + calls.WARM + calls.AT_ONCE + len(calls.First)


@click.command(
    epilog="""\b
Examples:
  samovar demo
  samovar demo --output /tmp/thumbnails --json

It starts an engine of its own on a free port of the loopback interface, with a data directory that
is gone afterwards (unless --data-dir names one), deploys examples/thumbnail with Pillow inside, and
invokes it once cold, 20 times warm and 8 times at once; then, once each, versions of it whose
context starts on demand, is provisioned, and is forked from a SnapStart template."""
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("samovar-demo"),
    show_default=True,
    help="directory for the thumbnails",
)
@click.option("--json", "as_json", is_flag=True, help="print every call as JSON instead of tables")
@setting_flags(leave_out={"host", "port", "credentials_file", "allow_unsigned"})
def demo(output: Path, as_json: bool, **flags: Any) -> None:
    """Deploy a thumbnail function and invoke it, cold and warm."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(
            Exit.USAGE, f"{output}: {error.strerror}; name another directory with --output"
        ) from error
    with _data_directory(flags) as directory:
        settings = read_settings(flags, port=0, host="127.0.0.1", data_dir=directory)
        settings = replace(settings, credentials_file=None)  # it serves nobody but itself
        with failures():
            uvloop.run(_demo(settings, output, as_json=as_json))


@contextmanager
def _data_directory(flags: dict[str, Any]) -> Iterator[Path]:
    given = flags.get("data_dir")
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="samovar-demo-") as directory:
        yield Path(directory)


async def _demo(settings: Settings, output: Path, *, as_json: bool) -> None:
    async with Engine(settings) as engine, serving(engine) as endpoint:
        # boto3 blocks: it runs in a thread, the engine goes on here.
        await asyncio.to_thread(_run, endpoint, output, as_json=as_json)


def _run(endpoint: str, output: Path, *, as_json: bool) -> None:
    example = example_directory()
    client = lambda_client(endpoint, connections=calls.AT_ONCE)
    screen = console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    try:
        with failures(endpoint), progress:
            step = progress.add_task("packing Pillow", total=_CALLS)
            package = build_package(example)
            progress.update(step, description="creating the function")
            calls.deploy(client, package)
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
