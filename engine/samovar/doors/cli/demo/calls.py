"""`samovar demo --calls`: create the function, then invoke it cold, warm and several times at once;
then the first call of a version, by how its context came to be ready."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.headers import read_details
from samovar.model.function import LATEST, SnapStart
from samovar.model.provisioning import ProvisionedStatus

FUNCTION = "samovar-demo-thumbnail"  # nobody's own function is called that
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/demo"
WARM = 20
AT_ONCE = 8
SIZES = (512, 256, 128, 64)
_STEP = 0.02  # seconds between two looks
_LOOKS = 1500


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation as its caller saw it.

    `round` is `cold`, `warm`, `at once` or a First; `start` is what the engine said of the context;
    `phases` are the engine's milliseconds; `total` is the milliseconds of the boto3 call.
    """

    round: str
    context: str
    start: str
    phases: Mapping[str, float]
    total: float


class First(StrEnum):
    """The first call of a version, whose package is unpacked already."""

    ON_DEMAND = "first, on demand"
    PROVISIONED = "first, provisioned"
    SNAP_START = "first, SnapStart"


@dataclass(frozen=True, slots=True)
class Made:
    """All calls, the first one's thumbnails, and why a First is missing, if one is."""

    calls: list[Call]
    thumbnails: list[dict[str, Any]]
    missing: list[str]


def deploy(client: Any, name: str, package: bytes, **more: Any) -> None:
    """Create a function and wait until it can be invoked; an earlier demo's is replaced. `more` are
    the API's parameters."""
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_function(FunctionName=name)
    client.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="handler.handler",
        Code={"ZipFile": package},
        MemorySize=512,
        Timeout=30,
        **more,
    )
    wait_for(client, "function_active_v2", name)


def invoke_all(client: Any, picture: bytes, advance: Callable[[], None]) -> Made:
    """All rounds. `advance` is called after each call."""
    event = json.dumps({"picture": base64.b64encode(picture).decode(), "sizes": SIZES}).encode()

    def call(name: str, qualifier: str = LATEST) -> tuple[Call, dict[str, Any]]:
        made = called(client, name, FUNCTION, event, qualifier)
        advance()
        return made

    first, document = call("cold")
    calls = [first, *(call("warm")[0] for _ in range(WARM))]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        calls += [made for made, _ in threads.map(call, ["at once"] * AT_ONCE)]
    missing = []
    for which, prepare in _FIRST.items():
        try:
            qualifier = prepare(client)
            calls.append(call(which, qualifier)[0])
        except (
            _CanNot,
            ClientError,
            WaiterError,
        ) as error:  # a small machine, or a setting that is given
            missing.append(f"{which}: {error}")
    return Made(calls, document["thumbnails"], missing)


def called(
    client: Any, round_name: str, function: str, event: bytes, qualifier: str = LATEST
) -> tuple[Call, Any]:
    """One invocation, and its result; raises Failure for an error of the function's."""
    started = time.perf_counter()
    reply = client.invoke(FunctionName=function, Qualifier=qualifier, Payload=event)
    document = json.loads(reply["Payload"].read())
    total = (time.perf_counter() - started) * 1000
    if "FunctionError" in reply:
        raise Failure(Exit.FUNCTION_ERROR, f"the function failed: {json.dumps(document)}")
    details = read_details(reply)
    return Call(round_name, details.context, details.start, details.phases, total), document


class _CanNot(Exception):
    """A way to start that can't be had here, and why."""


def _on_demand(client: Any) -> str:
    return str(_published(client)["Version"])


def _provisioned(client: Any) -> str:
    version = str(_published(client)["Version"])  # the same: nothing has changed
    of = {"FunctionName": FUNCTION, "Qualifier": version}
    client.put_provisioned_concurrency_config(**of, ProvisionedConcurrentExecutions=1)
    for _ in range(_LOOKS):
        status = client.get_provisioned_concurrency_config(**of)["Status"]
        if status == ProvisionedStatus.READY:
            return version
        time.sleep(_STEP)
    raise _CanNot(f"it is {status} after {_LOOKS * _STEP:.0f} s")


def _snap_start(client: Any) -> str:
    client.update_function_configuration(
        FunctionName=FUNCTION, SnapStart={"ApplyOn": SnapStart.PUBLISHED_VERSIONS.value}
    )
    wait_for(client, "function_updated_v2", FUNCTION)
    made = _published(client)
    if made["SnapStart"]["OptimizationStatus"] != "On":
        raise _CanNot("this host allows no templates (samovar doctor says why)")
    return str(made["Version"])


_FIRST: Mapping[First, Callable[[Any], str]] = {
    First.ON_DEMAND: _on_demand,
    First.PROVISIONED: _provisioned,
    First.SNAP_START: _snap_start,
}


def _published(client: Any) -> dict[str, Any]:
    version = client.publish_version(FunctionName=FUNCTION)["Version"]
    wait_for(client, "published_version_active", FUNCTION, Qualifier=version)
    found: dict[str, Any] = client.get_function_configuration(
        FunctionName=FUNCTION, Qualifier=version
    )
    return found


def wait_for(client: Any, waiter: str, function: str, **asked: str) -> None:
    """Wait as boto3's waiters do, at the pace of a machine next door."""
    pace = {"Delay": _STEP, "MaxAttempts": _LOOKS}
    client.get_waiter(waiter).wait(FunctionName=function, **asked, WaiterConfig=pace)


def write_thumbnails(thumbnails: list[dict[str, Any]], directory: Path) -> list[Path]:
    """The thumbnails as files in `directory`, largest first."""
    paths = []
    for item in thumbnails:
        path = directory / Path(item["path"]).name
        path.write_bytes(base64.b64decode(item["data"]))
        paths.append(path)
    return paths
