"""What `--retries`, `--max-event-age`, `--on-success` and `--on-failure` do: the event invoke
config of what is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samovar.doors.cli.screen import say
from samovar.model.function import LATEST

NONE = "none"  # in the place of an ARN: no destination any more


@dataclass(frozen=True, slots=True)
class EventWishes:
    """What the command line asks for; None leaves things as they are, and an empty ARN takes a
    destination away. The age is seconds."""

    retries: int | None = None
    max_event_age: int | None = None
    on_success: str | None = None
    on_failure: str | None = None

    def parameters(self) -> dict[str, Any]:
        """As the API takes them."""
        given: dict[str, Any] = {
            "MaximumRetryAttempts": self.retries,
            "MaximumEventAgeInSeconds": self.max_event_age,
        }
        destinations = {
            key: {"Destination": arn}
            for key, arn in (("OnSuccess", self.on_success), ("OnFailure", self.on_failure))
            if arn is not None
        }
        if destinations:
            given["DestinationConfig"] = destinations
        return {key: value for key, value in given.items() if value is not None}


def read_arn(_: Any, __: Any, value: str | None) -> str | None:
    """A click callback: an ARN, or none."""
    return "" if value == NONE else value


def configure(client: Any, name: str, qualifier: str | None, wishes: EventWishes) -> bool:
    """Have a function, or an alias or version of it, treat its events so; whether that was a
    change. Raises what boto3 raises."""
    wanted = wishes.parameters()
    if not wanted:
        return False
    of = {"FunctionName": name, "Qualifier": qualifier or LATEST}
    try:
        now = client.get_function_event_invoke_config(**of)
    except client.exceptions.ResourceNotFoundException:
        client.put_function_event_invoke_config(**of, **wanted)
    else:
        if not _differs(wanted, now):
            return False
        client.update_function_event_invoke_config(**of, **wanted)
    say(f"{name}:{of['Qualifier']} has its events treated as asked: {', '.join(wanted)}")
    return True


def _differs(wanted: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    destinations = now.get("DestinationConfig", {})
    for key, value in wanted.items():
        if key != "DestinationConfig":
            if now.get(key) != value:
                return True
        elif any(
            destinations.get(which, {}).get("Destination", "") != asked["Destination"]
            for which, asked in value.items()
        ):
            return True
    return False
