"""The demo's calls: create the function, then invoke it cold, warm and several times at once."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.headers import read_details

FUNCTION = "samovar-demo-thumbnail"  # nobody's own function is called that
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/demo"
WARM = 20
AT_ONCE = 8
SIZES = (512, 256, 128, 64)


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation as its caller saw it.

    `round` is `cold`, `warm` or `at once`; `start` is what the engine said of the context;
    `phases` are the engine's milliseconds; `total` is the milliseconds of the boto3 call.
    """

    round: str
    context: str
    start: str
    phases: Mapping[str, float]
    total: float


def deploy(client: Any, package: bytes) -> None:
    """Create the function and wait until it can be invoked; an earlier demo's is replaced."""
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_function(FunctionName=FUNCTION)
    client.create_function(
        FunctionName=FUNCTION,
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="handler.handler",
        Code={"ZipFile": package},
        MemorySize=512,
        Timeout=30,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=FUNCTION)


def invoke_all(
    client: Any, picture: bytes, advance: Callable[[], None]
) -> tuple[list[Call], list[dict[str, Any]]]:
    """All rounds; the calls, and the first call's thumbnails. `advance` is called after each."""
    event = json.dumps({"picture": base64.b64encode(picture).decode(), "sizes": SIZES}).encode()

    def call(name: str) -> tuple[Call, dict[str, Any]]:
        started = time.perf_counter()
        reply = client.invoke(FunctionName=FUNCTION, Payload=event)
        document = json.loads(reply["Payload"].read())
        total = (time.perf_counter() - started) * 1000
        advance()
        if "FunctionError" in reply:
            raise Failure(Exit.FUNCTION_ERROR, f"the function failed: {json.dumps(document)}")
        details = read_details(reply)
        return Call(name, details.context, details.start, details.phases, total), document

    first, document = call("cold")
    calls = [first, *(call("warm")[0] for _ in range(WARM))]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        calls += [made for made, _ in threads.map(call, ["at once"] * AT_ONCE)]
    return calls, document["thumbnails"]


def write_thumbnails(thumbnails: list[dict[str, Any]], directory: Path) -> list[Path]:
    """The thumbnails as files in `directory`, largest first."""
    paths = []
    for item in thumbnails:
        path = directory / Path(item["path"]).name
        path.write_bytes(base64.b64decode(item["data"]))
        paths.append(path)
    return paths
