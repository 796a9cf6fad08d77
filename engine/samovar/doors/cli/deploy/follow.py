"""`samovar deploy --watch`, once it is deployed: a line for each reload."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from samovar.doors.cli import pages
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.screen import say
from samovar.logs.platform_lines import iso

_SHORT = 12  # characters of a CodeSha256: enough to tell two apart, and to be found in --json


@dataclass(frozen=True, slots=True)
class Code:
    """What a function runs, as its configuration tells it: the CodeSha256, and why newer code is
    not taken in, «» if it is."""

    sha256: str
    fault: str = ""

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Code | None:
        """None while an update is in progress: then nobody can tell yet."""
        if configuration.get("LastUpdateStatus") == "InProgress":
            return None
        failed = configuration.get("LastUpdateStatus") == "Failed"
        reason = configuration.get("LastUpdateStatusReason") or "the last update failed"
        return cls(configuration["CodeSha256"], reason if failed else "")


def follow(client: Any, directory: Path, now: Mapping[str, Any], *, as_json: bool) -> None:
    """Tell the reloads of the function whose configuration is `now`, until Ctrl-C.

    Raises Failure once there are none any more: it is deleted, or runs other code; and what boto3
    raises where the engine is gone.
    """
    name = now["FunctionName"]
    say(f"{name} runs what is saved in {directory} from now on; Ctrl-C ends the watching")
    try:
        for configuration, code in _reloads(client, directory, now):
            click.echo(_as_json(configuration, code) if as_json else _as_text(configuration, code))
    except KeyboardInterrupt:
        say(
            f"watching has ended; {name} goes on running what is saved in {directory}, until it is "
            "deployed without --watch or deleted"
        )


def _reloads(
    client: Any, directory: Path, now: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Code]]:
    arn, told = now["FunctionArn"], Code.of(now)
    # As the engine calls it, asked for by a revision that no function has.
    followed = pages.await_change(client, arn, "none")
    while True:
        place = pages.await_change(client, arn, now["RevisionId"])
        # Read after the page has answered: what is shown by now is what counts.
        now = client.get_function_configuration(FunctionName=arn)
        if place is None or place != followed:
            raise Failure(
                Exit.REFUSED,
                f"{now['FunctionName']} runs other code now, deployed by somebody else: it does "
                f"not follow {directory} any more",
            )
        code = Code.of(now)
        if code is not None and code != told:
            told = code
            yield now, code


def _as_text(configuration: Mapping[str, Any], code: Code) -> str:
    clock = datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-3]
    if code.fault:
        return f"{clock} {configuration['FunctionName']} is not reloaded: {code.fault}"
    return f"{clock} {configuration['FunctionName']} runs {code.sha256[:_SHORT]}"


def _as_json(configuration: Mapping[str, Any], code: Code) -> str:
    shown = ("FunctionName", "FunctionArn", "CodeSha256", "CodeSize", "RevisionId")
    document = {"Time": iso(time.time()), **{name: configuration[name] for name in shown}}
    status = "Failed" if code.fault else "Successful"
    return json.dumps(
        {**document, "LastUpdateStatus": status, "LastUpdateStatusReason": code.fault or None}
    )
