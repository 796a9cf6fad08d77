"""What the options of `samovar sources create` and `update` ask for, in the API's parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from samovar.model.event_source import StartingPosition

Command = TypeVar("Command", bound=Callable[..., Any])

NONE = "none"
_REPORT = "ReportBatchItemFailures"
_POLLERS = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
# Options whose values are a parameter each.
_PLAIN = {
    "batch_size": "BatchSize",
    "window": "MaximumBatchingWindowInSeconds",
    "retries": "MaximumRetryAttempts",
    "record_age": "MaximumRecordAgeInSeconds",
    "bisect": "BisectBatchOnFunctionError",
    "parallelization": "ParallelizationFactor",
    "tumbling_window": "TumblingWindowInSeconds",
    "pollers": "ProvisionedPollerConfig",
    "access": "SourceAccessConfigurations",
}


def _read_filters(
    context: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> list[str] | None:
    """Patterns; none for the word none, None where nothing was said."""
    if not given:
        return None
    if tuple(given) == (NONE,):
        return []
    for text in given:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            reason = f"{text!r} is no JSON object, nor alone the word none"
            raise click.BadParameter(reason, context, parameter)
    return list(given)


def _read_most(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> dict[str, int] | None:
    if text is None or text == NONE:
        return None if text is None else {}
    if not (text.isascii() and text.isdecimal()):
        reason = f"{text!r} is neither a whole number nor the word none"
        raise click.BadParameter(reason, context, parameter)
    return {"MaximumConcurrency": int(text)}


def _read_pollers(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> dict[str, int] | None:
    if text is None or text == NONE:
        return None if text is None else {}
    match = _POLLERS.fullmatch(text)
    if match is None:
        reason = f"{text!r} is neither MIN-MAX, like 1-10, nor the word none"
        raise click.BadParameter(reason, context, parameter)
    return {"MinimumPollers": int(match[1]), "MaximumPollers": int(match[2])}


def _read_access(
    context: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> list[dict[str, str]] | None:
    """What is said of access; nothing for the word none, None where nothing was said."""
    if not given:
        return None
    if tuple(given) == (NONE,):
        return []
    found = []
    for text in given:
        kind, _, uri = text.partition("=")
        if not (kind and uri):
            reason = (
                f"{text!r} is no TYPE=URI, like VPC_SUBNET=subnet:none or BASIC_AUTH=SECRET_ARN, "
                "nor alone the word none"
            )
            raise click.BadParameter(reason, context, parameter)
        found.append({"Type": kind.upper(), "URI": uri})
    return found


def read_position(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> dict[str, Any]:
    """A click callback: the API's two parameters, for a position by its name or a moment."""
    if text is None:
        return {}
    if text.upper() in (StartingPosition.TRIM_HORIZON, StartingPosition.LATEST):
        return {"StartingPosition": text.upper()}
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        reason = (
            f"{text!r} is neither TRIM_HORIZON nor LATEST, nor a moment like 2026-01-31T12:00:00Z"
        )
        raise click.BadParameter(reason, context, parameter) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    position = StartingPosition.AT_TIMESTAMP.value
    return {"StartingPosition": position, "StartingPositionTimestamp": moment}


def setting_options(command: Command) -> Command:
    """A decorator that gives a command the options whose values `wishes` reads."""
    for option in reversed(
        (
            click.option(
                "--batch-size",
                type=click.IntRange(1, 10000),
                metavar="N",
                help="records in a batch, at most; AWS's default is 10 of a queue, else 100",
            ),
            click.option(
                "--window",
                type=click.IntRange(0, 300),
                metavar="SECONDS",
                help="how long a batch may fill; more than 10 messages of a queue need one",
            ),
            click.option(
                "--filter",
                "filters",
                multiple=True,
                metavar="PATTERN|none",
                callback=_read_filters,
                help="what a record must look like (may be given more than once: one must match)",
            ),
            click.option(
                "--report-failures/--no-report-failures",
                default=None,
                help="the function says which records failed (ReportBatchItemFailures)",
            ),
            click.option(
                "--maximum-concurrency",
                metavar="N|none",
                callback=_read_most,
                help="of a queue: batches in the function at once, 2 to 1000",
            ),
            click.option(
                "--retries",
                type=click.IntRange(-1, 10000),
                metavar="N",
                help="of a stream, or a topic with pollers of its own: how often a batch is tried "
                "again; -1 without an end",
            ),
            click.option(
                "--record-age",
                type=click.IntRange(-1, 604800),
                metavar="SECONDS",
                help="of a stream, or a topic with pollers of its own: when a record is given up, "
                "60 and more; -1 never",
            ),
            click.option(
                "--bisect/--no-bisect",
                default=None,
                help="of a stream, or a topic with pollers of its own: a batch that fails is cut "
                "in halves",
            ),
            click.option(
                "--parallelization",
                type=click.IntRange(1, 10),
                metavar="N",
                help="of a stream: batches of one shard at once",
            ),
            click.option(
                "--tumbling-window",
                type=click.IntRange(0, 900),
                metavar="SECONDS",
                help="of a stream: records are gathered over so long; 0 for none",
            ),
            click.option(
                "--on-failure",
                metavar="ARN|none",
                help="of a stream or a topic: a queue, topic or bucket that is told of what was "
                "given up; kafka://TOPIC of the same cluster",
            ),
            click.option(
                "--pollers",
                metavar="MIN-MAX|none",
                callback=_read_pollers,
                help="of a queue or a topic: pollers of its own (provisioned mode)",
            ),
            click.option(
                "--access",
                multiple=True,
                metavar="TYPE=URI|none",
                callback=_read_access,
                help="of a topic: how its servers are reached, like BASIC_AUTH=SECRET_ARN (may be "
                "given more than once)",
            ),
        )
    ):
        command = option(command)
    return command


def wishes(given: Mapping[str, Any]) -> dict[str, Any]:
    """The API's parameters for the values of `setting_options`; what was not given is not there."""
    asked: dict[str, Any] = {
        parameter: given[name] for name, parameter in _PLAIN.items() if given[name] is not None
    }
    if given["filters"] is not None:
        patterns = [{"Pattern": text} for text in given["filters"]]
        asked["FilterCriteria"] = {"Filters": patterns}
    if given["report_failures"] is not None:
        asked["FunctionResponseTypes"] = [_REPORT] if given["report_failures"] else []
    if given["maximum_concurrency"] is not None:
        asked["ScalingConfig"] = given["maximum_concurrency"]
    target = given["on_failure"]
    if target is not None:
        asked["DestinationConfig"] = {
            "OnFailure": {} if target == NONE else {"Destination": target}
        }
    return asked
