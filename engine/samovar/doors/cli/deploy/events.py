"""What `--retries`, `--max-event-age`, `--on-success`, `--on-failure` and `--dead-letter` ask for:
what becomes of events that are accepted for a function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from samovar.doors.cli.screen import say
from samovar.model.event import MAX_EVENT_AGE
from samovar.model.function import LATEST
from samovar.model.target import Service, Target

Command = TypeVar("Command", bound=Callable[..., Any])
Callback = Callable[[click.Context, click.Parameter, str | None], str | None]

_RETRIES, _AGE, _DESTINATIONS = (
    "MaximumRetryAttempts",
    "MaximumEventAgeInSeconds",
    "DestinationConfig",
)
# In the order in which they are told; of a success nothing is put into a bucket (AWS).
_NAMES = {
    Service.SQS: "a queue of SQS",
    Service.SNS: "a topic of SNS",
    Service.LAMBDA: "a function",
    Service.EVENTS: "an event bus",
    Service.S3: "a bucket",
}
_FOR_LETTERS = (Service.SQS, Service.SNS)
_FOR_SUCCESS = tuple(service for service in _NAMES if service is not Service.S3)


@dataclass(frozen=True, slots=True)
class EventWishes:
    """None leaves what there is; an empty ARN takes a destination away. The age is seconds."""

    retries: int | None = None
    max_age: int | None = None
    on_success: str | None = None
    on_failure: str | None = None

    def __bool__(self) -> bool:
        return self != EventWishes()

    def changes(self, now: Mapping[str, Any] | None) -> dict[str, Any]:
        """The API's parameters for what is wished and is not so; `now` is the config, None where
        there is none."""
        there = now or {}
        wanted = {_RETRIES: self.retries, _AGE: self.max_age}
        changed: dict[str, Any] = {
            key: value
            for key, value in wanted.items()
            if value is not None and there.get(key) != value
        }
        before = {key: _destination(there, key) for key in ("OnSuccess", "OnFailure")}
        asked = {"OnSuccess": self.on_success, "OnFailure": self.on_failure}
        after = {key: before[key] if arn is None else arn for key, arn in asked.items()}
        if after != before:
            # Both, with what stays as it is: whether AWS merges one into the other is unconfirmed.
            given = {key: arn for key, arn in after.items() if arn or before[key]}
            changed[_DESTINATIONS] = {key: {"Destination": arn} for key, arn in given.items()}
        return changed


@dataclass(frozen=True, slots=True)
class EventConfig:
    """What counts for the events of a qualifier now (the API's document; empty for AWS's defaults),
    and whether that had to be changed."""

    qualifier: str
    config: Mapping[str, Any]
    changed: bool

    def document(self) -> dict[str, Any]:
        """As `--json` has it."""
        shown = {key: self.config.get(key) for key in (_RETRIES, _AGE)}
        destinations = self.config.get(_DESTINATIONS, {"OnSuccess": {}, "OnFailure": {}})
        return {
            "Qualifier": self.qualifier,
            **shown,
            _DESTINATIONS: destinations,
            "Changed": self.changed,
        }


def event_options(command: Command) -> Command:
    """A decorator that gives a command the options; `event_wishes` reads all but `dead_letter`."""
    for option in reversed(
        (
            click.option(
                "--retries",
                type=click.Choice(["0", "1", "2"]),
                help="how often an event is run again that failed; AWS's default is 2",
            ),
            click.option(
                "--max-event-age",
                type=click.IntRange(*MAX_EVENT_AGE),
                metavar="SECONDS",
                help="when an event is too old to be run; AWS's default is 21600",
            ),
            click.option(
                "--on-success",
                metavar="ARN|none",
                callback=_read_target(_FOR_SUCCESS),
                help="where it is told of each event that was run: a queue, topic, bus, function",
            ),
            click.option(
                "--on-failure",
                metavar="ARN|none",
                callback=_read_target(tuple(_NAMES)),
                help="where it is told of each that was given up; a bucket will do, too",
            ),
            click.option(
                "--dead-letter",
                metavar="ARN|none",
                callback=_read_target(_FOR_LETTERS),
                help="a queue or a topic that gets the events themselves that were given up",
            ),
        )
    ):
        command = option(command)
    return command


def event_wishes(
    retries: str | None,
    max_event_age: int | None,
    on_success: str | None,
    on_failure: str | None,
) -> EventWishes:
    """The values of `event_options`."""
    tries = None if retries is None else int(retries)
    return EventWishes(tries, max_event_age, on_success, on_failure)


def _read_target(services: Collection[Service]) -> Callback:
    """A click callback: an ARN of one of `services`, «» for the word none; looked at before
    anything is deployed."""

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
        if text is None or text == "none":
            return None if text is None else ""
        try:
            target = Target.parse(text)
        except ValueError:
            target = None
        if target is None or target.service not in services:
            *first, last = (_NAMES[service] for service in services)
            reason = f"{text!r} is not the ARN of {', '.join(first)} or {last}, nor the word none"
            raise click.BadParameter(reason, context, parameter)
        if target.is_fifo:
            reason = f"{text!r} is FIFO, and takes nothing of an event (neither here nor at AWS)"
            raise click.BadParameter(reason, context, parameter)
        return text

    return read


def have_events(client: Any, name: str, qualifier: str | None, wishes: EventWishes) -> EventConfig:
    """Have it as it is wished for events of an alias, of a version or, with None, of those that say
    neither. Raises what boto3 raises."""
    of = {"FunctionName": name, "Qualifier": qualifier or LATEST}
    try:
        now = client.get_function_event_invoke_config(**of)
    except client.exceptions.ResourceNotFoundException:
        now = None
    changes = wishes.changes(now)
    if not changes:
        return EventConfig(of["Qualifier"], now or {}, changed=False)
    if now is None:
        made = client.put_function_event_invoke_config(**of, **changes)
    else:
        made = client.update_function_event_invoke_config(**of, **changes)
    say(f"events of {name}:{of['Qualifier']} have {', '.join(changes)}")
    return EventConfig(of["Qualifier"], made, changed=True)


def would_have(name: str, bearer: str | None, wishes: EventWishes) -> str:
    """What a dry run says; `bearer` is an alias, or «the version», or None for the function."""
    asked = wishes.changes(None)
    taken = {"on success": wishes.on_success, "on failure": wishes.on_failure}
    words = [*asked, *(f"no destination {key}" for key, arn in taken.items() if arn == "")]
    whose = f"{bearer} of {name}" if bearer else name
    return f"would have events of {whose} have {', '.join(words)}"


def _destination(config: Mapping[str, Any], key: str) -> str:
    shown = (config.get(_DESTINATIONS) or {}).get(key) or {}
    return str(shown.get("Destination") or "")
