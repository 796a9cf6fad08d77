"""A plain Invoke does not pass through ASGI; what comes back is the same as for one that does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.house import House, RawClient, RawReply, invocation, run

from samovar.doors.http import invoke
from samovar.doors.http.direct import goes_directly

pytestmark = pytest.mark.usefixtures("each_loop")

REQUESTS = {
    "a result": invocation("f", b'{"a": 1}'),
    "no payload": invocation("f", b""),
    "a function's error": invocation("fails", b"{}"),
    "the log's tail": invocation("f", b"{}", X_Amz_Log_Type="Tail"),
    "a dry run": invocation("f", b"{}", X_Amz_Invocation_Type="DryRun"),
    "an event": invocation("f", b"{}", X_Amz_Invocation_Type="Event"),
    "an event that is none": invocation("f", b"{", X_Amz_Invocation_Type="Event"),
    "an event for nobody": invocation("none", b"{}", X_Amz_Invocation_Type="Event"),
    "an event that no disk takes": invocation("breaks", b"{}", X_Amz_Invocation_Type="Event"),
    "an event that surprises": invocation("surprises", b"{}", X_Amz_Invocation_Type="Event"),
    "too large an event": invocation("f", b" " * 1048577, X_Amz_Invocation_Type="Event"),
    "no json": invocation("f", b"{"),
    "an unknown function": invocation("none"),
    "a broken engine": invocation("breaks"),
    "a surprise": invocation("surprises"),
    "a throttled call": invocation("throttles"),
    "a bad header": invocation("f", X_Amz_Log_Type="All"),
    "a last request": invocation("f", Connection="close"),
}
VARIABLE = ("x-amzn-requestid", "date")


def with_asgi(request: bytes) -> bytes:
    """The same request, in a form that the shortest way is not for."""
    return request.replace(b"\r\nContent-Length:", b"\r\nExpect: 100-continue\r\nContent-Length:")


async def reply(port: int, request: bytes) -> RawReply:
    async with RawClient.to(port) as client:
        await client.send(request)
        first = await client.reply()
        return await client.reply() if first.status == 100 else first


@pytest.mark.parametrize("name", REQUESTS)
def test_both_ways_answer_the_same(tmp_path: Path, name: str) -> None:
    async def scene(it: House) -> None:
        for function in ("f", "fails", "breaks", "surprises", "throttles"):
            await it.active(function)
        directly = await reply(it.port, REQUESTS[name])
        through = await reply(it.port, with_asgi(REQUESTS[name]))
        ids = [answer.headers["x-amzn-requestid"] for answer in (directly, through)]
        assert ids[0] != ids[1]
        bodies = [
            answer.body.replace(id_.encode(), b"id")
            for answer, id_ in zip((directly, through), ids, strict=True)
        ]
        for answer in (directly, through):
            for header in VARIABLE:
                del answer.headers[header]
        assert directly.status == through.status
        assert directly.headers == through.headers
        assert bodies[0] == bodies[1]

    run(tmp_path, scene)


PLAIN = b"/2015-03-31/functions/f/invocations"


def test_no_long_url_is_remembered() -> None:
    before = invoke._is_plain.cache_info().currsize
    long = b"/2015-03-31/functions/" + b"f" * 60_000 + b"/invocations"
    assert goes_directly(b"POST", long, [])
    assert not goes_directly(b"POST", long + b"/x", [])
    assert invoke._is_plain.cache_info().currsize == before


def test_what_goes_directly() -> None:
    assert goes_directly(b"POST", PLAIN, [])
    assert goes_directly(b"POST", PLAIN + b"?Qualifier=1", [(b"content-length", b"6291456")])
    assert not goes_directly(b"GET", PLAIN, [])
    assert not goes_directly(b"POST", b"/2015-03-31/functions/f/code", [])
    assert not goes_directly(b"POST", PLAIN, [(b"content-length", b"6291457")])
    for header in (b"expect", b"transfer-encoding", b"upgrade"):
        assert not goes_directly(b"POST", PLAIN, [(header, b"x")])
