"""Slow, broken and hostile clients, over raw sockets and with short limits."""

from __future__ import annotations

import asyncio
import gzip
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from tests.api.house import House, RawClient, invocation, request, run, until

from samovar.doors.http.limits import ConnectionLimits

pytestmark = pytest.mark.usefixtures("each_loop")

HEALTH = request("GET", "/_samovar/health")
SHORT = 0.05  # seconds: a deadline that is meant to run out
LIMITS = ConnectionLimits()


def test_keep_alive(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            ids = set()
            for _ in range(3):
                await client.send(HEALTH)
                reply = await client.reply()
                assert "connection" not in reply.headers
                ids.add(reply.headers["x-amzn-requestid"])
            assert len(ids) == 3

    run(tmp_path, scene)


def test_connection_close_is_honoured(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(request("GET", "/_samovar/health", Connection="close"))
            assert (await client.reply()).headers["connection"] == "close"
            assert await client.ended()
        async with RawClient.to(it.port) as client:
            await client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert (await client.reply()).status == 200
            assert await client.ended()

    run(tmp_path, scene)


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(b"".join(invocation("f", b'"%d"' % at) for at in range(50)))
            for at in range(50):
                assert (await client.reply()).json["event"] == str(at)

    run(tmp_path, scene)


def test_a_request_in_single_bytes(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            for byte in invocation("f", b'"slowly"'):
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await client.reply()).json["event"] == "slowly"

    run(tmp_path, scene)


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    head = request("POST", "/2015-03-31/functions/f/invocations", Transfer_Encoding="chunked")
    head = head.replace(b"Content-Length: 0\r\n", b"")
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + body + b"0\r\n" + trailer + b"\r\n"


def test_chunked_bodies(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(chunked(b'"a', b"b", b'c"', trailer=b"X-Amz-Log-Type: Tail\r\n"))
            reply = await client.reply()
            assert reply.json["event"] == "abc"
            assert "x-amz-log-result" not in reply.headers  # a trailer is no header
            await client.send(chunked(*[b" "] * 5000, b"1"))
            assert (await client.reply()).json["event"] == 1

    run(tmp_path, scene)


def test_expect_100_continue(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        asking = invocation("f", b'"big"', Expect="100-continue")
        head, body = asking[:-5], asking[-5:]
        async with RawClient.to(it.port) as client:
            await client.send(head)
            assert (await client.reply(head_only=True)).status == 100
            await client.send(body)
            assert (await client.reply()).json["event"] == "big"
            await client.send(HEALTH)
            assert (await client.reply()).status == 200

    run(tmp_path, scene)


def test_an_answer_instead_of_100_continue_ends_the_connection(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        asking = invocation("f", b'"big"', Expect="100-continue", X_Amz_Log_Type="All")
        async with RawClient.to(it.port) as client:
            await client.send(asking[:-5])
            assert (await client.reply()).status == 400
            assert await client.ended()

    run(tmp_path, scene)


def test_an_offer_to_upgrade_is_declined_silently(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AA"}
        raw = b"Connection: upgrade\r\nUpgrade: h2c"
        async with RawClient.to(it.port) as client:
            await client.send(request("GET", "/_samovar/health", **offer) + HEALTH)
            for _ in range(2):
                assert (await client.reply()).json == {"status": "ok"}
            await client.send(invocation("f", b'"body"', **offer))
            assert (await client.reply()).json["event"] == "body"
            await client.send(chunked(b'"ch', b'unks"').replace(b"Host:", b"%s\r\nHost:" % raw))
            assert (await client.reply()).json["event"] == "chunks"
            await client.send(HEALTH)
            assert (await client.reply()).status == 200

    run(tmp_path, scene)


@pytest.mark.parametrize(
    "garbage",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + gzip.compress(b"\n", mtime=0) + b"\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_garbage_gets_an_answer_and_the_end(tmp_path: Path, garbage: bytes) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(garbage)
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (400, "close")
            assert reply.headers["x-amzn-errortype"] == "BadRequestException"
            assert len(reply.headers["x-amzn-requestid"]) == 36
            texts = ("Not HTTP/1.1: ", "CONNECT is for proxies", "This port speaks plain HTTP: ")
            assert reply.json["message"].startswith(texts)
            assert await client.ended()

    run(tmp_path, scene)


def test_garbage_behind_requests_in_progress_waits_its_turn(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client:
            await client.send(
                invocation("waits", b"1") + invocation("waits", b"2") + b"rubbish\r\n"
            )
            await it.engine.entered.acquire()
            it.engine.gate.set()
            assert [(await client.reply()).json["event"] for _ in range(2)] == [1, 2]
            assert await client.ended()

    run(tmp_path, scene)


def test_a_broken_body_behind_a_request_in_progress(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        broken = chunked(b"x").replace(b"\r\n1\r\n", b"\r\nzz\r\n")
        async with RawClient.to(it.port) as client:
            await client.send(invocation("waits", b"1") + broken)
            await it.engine.entered.acquire()
            it.engine.gate.set()
            assert (await client.reply()).json["event"] == 1
            assert (await client.reply()).status == 400
            assert await client.ended()
        assert len(it.engine.finished) == 1

    run(tmp_path, scene)


def test_a_broken_body(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            whole = chunked(b'"ab"')
            await client.send(whole[: whole.index(b"4\r\n") + 5])
            await until(lambda: it.server.connections == 2)
            await client.send(b"zzzzzz\r\n")
            assert (await client.reply()).status == 400
            assert await client.ended()
        assert it.engine.finished == []

    run(tmp_path, scene)


# Deadlines.


def test_headers_that_never_end(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (408, "close")
            assert "headers were not complete after 0.05 s" in reply.json["message"]
            assert await client.ended()

    run(tmp_path, scene, replace(LIMITS, header_seconds=SHORT))


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_that_asks_nothing(tmp_path: Path, sent: bytes) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(sent)
            assert await client.ended()

    run(tmp_path, scene, replace(LIMITS, header_seconds=SHORT))


def test_headers_of_a_second_request_have_a_deadline_too(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(HEALTH)
            assert (await client.reply()).status == 200
            await client.send(b"GET / HTTP/1.1\r\n")
            assert (await client.reply()).status == 408
            assert await client.ended()

    run(tmp_path, scene, replace(LIMITS, header_seconds=SHORT))


def test_a_body_that_never_comes(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", b"x" * 100)[:-1])
            reply = await client.reply()
            assert reply.status == 408
            assert "body was not complete after 0.05 s" in reply.json["message"]
            assert await client.ended()
        assert it.engine.finished == []

    run(tmp_path, scene, replace(LIMITS, body_seconds=SHORT))


def test_an_unread_body_of_an_answered_request_ends_without_a_second_answer(
    tmp_path: Path,
) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(request("POST", "/nothing", b"x" * 100)[:-1])
            assert (await client.reply()).status == 404
            assert await client.ended()

    run(tmp_path, scene, replace(LIMITS, body_seconds=SHORT))


def test_a_running_invocation_is_no_slow_client(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client, RawClient.to(it.port) as slow:
            await client.send(invocation("waits", b"1"))
            # The deadlines of a slow client beside it run out meanwhile.
            await slow.send(b"GET / HTTP/1.1\r\n")
            assert (await slow.reply()).status == 408
            it.engine.gate.set()
            assert (await client.reply()).json["event"] == 1

    limits = replace(LIMITS, header_seconds=SHORT, body_seconds=SHORT, keep_alive_seconds=SHORT)
    run(tmp_path, scene, limits)


def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(HEALTH)
            assert (await client.reply()).status == 200
            assert await client.ended()

    run(tmp_path, scene, replace(LIMITS, keep_alive_seconds=SHORT))


def test_a_client_that_does_not_read(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            before = it.server.connections
            await loop.sock_connect(deaf, ("127.0.0.1", it.port))
            await loop.sock_sendall(deaf, invocation("f", b'"' + b"x" * 6_000_000 + b'"'))
            await until(lambda: len(it.engine.finished) == 1)
            await until(lambda: it.server.connections == before)

    run(tmp_path, scene, replace(LIMITS, read_seconds=SHORT))


def test_a_slow_reader_is_not_cut_off(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", b'"' + b"x" * 6_000_000 + b'"'))
            assert len((await client.reply()).body) > 6_000_000

    run(tmp_path, scene, replace(LIMITS, read_seconds=0.5))


# Sizes.


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 1_100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 1_100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 2_000_000,  # never ends
    ],
    ids=["path", "header", "endless"],
)
def test_headers_over_a_megabyte(tmp_path: Path, head: bytes) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(head)
            reply = await client.reply()
            assert reply.status == 413
            assert "must be smaller than 1048576 bytes" in reply.json["message"]
            assert reply.headers["connection"] == "close"

    run(tmp_path, scene)


@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["whole", "endless"])
@pytest.mark.parametrize("number", [2001, 200_000])
def test_more_headers_than_a_request_may_have(tmp_path: Path, number: int, end: bytes) -> None:
    async def scene(it: House) -> None:
        for start in (b"GET / HTTP/1.1\r\n", invocation("f", b"")[:-2]):
            async with RawClient.to(it.port) as client:
                await client.send(start + b"a:\r\n" * number + end)
                if number == 2001 and not end and start.startswith(b"GET"):
                    continue  # one more, and its value may still be coming
                reply = await client.reply()
                assert reply.status == 413
                assert reply.json["message"] == "A request may have 2000 headers, and no more."
                assert await client.ended()

    run(tmp_path, scene)


def test_as_many_headers_as_a_request_may_have(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as client:
            await client.send(HEALTH[:-2] + b"a:\r\n" * 1999 + b"\r\n")
            assert (await client.reply()).status == 200

    run(tmp_path, scene)


def test_headers_under_a_megabyte_with_a_body_behind_them(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            for _ in range(2):
                await client.send(invocation("f", b'"' + b"x" * 500_000 + b'"', X="y" * 1_000_000))
                assert (await client.reply()).status == 200

    run(tmp_path, scene)


def test_trailers_without_end(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(chunked(b"1")[:-2] + b"T: x\r\n" * 300_000)
            reply = await client.reply()
            assert reply.status == 400
            assert "trailers" in reply.json["message"]
        assert it.engine.finished == []

    run(tmp_path, scene)


def test_more_pipelined_requests_than_may_wait(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        async with RawClient.to(it.port) as client:
            await client.send(b"".join(invocation("waits", b"%d" % at) for at in range(10)))
            await it.engine.entered.acquire()
            it.engine.gate.set()
            for at in range(4):  # one in progress and three waiting
                assert (await client.reply()).json["event"] == at
            assert await client.ended()

    run(tmp_path, scene, replace(LIMITS, pipelined=3))


def test_more_connections_than_are_served(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with RawClient.to(it.port) as first, RawClient.to(it.port) as second:
            for client in (first, second):
                await client.send(HEALTH)
                assert (await client.reply()).status == 200
            async with RawClient.to(it.port) as third:
                reply = await third.reply()
                assert (reply.status, reply.headers["connection"]) == (503, "close")
                assert "2 connections at once" in reply.json["Message"]
                assert await third.ended()
        await until(lambda: it.server.connections == 0)
        async with RawClient.to(it.port) as client:
            await client.send(HEALTH)
            assert (await client.reply()).status == 200

    run(tmp_path, scene, replace(LIMITS, connections=2))


def test_a_reset_in_the_middle_of_a_body(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        before = it.server.connections
        async with RawClient.to(it.port) as client:
            await client.send(invocation("f", b"x" * 1000)[:-500])
            await until(lambda: it.server.connections == before + 1)
            client.writer.transport.abort()
        await until(lambda: it.server.connections == before)
        assert it.engine.finished == []
        assert (await it.call("invoke", FunctionName="f"))["StatusCode"] == 200

    run(tmp_path, scene)
