"""InvokeAsync: nothing is accepted yet, and what is wrong is told as ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.api.house import ARN, House, RawClient, request, run


def test_what_is_right_is_refused_by_name_and_what_is_wrong_as_ever(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"FunctionName": "f", "InvokeArgs": b"{}"}

    async def scene(it: House) -> None:
        await it.active()
        assert await it.refused("invoke_async", **asked) == (
            501,
            "NotImplementedException",
            "Samovar does not carry out the operation InvokeAsync yet; use Invoke with the "
            "InvocationType RequestResponse.",
        )
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
        assert (await it.refused("invoke_async", **{**asked, "InvokeArgs": b" " * 262144}))[
            0
        ] == 501
        async with RawClient.to(it.port) as client:  # with the slash of older SDKs
            await client.send(request("POST", "/2014-11-13/functions/f/invoke-async/", b"{}"))
            assert (await client.reply()).status == 501
        assert it.engine.finished == []

    run(tmp_path, scene)
