"""What is done with each of many, some at a time, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import click

from samovar.doors.cli.events.asking import Refusal
from samovar.doors.cli.progress import progress_bar
from samovar.doors.cli.screen import console, say

_AT_ONCE = 8


def do_each(ids: Sequence[str], act: Callable[[str], object], done: str, *, as_json: bool) -> None:
    """Do it with each, some at a time, and say what came of it; ends with REFUSED if one failed.

    Raises what `act` does, after it has said how far it came.
    """
    failed: dict[str, Refusal] = {}
    went: set[str] = set()
    screen = console(stderr=True)
    progress = progress_bar(screen)

    def one(item_id: str) -> None:
        try:
            act(item_id)
        except Refusal as refusal:
            failed[item_id] = refusal
        else:
            went.add(item_id)

    try:
        with progress, ThreadPoolExecutor(_AT_ONCE) as threads:
            step = progress.add_task(done, total=len(ids))
            try:
                for _ in threads.map(one, ids):
                    progress.advance(step)
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
    except BaseException as error:  # the engine is gone, or Ctrl-C
        left = len(ids) - len(went) - len(failed)
        if as_json:
            _print(done, ids, went, failed, f"not known: {error or type(error).__name__}")
        say(f"{done}: {len(went):,}; not: {len(failed):,}; not known of {left:,}")
        raise
    if as_json:
        _print(done, ids, went, failed)
    if failed:
        _end(failed, len(went), done)
    say(f"{done}: {len(ids):,}" if ids else "nothing is dead there")


def _print(
    done: str,
    ids: Sequence[str],
    went: Collection[str],
    failed: Mapping[str, Refusal],
    otherwise: str = "",
) -> None:
    messages = {
        item_id: failed[item_id].message if item_id in failed else otherwise
        for item_id in ids
        if item_id not in went
    }
    document = {done: [item_id for item_id in ids if item_id in went], "failed": messages}
    click.echo(json.dumps(document, indent=2))


def _end(failed: Mapping[str, Refusal], went: int, done: str) -> NoReturn:
    (first, *others) = failed.values()
    for refusal in others:
        say(f"{refusal.code}: {refusal.message}")
    say(f"{done}: {went:,}; not: {len(failed):,}")
    raise first.as_failure()
