"""What `--publish`, `--alias` and `--provisioned` do, once the function is as it is wished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from samovar.doors.cli.deploy.carry_out import settle
from samovar.doors.cli.deploy.plan import Amount
from samovar.doors.cli.deploy.provision import Provisioning, provision, take_away
from samovar.doors.cli.screen import say
from samovar.model import limits
from samovar.model.alias import is_alias_name


def read_alias(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    """The name of an alias: looked at before anything is deployed."""
    if name is not None and not is_alias_name(name):
        raise click.BadParameter(
            f"no alias can be called {name!r}: 1 to {limits.QUALIFIER_LENGTH} letters, digits, "
            "- and _, and not digits alone, which are versions"
        )
    return name


@dataclass(frozen=True, slots=True)
class Publication:
    """The version that there is now, the ARN that it was asked to be called by: its own, or that of
    the alias; and what is provisioned of it, None where nobody has asked."""

    version: str
    arn: str
    provisioned: Provisioning | None = None


def publish(client: Any, name: str, alias: str | None, amount: Amount | None) -> Publication:
    """Publish the function, wait until the version is Active, and have `alias` stand for it; then
    wait until `amount` contexts of the one or the other are provisioned.

    Raises Failure when the version can't become active or the contexts can't be had, and what boto3
    raises.
    """
    gone = None
    if alias is not None and amount is not None and amount.count is None:
        # Before it is moved: to a version with SnapStart it could not be with its config.
        gone = take_away(client, name, alias)
    made = client.publish_version(FunctionName=name)
    version: str = made["Version"]
    settle(client, name, "published_version_active", version)
    say(f"{name} is published as version {version}")
    arn = made["FunctionArn"] if alias is None else _move(client, name, alias, version)
    if amount is None or gone is not None:
        return Publication(version, arn, gone)
    if amount.count is None:
        return Publication(version, arn, take_away(client, name, version))
    return Publication(version, arn, provision(client, name, alias or version, amount.count))


def would_publish(alias: str | None, provisioned: Amount | None) -> str:
    """What a dry run says."""
    steps = ["would publish it"]
    if alias:
        steps.append(f"have {alias} stand for the version")
    if provisioned is not None:
        count = provisioned.count
        what = "nothing" if count is None else "1 context" if count == 1 else f"{count} contexts"
        steps.append(f"have {what} provisioned")
    return steps[0] if len(steps) == 1 else f"{', '.join(steps[:-1])} and {steps[-1]}"


def _move(client: Any, name: str, alias: str, version: str) -> str:
    """Have `alias` stand for the version alone; its ARN."""
    where = {"FunctionName": name, "Name": alias, "FunctionVersion": version}
    try:
        # Without weights: all of what is invoked by the alias is to run this version.
        moved = client.update_alias(**where, RoutingConfig={})
    except client.exceptions.ResourceNotFoundException:
        moved = client.create_alias(**where)
    say(f"{name}:{alias} stands for version {version}")
    return str(moved["AliasArn"])
