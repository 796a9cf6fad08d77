"""What the tests' stand-in for invocation answers, the real engine answers too."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, ROLE, SESSION, House, house, package

from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.settings import Settings

RUNTIME = f"python3.{sys.version_info.minor}"
# Echoes, in the stand-in's words, what the handler was told.
ECHO = package(
    """
def handler(event, context):
    if context.function_name == "fails":
        raise ValueError("no")
    return {
        "event": event,
        "arn": context.invoked_function_arn,
        "request_id": context.aws_request_id,
    }
"""
)
Client = Any


@asynccontextmanager
async def pretend(data_dir: Path) -> AsyncIterator[Client]:
    async with house(data_dir) as it:
        await _create(it)
        yield it.client


async def _create(it: House) -> None:
    for name in ("f", "fails"):
        await it.active(name)


@asynccontextmanager
async def real(data_dir: Path) -> AsyncIterator[Client]:
    settings = Settings(data_dir=data_dir, port=0)
    async with Engine(settings) as engine, serving(engine) as endpoint:
        for name in ("f", "fails"):
            await engine.create_function(
                name, code=ECHO, handler="app.handler", runtime=RUNTIME, role=ROLE
            )
        client = SESSION.client("lambda", endpoint_url=endpoint)
        try:
            yield client
        finally:
            client.close()


Served = Callable[[Path], AbstractAsyncContextManager[Client]]


@pytest.mark.parametrize("served", [pretend, real])
def test_invocations_look_the_same(tmp_path: Path, served: Served) -> None:
    def look(client: Client) -> None:
        found = client.invoke(FunctionName="f", Payload=b'{"a": "\xc3\xa4"}', LogType="Tail")
        told = json.loads(found["Payload"].read())
        assert told["event"] == {"a": "ä"}
        assert told["arn"] == ARN + "f"
        assert told["request_id"] == found["ResponseMetadata"]["RequestId"]
        assert (found["StatusCode"], found["ExecutedVersion"]) == (200, "$LATEST")
        assert "FunctionError" not in found
        assert b"END" in base64.b64decode(found["LogResult"])
        found = client.invoke(FunctionName="f", Qualifier="$LATEST")
        told = json.loads(found["Payload"].read())
        assert (told["event"], told["arn"]) == ({}, ARN + "f:$LATEST")
        headers = found["ResponseMetadata"]["HTTPHeaders"]
        assert {"queued", "handler"} <= json.loads(headers["x-samovar-phases"]).keys()
        assert headers["x-samovar-start"] == "warm"
        assert headers["x-samovar-context"]

    asyncio.run(_play(served(tmp_path / "data"), look))


@pytest.mark.parametrize("served", [pretend, real])
def test_failures_look_the_same(tmp_path: Path, served: Served) -> None:
    def look(client: Client) -> None:
        found = client.invoke(FunctionName="fails")
        assert (found["StatusCode"], found["FunctionError"]) == (200, "Unhandled")
        told = json.loads(found["Payload"].read())
        assert told["errorMessage"] == "no"
        assert told["errorType"]
        assert found["ResponseMetadata"]["HTTPHeaders"]["x-samovar-start"] == "cold"
        for params, code in (
            ({"FunctionName": "f", "Payload": b"{no"}, "InvalidRequestContentException"),
            ({"FunctionName": "none"}, "ResourceNotFoundException"),
            ({"FunctionName": "f", "Qualifier": "live"}, "ResourceNotFoundException"),
        ):
            with pytest.raises(client.exceptions.ClientError) as caught:
                client.invoke(**params)
            assert caught.value.response["Error"]["Code"] == code

    asyncio.run(_play(served(tmp_path / "data"), look))


async def _play(
    served: AbstractAsyncContextManager[Client], look: Callable[[Client], None]
) -> None:
    async with served as client:
        await asyncio.to_thread(look, client)
