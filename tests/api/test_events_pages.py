"""`/_samovar/events`: what is asked comes to the engine, and nothing unsigned where keys are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import House, RawClient, RawReply, request, run

from samovar.doors.http.sigv4 import Verifier

PATH = "/_samovar/events"
ID = "8f507cfc-9b1c-4697-b07a-ac58fc914c95"


async def ask(it: House, method: str, path: str) -> RawReply:
    async with RawClient.to(it.port) as client:
        await client.send(request(method, path))
        return await client.reply(head_only=method == "HEAD")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", {"limit": 100}),
        (
            "?state=dead&kind=event&condition=RetriesExhausted&after=dead%3Ax&limit=7",
            {
                "state": "dead",
                "kind": "event",
                "condition": "RetriesExhausted",
                "after": "dead:x",
                "limit": 7,
            },
        ),
        ("?function=f", {"function": "f", "limit": 100}),
        (
            "?function=arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
            {"function": "f", "limit": 100},
        ),
    ],
    ids=["nothing", "everything", "a name", "an ARN"],
)
def test_a_list(tmp_path: Path, query: str, asked: dict[str, Any]) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "GET", PATH + query)
        assert (reply.status, reply.json) == (200, {"schema": 1, "asked": asked})

    run(tmp_path, scene)


@pytest.mark.parametrize(
    "query",
    [
        "?limit=x",
        "?limit=-1",
        "?state=dead&state=dead",
        "?x=1",
        "?function=a+b",
    ],
)
def test_a_list_that_nobody_can_give(tmp_path: Path, query: str) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "GET", PATH + query)
        assert reply.status == 400
        assert query[1:].partition("=")[0].removeprefix("function") in reply.json["message"]

    run(tmp_path, scene)


def test_one_event(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        assert (await ask(it, "GET", f"{PATH}/{ID}")).json == {"event": ID}
        assert (await ask(it, "HEAD", f"{PATH}/{ID}")).status == 200
        assert (await ask(it, "POST", f"{PATH}/{ID}/redrive")).json == {"redriven": ID}
        assert (await ask(it, "DELETE", f"{PATH}/{ID}")).status == 204
        assert it.engine.dropped == [(ID, None)]
        reply = await ask(it, "GET", f"{PATH}/nobody")
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (
            404,
            "ResourceNotFoundException",
        )

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PATH}/{ID}/redrive", 404),
        ("POST", PATH, 404),
        ("POST", f"{PATH}/{ID}", 404),
        ("DELETE", PATH, 404),
        ("GET", f"{PATH}/{ID}/x/y", 404),
        ("GET", f"{PATH}/{ID}?payload=1", 400),
        ("POST", f"{PATH}/{ID}/redrive?all", 400),
    ],
)
def test_what_is_not_there(tmp_path: Path, method: str, path: str, status: int) -> None:
    async def scene(it: House) -> None:
        assert (await ask(it, method, path)).status == status
        assert it.engine.dropped == []

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("HEAD", f"{PATH}/{ID}"),
        ("GET", f"{PATH}/{ID}"),
        ("POST", f"{PATH}/{ID}/redrive"),
        ("DELETE", f"{PATH}/{ID}"),
    ],
)
def test_with_access_keys_nobody_reads_them_unsigned(
    tmp_path: Path, method: str, path: str
) -> None:
    async def scene(it: House) -> None:
        assert (await ask(it, method, path)).status == 403
        assert it.engine.dropped == []
        # As open as ever.
        assert (await ask(it, "GET", "/_samovar/contexts")).status == 200

    run(tmp_path, scene, verifier=Verifier({}, "us-east-1", time.time))
