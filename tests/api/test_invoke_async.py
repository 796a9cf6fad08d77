"""InvokeAsync: an event by another name, with a limit of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, request, run

PATH = "/2014-11-13/functions/f/invoke-async/"


def test_it_is_accepted_as_an_event(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found = await it.call("invoke_async", FunctionName="f", InvokeArgs=b'{"a":1}')
        assert (found["Status"], found["ResponseMetadata"]["HTTPStatusCode"]) == (202, 202)
        (event,) = it.engine.accepted
        assert event == {
            "name": "f",
            "payload": b'{"a":1}',
            "qualifier": None,
            "function_arn": f"{ARN}f",
            "trace": None,
            "request_id": found["ResponseMetadata"]["RequestId"],
            "limit": 262144,
        }
        assert type(event["payload"]) is bytes
        async with RawClient.to(it.port) as client:  # with the slash of older SDKs, and without
            for path in (PATH, PATH[:-1]):
                await client.send(request("POST", path, b"[]"))
                reply = await client.reply()
                assert (reply.status, reply.json) == (202, {"Status": 202})
        assert it.engine.finished == []

    run(tmp_path, scene)


def test_no_arguments_are_an_empty_event(tmp_path: Path) -> None:
    """As for Invoke (of InvokeAsync that is unconfirmed)."""

    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(request("POST", PATH, b""))
            assert (await client.reply()).status == 202
        assert [event["payload"] for event in it.engine.accepted] == [b""]

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"FunctionName": "g"},
            (404, "ResourceNotFoundException", f"Function not found: {ARN}g:$LATEST"),
        ),
        (
            {"InvokeArgs": b" " * 262145},
            (
                413,
                "RequestEntityTooLargeException",
                "Request must be smaller than 262144 bytes for the InvokeAsync operation",
            ),
        ),
    ],
    ids=["unknown", "too-large"],
)
def test_what_is_wrong(tmp_path: Path, changes: dict[str, Any], told: tuple[int, str, str]) -> None:
    async def scene(it: House) -> None:
        await it.active()
        asked = {"FunctionName": "f", "InvokeArgs": b"{}", **changes}
        assert await it.refused("invoke_async", **asked) == told
        largest = b'"' + b"x" * 262142 + b'"'
        await it.call("invoke_async", FunctionName="f", InvokeArgs=largest)
        status, code, _ = await it.refused("invoke_async", FunctionName="f", InvokeArgs=b"{no}")
        assert (status, code) == (400, "InvalidRequestContentException")
        assert len(it.engine.accepted) == 1

    run(tmp_path, scene)
