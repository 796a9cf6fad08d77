"""Raw-socket abuse: after each, others are served, and nothing is left behind."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.api.abuse import HIDDEN, SHAPES, Shape
from tests.api.house import House, RawClient, invocation, request, reset_on_close, run, until

from samovar.doors.http.limits import ConnectionLimits

pytestmark = pytest.mark.usefixtures("each_loop")

LIMITS = ConnectionLimits()
HEALTH = request("GET", "/healthz")
SHORT = 0.05  # seconds: a deadline that is meant to run out
WAITING = invocation("waits", b"1")
BAD = invocation("f", b"1", X_Amz_Log_Type="All")  # answered at once, and with an error


LARGE = invocation("f", b'"' + b"x" * 6_000_000 + b'"')


class Deaf(RawClient):
    """A client whose kernel takes little of what it does not read, and who reads when asked."""

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[RawClient]:
        ears = socket.socket()
        ears.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ears.setblocking(False)
        await asyncio.get_running_loop().sock_connect(ears, ("127.0.0.1", port))
        # A reader of 4 KB stops reading from the kernel, too, until somebody takes from it.
        reader, writer = await asyncio.open_connection(sock=ears, limit=4096)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()


async def served(it: House) -> None:
    """A client that behaves is served as ever, and is the only one that is connected."""
    assert (await it.call("invoke", FunctionName="f"))["StatusCode"] == 200
    await until(lambda: it.server.connections <= 1)
    assert it.server.memory() == (0, 0)


async def answers(it: House, shape: Shape) -> tuple[list[int], bytes, bool]:
    """The statuses, the last body, and whether the server ended the connection by itself."""
    async with RawClient.to(it.port) as client:
        await client.send(shape.sent)
        statuses, body = [], b""
        while len(statuses) < len(shape.statuses):
            reply = await client.reply()
            statuses.append(reply.status)
            body = reply.body
        if not shape.ends:
            await client.send(HEALTH)
            reply = await client.reply()
            return statuses, body, reply.status != 200
        rest = await client.reader.read()
        assert rest == b"", rest
        return statuses, body, True


def test_shapes_of_requests_that_are_none(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        for name, shape in SHAPES.items():
            it.engine.finished.clear()
            async with asyncio.timeout(30):
                statuses, body, ended = await answers(it, shape)
            found = (tuple(statuses), shape.said in body.decode(), ended)
            assert found == (shape.statuses, True, shape.ends), (name, statuses, body)
            assert len(it.engine.finished) == shape.runs, name
            await served(it)

    run(tmp_path, scene)


# Ends in the wrong place.


def test_a_client_that_only_reads_on_gets_its_answer(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await it.active("waits")
        for asked in (HEALTH, invocation("waits", b"1"), invocation("waits", b"1") * 3 + HEALTH):
            it.engine.gate.clear()
            async with RawClient.to(it.port) as client:
                await client.send(asked)
                client.writer.write_eof()
                if b"waits" in asked:
                    await it.engine.entered.acquire()
                it.engine.gate.set()
                everything = await client.reader.read()
                assert everything.count(b"HTTP/1.1 200 OK") == asked.count(b"HTTP/1.1")
        await served(it)

    run(tmp_path, scene)


@pytest.mark.parametrize("sent", [HEALTH[:-2], HIDDEN[:-1]], ids=["headers", "body"])
def test_half_a_request_and_the_end(tmp_path: Path, sent: bytes) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(sent)
            client.writer.write_eof()
            reply = await client.reply()
            assert (reply.status, reply.json["message"]) == (
                400,
                "The request ended before it was complete.",
            )
            assert await client.ended()
        async with RawClient.to(it.port) as client:  # what came before it is answered
            await client.send(invocation("waits", b"1") + sent)
            await it.engine.entered.acquire()
            client.writer.write_eof()
            it.engine.gate.set()
            assert (await client.reply()).json["event"] == 1
            rest = await client.reader.read()
            assert rest == b"" or b"HTTP/1.1 400 " in rest
        await served(it)
        assert len(it.engine.finished) == 2

    run(tmp_path, scene)


@pytest.mark.parametrize(
    "sent",
    [b"", HEALTH[:-2], HIDDEN[:-1], HIDDEN, WAITING, WAITING * 3, HEALTH + HIDDEN[:9]],
    ids=["connection", "headers", "body", "answer", "invocation", "pipeline", "second request"],
)
def test_a_reset(tmp_path: Path, sent: bytes) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        await it.active()
        before = it.server.connections
        for _ in range(10):
            _, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(sent)
            await until(lambda: it.server.connections > before)
            if b"waits" in sent:
                await it.engine.entered.acquire()
            reset_on_close(writer)
            writer.transport.abort()
            if sent.count(b"waits") > 1:  # requests that wait are not read past: its end neither
                it.engine.gate.set()
            await until(lambda: it.server.connections == before)
            it.engine.gate.clear()
        it.engine.gate.set()
        await served(it)

    run(tmp_path, scene)


def test_an_answer_survives_what_the_client_still_sends(tmp_path: Path) -> None:
    """Closed with something unread, a connection is reset, and the answer may be lost."""

    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(b"nonsense\r\n\r\n")
            await until(lambda: it.server.connections == 2)
            for _ in range(50):
                await client.send(b"x" * 100_000)
            assert (await client.reply()).status == 400
            assert await client.ended()
        await served(it)

    run(tmp_path, scene)


def test_who_never_stops_sending_is_cut_off(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(b"nonsense\r\n\r\n")
            assert (await client.reply()).status == 400
            assert await client.ended()
            await until(lambda: it.server.connections == 1)  # although we have not closed it
        await served(it)

    run(tmp_path, scene, replace(LIMITS, linger_seconds=SHORT))


# Many at once.


@pytest.mark.parametrize(
    "one", [BAD, HEALTH, HIDDEN], ids=["answered at once", "pages", "invocations"]
)
def test_a_thousand_requests_behind_one(tmp_path: Path, one: bytes) -> None:
    async def scene(it: House) -> None:
        await it.active("waits")
        await it.active()
        async with RawClient.to(it.port) as client:
            await client.send(invocation("waits", b"1") + one * 1000)
            await it.engine.entered.acquire()
            it.engine.gate.set()
            statuses = [(await client.reply()).status for _ in range(1001)]
            assert statuses == [200] + [400 if one is BAD else 200] * 1000
            await client.send(HEALTH)
            assert (await client.reply()).status == 200
        await served(it)

    run(tmp_path, scene)


def test_more_requests_than_are_read_ahead(tmp_path: Path) -> None:
    """They wait in the kernel until those before them are done; none is lost."""

    async def scene(it: House) -> None:
        await it.active("waits")
        await it.active()
        many = 5000
        async with RawClient.to(it.port) as client:
            padded = invocation("f", b"1", X_Padding="x" * 500)
            sending = asyncio.ensure_future(
                client.send(invocation("waits", b"1") + padded * many + HEALTH)
            )
            await it.engine.entered.acquire()
            it.engine.gate.set()
            for _ in range(many + 1):
                assert (await client.reply()).status == 200
            assert (await client.reply()).json == {"status": "ok"}
            await sending
        await served(it)

    run(tmp_path, scene)


def test_a_flood_of_connections(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        before = it.server.connections
        async with AsyncExitStack() as stack:
            flood = [await stack.enter_async_context(RawClient.to(it.port)) for _ in range(200)]
            turned_away = 0
            for client in flood[20 - before :]:
                reply = await client.reply()
                turned_away += reply.status == 503
                assert await client.ended()
            assert turned_away == 180 + before
            await flood[0].send(HEALTH)
            assert (await flood[0].reply()).status == 200
            assert (await it.call("invoke", FunctionName="f"))["StatusCode"] == 200
        await served(it)

    run(tmp_path, scene, replace(LIMITS, connections=20))


# Memory.


def test_requests_that_stand_still_have_a_common_limit(tmp_path: Path) -> None:
    half = invocation("f", b"x" * 1_000_000)[:-1]
    headers = HEALTH[:-2] + b"X: " + b"x" * 900_000

    async def scene(it: House) -> None:
        await it.active()
        async with AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(RawClient.to(it.port)) for _ in range(9)]
            for at, client in enumerate(slow):
                await client.send(headers if at % 2 else half)
                await until(lambda: it.server.memory()[0] > 900_000 * (at + 1))  # noqa: B023
            late = await stack.enter_async_context(RawClient.to(it.port))
            await late.send(half)
            reply = await late.reply()
            assert (reply.status, reply.headers["connection"]) == (503, "close")
            assert "holds 9000000 bytes of requests that are still coming" in reply.json["Message"]
            assert it.server.memory()[0] <= 9_000_000
            assert (await it.call("invoke", FunctionName="f"))["StatusCode"] == 200
            await slow[0].send(b"x")  # whoever goes on makes room
            assert (await slow[0].reply()).status == 400
            large = b'"' + b"x" * 500_000 + b'"'
            assert (await it.call("invoke", FunctionName="f", Payload=large))["StatusCode"] == 200
        await served(it)

    run(tmp_path, scene, replace(LIMITS, incoming_bytes=9_000_000))


def test_replies_that_nobody_reads_have_a_common_limit(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        before = it.server.connections
        async with AsyncExitStack() as stack:
            deaf = [await stack.enter_async_context(Deaf.to(it.port)) for _ in range(6)]
            for number, client in enumerate(deaf, 1):
                await client.send(LARGE)
                await until(lambda: len(it.engine.finished) == number)  # noqa: B023
                await until(lambda: it.server.memory()[1] > 0)
                assert it.server.memory()[1] <= 9_000_000
            # Who has waited the longest has gone.
            await until(lambda: it.server.connections <= before + 3)
            assert len((await deaf[-1].reply()).body) > 6_000_000
        await served(it)

    run(tmp_path, scene, replace(LIMITS, unread_bytes=9_000_000))


def test_no_reply_is_made_for_who_does_not_read_the_last_one(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with Deaf.to(it.port) as client:
            await client.send(LARGE)
            await until(lambda: it.server.memory()[1] > 0)
            looked: list[None] = []

            async def census(*, history: bool) -> dict[str, object]:
                looked.append(None)
                return {"contexts": [], "asked": history}

            it.engine.census = census
            await client.send(request("GET", "/_samovar/contexts") * 3 + HEALTH)
            for _ in range(10):  # the loop has gone round, and what came has been looked at
                assert (await it.call("invoke", FunctionName="f"))["StatusCode"] == 200
            assert looked == []
            assert len((await client.reply()).body) > 6_000_000
            for _ in range(3):
                assert (await client.reply()).json == {"contexts": [], "asked": False}
            assert (await client.reply()).json == {"status": "ok"}
        await served(it)

    run(tmp_path, scene)


def test_a_client_that_reads_a_little_now_and_then(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        loop = asyncio.get_running_loop()
        with socket.socket() as miser:
            miser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            miser.setblocking(False)
            await loop.sock_connect(miser, ("127.0.0.1", it.port))
            await loop.sock_sendall(miser, LARGE)
            await until(lambda: len(it.engine.finished) == 1)
            while it.server.connections > 1:
                try:
                    await asyncio.wait_for(loop.sock_recv(miser, 1), SHORT)
                except (TimeoutError, ConnectionError):
                    pass
        await served(it)

    # Never stuck, and still never done.
    run(tmp_path, scene, replace(LIMITS, read_seconds=SHORT, read_bytes=1_000_000))


def test_a_body_without_end(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        for head in (
            request("POST", "/2015-03-31/functions", Content_Length="900000000"),
            request("POST", "/nothing", Transfer_Encoding="chunked"),
        ):
            async with RawClient.to(it.port) as client:
                await client.send(re.sub(rb"Content-Length: 0\r\n", b"", head))
                piece = b"x" * 100_000
                chunk = b"%x\r\n%s\r\n" % (len(piece), piece) if b"chunked" in head else piece
                for _ in range(20):
                    await client.send(chunk)
                reply = await client.reply()
                assert reply.status == (404 if b"nothing" in head else 413)
                assert await client.ended()
        await served(it)

    run(tmp_path, scene, replace(LIMITS, body_bytes=1_000_000))


def test_extensions_of_chunks_without_end(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        head = request("POST", "/2015-03-31/functions/f/invocations", Transfer_Encoding="chunked")
        async with RawClient.to(it.port) as client:
            await client.send(head.replace(b"Content-Length: 0\r\n", b"") + b"1;a=" + b"x" * 90_000)
            await until(lambda: it.server.connections == 2)
            for _ in range(15):
                await client.send(b"x" * 90_000)
            reply = await client.reply()
            assert (reply.status, reply.json["message"]) == (
                400,
                "The chunks and trailers around the body outweigh the body.",
            )
        assert it.engine.finished == []
        await served(it)

    run(tmp_path, scene)
