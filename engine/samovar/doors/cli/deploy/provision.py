"""What `--provisioned` does: contexts ahead of need, and waiting until they are there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samovar.doors.cli.deploy.carry_out import NEAR
from samovar.doors.cli.deploy.plan import Amount
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.progress import progress_bar
from samovar.doors.cli.screen import console, say
from samovar.model.provisioning import ProvisionedStatus
from samovar.settings import is_loopback

_FAR = 1.0  # seconds between two looks at AWS
_HINT_AFTER = 10.0  # seconds in which not one context more has become ready
_GIVE_UP_AFTER = 300.0
_REQUESTED = "RequestedProvisionedConcurrentExecutions"
_READY = "AvailableProvisionedConcurrentExecutions"
_NO_ROOM = (
    "there may be no room for more: samovar top shows contexts and memory; --max-contexts and "
    "--memory-reserve of samovar start are the limits"
)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """What is provisioned of an alias or a version now, and whether that had to be changed."""

    qualifier: str
    requested: int
    ready: int
    status: str | None  # None where nothing is provisioned
    changed: bool

    def document(self) -> dict[str, Any]:
        """As `--json` has it."""
        return {
            "Qualifier": self.qualifier,
            _REQUESTED: self.requested,
            _READY: self.ready,
            "Status": self.status,
            "Changed": self.changed,
        }


def provision(client: Any, name: str, qualifier: str, count: int) -> Provisioning:
    """Have `count` contexts of an alias or a version provisioned, and wait until they are ready.

    A config that asks for the same is left alone, unless it has failed: then it is tried again.
    Raises Failure when it fails, or when there is no room for long; and what boto3 raises.
    """
    of = {"FunctionName": name, "Qualifier": qualifier}
    now = _config(client, of)
    changed = now is None or now[_REQUESTED] != count or now["Status"] == ProvisionedStatus.FAILED
    if changed:
        now = client.put_provisioned_concurrency_config(**of, ProvisionedConcurrentExecutions=count)
    assert now is not None
    now = _settled(client, of, now)
    if now["Status"] == ProvisionedStatus.FAILED:
        raise Failure(Exit.REFUSED, _failed(name, qualifier, now))
    say(f"{name}:{qualifier} has {count} provisioned, all of them ready")
    return Provisioning(qualifier, count, now[_READY], now["Status"], changed)


def is_provisioned(client: Any, name: str, qualifier: str) -> bool:
    """Whether an alias or a version has a config; one that isn't there has none."""
    return _config(client, {"FunctionName": name, "Qualifier": qualifier}) is not None


def demand_unprovisioned(client: Any, name: str, alias: str | None, asked: Amount | None) -> None:
    """Raise Failure before anything is changed: the API would say it when the version is published
    already."""
    if asked is not None and asked.count is None:
        return
    if asked is None and not (alias and is_provisioned(client, name, alias)):
        return
    has = "" if asked is not None else f", which {name}:{alias} has"
    raise Failure(
        Exit.USAGE,
        f"SnapStart excludes provisioned concurrency{has}: take one of them (--no-snap-start turns "
        "the one off, --provisioned none the other)",
    )


def take_away(client: Any, name: str, qualifier: str) -> Provisioning:
    """Have nothing provisioned of an alias or a version; one that isn't there has nothing."""
    there = is_provisioned(client, name, qualifier)
    if there:
        client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        say(f"{name}:{qualifier} has nothing provisioned any more")
    return Provisioning(qualifier, 0, 0, None, there)


def _config(client: Any, of: Mapping[str, str]) -> Mapping[str, Any] | None:
    missing = client.exceptions
    try:
        found: Mapping[str, Any] = client.get_provisioned_concurrency_config(**of)
    except (
        missing.ProvisionedConcurrencyConfigNotFoundException,
        missing.ResourceNotFoundException,
    ):
        return None
    return found


def _settled(client: Any, of: Mapping[str, str], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config once it is READY or FAILED; raises Failure where it stands still for too long."""
    pace = NEAR if is_loopback(client.meta.endpoint_url) else _FAR
    reference, count = f"{of['FunctionName']}:{of['Qualifier']}", now[_REQUESTED]
    screen = console(stderr=True)
    progress = progress_bar(screen)
    if not screen.is_terminal and now["Status"] == ProvisionedStatus.IN_PROGRESS:
        say(f"provisioning {reference}: {count} to be initialised")
    ready, since, hinted = now[_READY], time.monotonic(), False
    with progress:
        step = progress.add_task(f"provisioning {reference}", total=count, completed=ready)
        while now["Status"] == ProvisionedStatus.IN_PROGRESS:
            time.sleep(pace)
            now = client.get_provisioned_concurrency_config(**of)
            if now[_READY] != ready:
                ready, since = now[_READY], time.monotonic()
                progress.update(step, completed=ready)
            waited = time.monotonic() - since
            if waited > _GIVE_UP_AFTER:
                raise Failure(
                    Exit.REFUSED,
                    f"{reference} has {ready} of {count} ready, and no more for "
                    f"{_GIVE_UP_AFTER:.0f} s; the engine goes on trying\n{_NO_ROOM}",
                )
            if waited > _HINT_AFTER and not hinted:
                hinted = True
                progress.console.print(
                    f"{reference}: {ready} of {count} are ready; {_NO_ROOM}", soft_wrap=True
                )
    return now


def _failed(name: str, qualifier: str, config: Mapping[str, Any]) -> str:
    return (
        f"provisioned concurrency of {name}:{qualifier} is FAILED "
        f"({config.get('StatusReason', 'no reason')}): the init failed again and again, with "
        f"{config[_READY]} of {config[_REQUESTED]} ready\n"
        f"Why: samovar logs {name} --since 10m. Put right and deployed once more with "
        "--provisioned it is tried again; --provisioned none gives it up.\n"
        f"{name}:{qualifier} is deployed all the same, and starts on demand."
    )
