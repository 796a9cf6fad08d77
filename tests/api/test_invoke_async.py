"""InvokeAsync: an event by another name, with a limit of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.api.house import ARN, House, RawClient, request, run


def test_it_accepts_an_event_and_says_so_in_the_body(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"FunctionName": "f", "InvokeArgs": b'{"a": 1}'}

    async def scene(it: House) -> None:
        await it.active()
        found = await it.call("invoke_async", **asked)
        assert found["Status"] == found["ResponseMetadata"]["HTTPStatusCode"] == 202
        kept = await it.engine.queue.find(found["ResponseMetadata"]["RequestId"])
        assert kept is not None
        assert kept.item.body == b'{"a": 1}'
        async with RawClient.to(it.port) as client:  # with the slash of older SDKs
            await client.send(request("POST", "/2014-11-13/functions/f/invoke-async/", b"{}"))
            reply = await client.reply()
            assert (reply.status, reply.json) == (202, {"Status": 202})
        assert it.engine.finished == []

    run(tmp_path, scene)


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"FunctionName": "f", "InvokeArgs": b"{}"}

    async def scene(it: House) -> None:
        await it.active()
        assert await it.refused("invoke_async", **{**asked, "FunctionName": "g"}) == (
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}g:$LATEST",
        )
        assert await it.refused("invoke_async", **{**asked, "InvokeArgs": b" " * 262145}) == (
            413,
            "RequestEntityTooLargeException",
            "Request must be smaller than 262144 bytes for the InvokeAsync operation",
        )
        largest = b'"' + b"x" * 262142 + b'"'
        assert (await it.call("invoke_async", **{**asked, "InvokeArgs": largest}))["Status"] == 202
        refused = await it.refused("invoke_async", **{**asked, "InvokeArgs": b"{"})
        assert refused[:2] == (400, "InvalidRequestContentException")
        assert sum(it.engine.queue.depths().values()) == 1

    run(tmp_path, scene)
