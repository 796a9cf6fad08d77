"""What `samovar deploy` says of what it has done, or would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from samovar.doors.cli.deploy.events import EventConfig
from samovar.doors.cli.deploy.live import LiveDirectory
from samovar.doors.cli.deploy.package import Package
from samovar.doors.cli.deploy.plan import Plan, Status
from samovar.doors.cli.deploy.publish import Publication
from samovar.doors.cli.screen import say
from samovar.model.function import SnapStart


@dataclass(frozen=True, slots=True)
class Told:
    """What a deployment came to; `now` is the function's configuration and `reserved` what it has
    reserved, of a dry run what they were before (empty if there was none); `events` is what counts
    for events, None where nobody has asked."""

    plan: Plan
    code: Package | LiveDirectory
    now: Mapping[str, Any]
    reserved: int | None = None
    published: Publication | None = None
    events: EventConfig | None = None
    dry: bool = False


def show(told: Told, *, as_json: bool) -> None:
    """Print the ARN on stdout, or JSON; what was done, or would be, in words on stderr."""
    plan, now = told.plan, told.now
    arn = told.published.arn if told.published else now.get("FunctionArn")
    if as_json:
        made = plan.create or {}
        document = {
            "FunctionName": plan.name,
            "FunctionArn": arn,
            "Status": plan.status.value,
            "Changed": plan.changed(),
            "DryRun": told.dry,
            "Handler": made.get("Handler", plan.configuration.get("Handler", now.get("Handler"))),
            "Runtime": made.get("Runtime", plan.configuration.get("Runtime", now.get("Runtime"))),
            **told.code.facts(now),
            "SnapStart": _snap_start(plan, now),
            "ReservedConcurrentExecutions": told.reserved,
            "DeadLetterConfig": _dead_letter(plan, now),
        }
        if told.published:
            document["Version"] = told.published.version
            if told.published.provisioned is not None:
                document["ProvisionedConcurrency"] = told.published.provisioned.document()
        if told.events is not None:
            document["EventInvokeConfig"] = told.events.document()
        # Of a watch it is the first of many lines.
        click.echo(json.dumps(document, indent=None if isinstance(told.code, LiveDirectory) else 2))
        return
    if told.dry:
        verb = {Status.CREATED: "create", Status.UPDATED: "update", Status.UNCHANGED: "leave"}
        what = f": {', '.join(plan.changed())}" if plan.changed() else ""
        how = f" with the handler {plan.create['Handler']}" if plan.create else ""
        say(f"would {verb[plan.status]} {plan.name}{how}{what}")
        if plan.create and plan.reserve is not None:
            say(f"would reserve {plan.reserve.count} of it")
        return
    say(f"{plan.name} is {plan.status.value}")
    click.echo(arn)


def _snap_start(plan: Plan, now: Mapping[str, Any]) -> str:
    """ApplyOn as it is, or would be."""
    asked = (plan.create or plan.configuration).get("SnapStart", now.get("SnapStart", {}))
    return str(asked.get("ApplyOn", SnapStart.NONE.value))


def _dead_letter(plan: Plan, now: Mapping[str, Any]) -> dict[str, str] | None:
    """As it is, or would be; None for none."""
    asked = (plan.create or plan.configuration).get("DeadLetterConfig", now.get("DeadLetterConfig"))
    return {"TargetArn": asked["TargetArn"]} if asked and asked.get("TargetArn") else None
