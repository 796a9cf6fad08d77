"""What `--publish` and `--alias` do, once the function is as it is wished to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from samovar.doors.cli.deploy.carry_out import settle
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
    """The version that there is now, and the ARN that it was asked to be called by: its own, or
    that of the alias."""

    version: str
    arn: str


def publish(client: Any, name: str, alias: str | None) -> Publication:
    """Publish the function, wait until the version is Active, and have `alias` stand for it.

    Raises Failure when the version can't become active, and what boto3 raises.
    """
    made = client.publish_version(FunctionName=name)
    version: str = made["Version"]
    settle(client, name, "published_version_active", version)
    say(f"{name} is published as version {version}")
    if alias is None:
        return Publication(version, made["FunctionArn"])
    where = {"FunctionName": name, "Name": alias, "FunctionVersion": version}
    try:
        # Without weights: all of what is invoked by the alias is to run this version.
        moved = client.update_alias(**where, RoutingConfig={})
    except client.exceptions.ResourceNotFoundException:
        moved = client.create_alias(**where)
    say(f"{name}:{alias} stands for version {version}")
    return Publication(version, moved["AliasArn"])
