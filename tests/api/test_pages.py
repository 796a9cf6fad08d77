"""The engine's own pages, and requests that are none of anything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, RawReply, request, reset_on_close, run, until

from samovar.doors.http.change_page import ChangePage


async def ask(it: House, method: str, path: str, body: bytes = b"", **headers: str) -> RawReply:
    async with RawClient.to(it.port) as client:
        await client.send(request(method, path, body, **headers))
        reply = await client.reply(head_only=method == "HEAD")
    assert len(reply.headers["x-amzn-requestid"]) == 36
    assert reply.headers["date"].endswith(" GMT")
    return reply


@pytest.mark.parametrize("path", ["/_samovar/health", "/healthz"])
def test_health(tmp_path: Path, path: str) -> None:
    async def scene(it: House) -> None:
        it.engine.reason = "not ready, and alive all the same"
        reply = await ask(it, "GET", path)
        assert (reply.status, reply.json) == (200, {"status": "ok"})
        it.engine.room = -12
        assert (await ask(it, "GET", path)).json == {"status": "ok", "memory_room_mb": -12}

    run(tmp_path, scene)


@pytest.mark.parametrize("path", ["/_samovar/ready", "/readyz"])
def test_readiness(tmp_path: Path, path: str) -> None:
    async def scene(it: House) -> None:
        assert (await ask(it, "GET", path)).status == 200
        it.engine.reason = "no interpreter was found"
        reply = await ask(it, "GET", path)
        assert reply.status == 503
        assert reply.json == {"status": "not ready", "reason": "no interpreter was found"}

    run(tmp_path, scene)


@pytest.mark.parametrize("path", ["/_samovar/metrics", "/metrics"])
def test_metrics(tmp_path: Path, path: str) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "GET", path)
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert reply.body == it.engine.metrics_text()

    run(tmp_path, scene)


def test_contexts(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        shown = [{"context": 1, "state": "idle"}]
        for query, history in (("", False), ("?history", True), ("?history=1", True)):
            reply = await ask(it, "GET", "/_samovar/contexts" + query)
            assert (reply.status, reply.json) == (200, {"contexts": shown, "asked": history})
        reply = await ask(it, "GET", "/_samovar/contexts?function=f")
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (400, "ValidationException")
        assert "no parameter 'function'" in reply.json["message"]

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("f", ("f", None)),
        ("f:$LATEST", ("f", "$LATEST")),
        ("arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", ("f", None)),
    ],
)
def test_idle_contexts_are_dropped(tmp_path: Path, name: str, found: tuple[str, str]) -> None:
    async def scene(it: House) -> None:
        await it.active()
        reply = await ask(it, "POST", f"/_samovar/functions/{name}/drop-idle")
        assert reply.status == 200
        assert reply.json["dropped"] == 2
        assert reply.json["function"].startswith(ARN + "f")
        assert it.engine.dropped == [found]

    run(tmp_path, scene)


def test_nothing_is_dropped_for_who_asks_wrongly(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        path = "/_samovar/functions/f/drop-idle"
        reply = await ask(it, "GET", path)
        assert (reply.status, reply.json["message"]) == (404, f"{path} answers POST only.")
        reply = await ask(it, "POST", path, Origin="http://evil.example")
        assert reply.status == 403
        reply = await ask(it, "POST", "/_samovar/functions/nobody/drop-idle")
        assert reply.headers["x-amzn-errortype"] == "ResourceNotFoundException"
        reply = await ask(it, "POST", "/_samovar/functions/a%20b/drop-idle")
        assert reply.headers["x-amzn-errortype"] == "ValidationException"
        assert it.engine.dropped == []

    run(tmp_path, scene)


def test_head_has_headers_only(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "HEAD", "/_samovar/health")
        assert (reply.status, reply.headers["content-length"]) == (200, "15")
        async with RawClient.to(it.port) as client:
            await client.send(
                request("HEAD", "/_samovar/health") + request("GET", "/_samovar/health")
            )
            assert (await client.reply(head_only=True)).status == 200
            assert (await client.reply()).json == {"status": "ok"}

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/_samovar/nothing", 404, "NotFoundException"),
        ("GET", "/_samovar/code/nothing", 404, "NotFoundException"),
        ("POST", "/_samovar/health", 404, "NotFoundException"),
        ("OPTIONS", "*", 404, "UnknownOperationException"),
        ("GET", "/", 404, "UnknownOperationException"),
        ("GET", "/2015-03-31/nothing", 404, "UnknownOperationException"),
        ("PATCH", "/2015-03-31/functions/f", 404, "UnknownOperationException"),
        ("GET", "/2015-03-31/functions/f/invocations", 404, "UnknownOperationException"),
        ("GET", "/2025-11-30/capacity-providers", 501, "NotImplementedException"),
        ("GET", "/2015-03-31/functions?MaxItems=x", 400, "SerializationException"),
    ],
)
def test_what_is_not_there(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, method, path)
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (status, code)
        assert reply.json

    run(tmp_path, scene)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"[" * 100_000])
def test_bodies_that_are_no_request(tmp_path: Path, body: bytes) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "POST", "/2015-03-31/functions", body)
        assert (reply.status, reply.json["Type"]) == (400, "User")
        assert reply.headers["x-amzn-errortype"] == "SerializationException"

    run(tmp_path, scene)


def test_a_body_without_a_content_type_is_read(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "POST", "/2015-03-31/functions", b"{}")
        assert "4 validation errors" not in reply.json["message"]
        assert "Value null at 'functionName'" in reply.json["message"]

    run(tmp_path, scene)


def test_web_pages_are_not_served(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        reply = await ask(it, "GET", "/2015-03-31/functions", Origin="http://evil.example")
        assert (reply.status, reply.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
        reply = await ask(it, "GET", "/_samovar/contexts", Origin="null")
        assert reply.status == 403

    run(tmp_path, scene)


def test_a_package_that_is_gone(tmp_path: Path) -> None:
    def lose_packages() -> None:
        for kept in tmp_path.rglob("*.zip"):
            kept.unlink()

    async def scene(it: House) -> None:
        await it.active()
        found = await it.call("get_function", FunctionName="f")
        await asyncio.to_thread(lose_packages)
        reply = await ask(it, "GET", "/_samovar/code/" + found["Code"]["Location"].split("/")[-1])
        assert reply.status == 500
        assert reply.json["Type"] == "Service"
        await it.call("delete_function", FunctionName="f")
        reply = await ask(it, "GET", "/_samovar/code/" + found["Code"]["Location"].split("/")[-1])
        assert reply.status == 404  # collected: nobody has lost it

    run(tmp_path, scene)


# Waiting for a change.


async def revision(it: House) -> str:
    found = await it.call("get_function_configuration", FunctionName="f")
    return str(found["RevisionId"])


def waiting(known: str, name: str = "f") -> bytes:
    return request("POST", f"/_samovar/functions/{name}/await-change/{known}")


async def under_way(it: House) -> None:
    """Until the page waits for a change."""
    entry: Any = it.engine.registry._index.find("f")
    await until(lambda: entry._change is not None)


def test_a_change_that_has_been_is_told_at_once(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        reply = await ask(it, "POST", "/_samovar/functions/f/await-change/an-older-one")
        assert (reply.status, reply.json) == (
            200,
            {"function": f"{ARN}f", "revision": await revision(it), "directory": None},
        )
        for name, error in (
            ("nobody", "ResourceNotFoundException"),
            ("f:7", "ResourceNotFoundException"),
            ("a%20b", "ValidationException"),
        ):
            reply = await ask(it, "POST", f"/_samovar/functions/{name}/await-change/x")
            assert reply.headers["x-amzn-errortype"] == error
        reply = await ask(it, "GET", "/_samovar/functions/f/await-change/x")
        assert reply.status == 404
        assert reply.json["message"].endswith("answers POST only.")

    run(tmp_path, scene)


def test_a_change_is_waited_for(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        known = await revision(it)
        async with RawClient.to(it.port) as one, RawClient.to(it.port) as other:
            for client in (one, other):
                await client.send(waiting(known))
            await under_way(it)
            await it.call("update_function_configuration", FunctionName="f", Timeout=7)
            for client in (one, other):
                reply = await client.reply()
                assert reply.status == 200
                assert reply.json["revision"] != known
            # The connection serves on.
            await one.send(request("GET", "/_samovar/health"))
            assert (await one.reply()).status == 200

    run(tmp_path, scene)


def test_a_function_that_is_deleted_is_waited_for_no_longer(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(waiting(await revision(it)))
            await under_way(it)
            await it.call("delete_function", FunctionName="f")
            reply = await client.reply()
            assert reply.headers["x-amzn-errortype"] == "ResourceNotFoundException"

    run(tmp_path, scene)


def test_who_hangs_up_waits_no_longer_and_a_stop_waits_for_nobody(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        known = await revision(it)
        tasks = it.server._state.tasks
        async with RawClient.to(it.port) as client:
            await client.send(waiting(known))
            await under_way(it)
            assert len(tasks) == 1
            reset_on_close(client.writer)
        await until(lambda: not tasks)
        async with RawClient.to(it.port) as client:
            await client.send(waiting(known))
            await until(lambda: bool(tasks))
            async with asyncio.timeout(20):  # and not the half minute that an invocation gets
                await it.server.stop(grace=60)
            reply = await client.reply()
            assert (reply.status, reply.headers["x-amzn-errortype"]) == (
                503,
                "ServiceUnavailableException",
            )

    run(tmp_path, scene)


def test_where_nothing_changes_it_says_so_after_a_while(tmp_path: Path) -> None:
    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def scene(it: House) -> None:
        await it.active()
        known = await revision(it)
        reply = await ChangePage(it.engine, patience=0).answer("f", known, never)
        assert json.loads(reply.body)["revision"] == known

    run(tmp_path, scene)
