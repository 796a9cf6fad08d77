"""Requests that say a thing twice, in an unusual place, or at great length."""

from __future__ import annotations

import json
import random
import threading
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import House, RawClient, invocation, request, run

from samovar.doors.http import app
from samovar.doors.http.limits import LONGEST_TARGET, ConnectionLimits

STREAM = "/2021-11-15/functions/f/response-streaming-invocations"
CREATE = "/2015-03-31/functions"


@pytest.mark.parametrize("connection", ["Upgrade, close", "close, Upgrade"])
@pytest.mark.parametrize("body", [b"", b'"tea"'], ids=["no body", "body"])
def test_an_offer_to_upgrade_on_a_connection_that_ends(
    tmp_path: Path, connection: str, body: bytes
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", body, Connection=connection, Upgrade="h2c"))
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert reply.json["event"] == ("tea" if body else {})

    run(tmp_path, scene)


@pytest.mark.parametrize("path", ["/2015-03-31/functions/f/invocations", STREAM])
def test_a_header_that_came_twice_is_neither_of_its_values(tmp_path: Path, path: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            for first, second in (("DryRun", "RequestResponse"), ("RequestResponse", "DryRun")):
                sent = request("POST", path, b"1", X_Amz_Invocation_Type=first)
                again = b"X-Amz-Invocation-Type: %s\r\n\r\n" % second.encode()
                await client.send(sent.replace(b"\r\n\r\n", b"\r\n" + again))
                reply = await client.reply()
                assert (reply.status, reply.headers["x-amzn-errortype"]) == (
                    400,
                    "ValidationException",
                )
                assert f"Value '{first}, {second}' at 'invocationType'" in reply.json["message"]
        assert it.engine.finished == []

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("POST", "f/invocations?Qualifier=%24LATEST&Qualifier=1", "Qualifier"),
        ("GET", "f?Qualifier=%24LATEST&Qualifier=%24LATEST", "Qualifier"),
        ("GET", "?MaxItems=1&MaxItems=2", "MaxItems"),
    ],
)
def test_a_query_parameter_that_came_twice_is_refused(
    tmp_path: Path, method: str, target: str, name: str
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(request(method, f"{CREATE}/{target}".replace("/?", "?")))
            reply = await client.reply()
            assert reply.status == 400
            assert reply.json["message"] == f"{name} is given more than once; give it once."

    run(tmp_path, scene)


def test_what_a_presigner_moves_into_the_query_is_not_ignored(tmp_path: Path) -> None:
    """The SDK for JavaScript does that with headers; to run where DryRun was meant would be bad."""

    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            for name in ("X-Amz-Invocation-Type", "x-amz-log-type", "X-Amz-Anything"):
                for target in (f"f/invocations?{name}=DryRun", f"f/code?{name}=DryRun"):
                    method = "POST" if "invocations" in target else "PUT"
                    await client.send(request(method, f"{CREATE}/{target}", b"{}"))
                    reply = await client.reply()
                    assert reply.status == 400
                    assert f"does not carry out the parameter {name} of" in reply.json["message"]
            assert it.engine.finished == []
            await client.send(request("POST", f"{CREATE}/f/invocations?X-Amz-User-Agent=x", b"1"))
            assert (await client.reply()).status == 200

    run(tmp_path, scene)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_target_has_a_longest_length(tmp_path: Path, method: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        path = f"{CREATE}/f/{'invocations' if method == 'POST' else 'configuration'}?"
        fitting = path + "&" * (LONGEST_TARGET - len(path))
        async with RawClient.to(it.port) as client:
            await client.send(request(method, fitting))
            assert (await client.reply()).status == 200
            await client.send(request(method, fitting + "&"))
            reply = await client.reply()
            assert reply.status == 413
            assert (
                reply.json["message"] == "The target of a request must be smaller than 65536 bytes"
            )

    run(tmp_path, scene)


def large(method: str = "PUT", path: str = f"{CREATE}/f/code") -> bytes:
    code = b64encode(random.Random(1).randbytes(300_000)).decode()
    return request(method, path, json.dumps({"ZipFile": code}).encode())


def test_large_bodies_are_not_parsed_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    parse = app.parse_request

    def parsed(*args: Any, **kwargs: Any) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return parse(*args, **kwargs)

    monkeypatch.setattr(app, "parse_request", parsed)

    async def scene(it: House) -> None:
        await it.active()
        threads.clear()
        async with RawClient.to(it.port) as client:
            await client.send(large())
            reply = await client.reply()
            assert (reply.status, reply.json["message"][:9]) == (400, "Could not")
        assert len(threads) == 1
        assert threads[0] != threading.get_ident()

    run(tmp_path, scene)


def test_there_is_no_room_for_more_large_bodies_than_allowed(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(large())
            reply = await client.reply()
            assert reply.status == 503
            assert reply.headers["x-amzn-errortype"] == "ServiceUnavailableException"
            await client.send(invocation("f", b"1"))
            assert (await client.reply()).status == 200

    run(tmp_path, scene, replace(ConnectionLimits(), working_bytes=300_000))
