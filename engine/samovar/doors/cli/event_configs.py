"""What becomes of functions' events, as `samovar functions` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from samovar.doors.cli.configs import Configs, qualifier_of
from samovar.model.function import LATEST
from samovar.model.target import Target

EVENTS = "EventInvokeConfigs"


def listed(client: Any, name: str) -> Configs:
    """All configs of a function, in the API's words; times in UTC, as text."""
    pages = client.get_paginator("list_function_event_invoke_configs").paginate(FunctionName=name)
    return [
        {**config, "LastModified": config["LastModified"].astimezone(UTC).isoformat()}
        for page in pages
        for config in page["FunctionEventInvokeConfigs"]
    ]


def events_text(configs: Sequence[Mapping[str, Any]]) -> str:
    """By qualifier what was said of its events: `live: 1 retry, failures to sqs:late`; those that
    name none have no name here either."""
    return "; ".join(_config_text(config) for config in configs) or "-"


def dead_letter_text(item: Mapping[str, Any]) -> str:
    """Where a function's dead letters go."""
    arn = (item.get("DeadLetterConfig") or {}).get("TargetArn")
    return target_text(arn) if arn else "-"


def target_text(arn: str) -> str:
    """An ARN for a person: `sqs:late`, `lambda:tidy:live`."""
    try:
        target = Target.parse(arn)
    except ValueError:  # of another engine's making
        return arn
    qualifier = f":{target.qualifier}" if target.qualifier else ""
    return f"{target.service}:{target.name}{qualifier}"


def _config_text(config: Mapping[str, Any]) -> str:
    retries = config.get("MaximumRetryAttempts")
    age = config.get("MaximumEventAgeInSeconds")
    words = []
    if retries is not None:
        words.append("1 retry" if retries == 1 else f"{retries} retries")
    if age is not None:
        words.append(f"{age} s")
    for key, what in (("OnSuccess", "successes"), ("OnFailure", "failures")):
        arn = (config.get("DestinationConfig") or {}).get(key, {}).get("Destination")
        if arn:
            words.append(f"{what} to {target_text(arn)}")
    qualifier = qualifier_of(config)
    return f"{'' if qualifier == LATEST else qualifier + ': '}{', '.join(words) or 'defaults'}"
