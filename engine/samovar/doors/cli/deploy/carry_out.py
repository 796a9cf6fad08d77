"""A plan, carried out through the Lambda API; each step waits until it is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import WaiterError

from samovar.doors.cli.deploy.plan import Plan
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.screen import say
from samovar.settings import is_loopback

# An engine on this machine is ready in less than the second that boto3 waits between two looks,
# and minds being asked less than AWS does.
NEAR = 0.05  # seconds between two looks
_PACE = {"Delay": NEAR, "MaxAttempts": 6000}


@dataclass(frozen=True, slots=True)
class Existing:
    """A function as it is now: its configuration and its tags, as the API gives them, and what it
    has reserved; None for nothing."""

    configuration: Mapping[str, Any]
    tags: Mapping[str, str]
    reserved: int | None = None


def find(client: Any, name: str) -> Existing | None:
    """The function of that name, once no change of it is in progress; None if there is none."""
    try:
        reply = client.get_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    configuration = reply["Configuration"]
    if configuration.get("State") == "Pending" or (
        configuration.get("LastUpdateStatus") == "InProgress"
    ):
        say(f"{name} is being changed; waiting for that")
        settle(client, name, "function_active_v2")
        settle(client, name, "function_updated_v2")
        configuration = client.get_function_configuration(FunctionName=name)
    reserved = (reply.get("Concurrency") or {}).get("ReservedConcurrentExecutions")
    return Existing(configuration, reply.get("Tags") or {}, reserved)


def carry_out(client: Any, plan: Plan, code: Mapping[str, Any]) -> Mapping[str, Any]:
    """Create or change the function and wait; its configuration afterwards. `code`: the API's
    parameters for it.

    Raises Failure when the function can't become active, and what boto3 raises.
    """
    name = plan.name
    if plan.create is not None:
        say(f"creating {name}")
        client.create_function(FunctionName=name, Code=code, **plan.create)
        settle(client, name, "function_active_v2")
    if plan.configuration:
        say(f"updating {name}: {', '.join(plan.configuration)}")
        client.update_function_configuration(FunctionName=name, **plan.configuration)
        settle(client, name, "function_updated_v2")
    if plan.code:
        say(f"updating {name}: Code")
        client.update_function_code(FunctionName=name, **code)
        settle(client, name, "function_updated_v2")
    if plan.reserve is not None:
        _reserve(client, name, plan.reserve.count)
    now: Mapping[str, Any] = client.get_function_configuration(FunctionName=name)
    if plan.tags:
        client.tag_resource(Resource=now["FunctionArn"], Tags=dict(plan.tags))
    return now


def _reserve(client: Any, name: str, count: int | None) -> None:
    if count is None:
        client.delete_function_concurrency(FunctionName=name)
        say(f"{name} has no reserved concurrency any more")
        return
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=count)
    off = ": it is off, and nothing of it is run" if count == 0 else ""
    say(f"{name} has {count} reserved{off}")


def settle(client: Any, name: str, waiter: str, version: str | None = None) -> None:
    """Wait until a function, or one of its published versions, is what boto3's `waiter` waits for;
    raises Failure when it can't be."""
    asked = {"FunctionName": name} | ({"Qualifier": version} if version else {})
    pace = _PACE if is_loopback(client.meta.endpoint_url) else {}
    try:
        client.get_waiter(waiter).wait(**asked, WaiterConfig=pace)
    except WaiterError as error:
        now = client.get_function_configuration(**asked)
        reason = now.get("LastUpdateStatusReason") or now.get("StateReason") or str(error)
        raise Failure(Exit.REFUSED, f"{name} did not become ready: {reason}") from error
