"""Invoke on the shortest way: no ASGI, no Task, one write.

What uvicorn does for a request (a scope, a Task, three messages, headers looked at one by one)
costs more than everything below it on the way to a worker and back: half of an invocation over
HTTP (`benchmarks`, http-rate). An Invoke that is plain (POST, the usual path, a body of a known
and allowed size) goes this way; every other request goes through the ASGI app, which answers the
same.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from samovar.doors.http.door_state import DoorState
from samovar.doors.http.invoke import is_plain, reply_to
from samovar.doors.http.replies import RawHeaders, Reply, all_headers, cut_off_reply, error_reply
from samovar.model import limits

# Headers of requests whose body is asked for, of unknown length, or another protocol's.
_NEEDS_ASGI = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


def goes_directly(method: bytes, url: bytes, headers: RawHeaders) -> bool:
    """Whether a request, of which body and trailers are still to come, can be an InvokeCycle."""
    if method != b"POST" or not is_plain(url):
        return False
    for name, value in headers:
        if name in _NEEDS_ASGI:
            return False
        if name == b"content-length" and int(value) > limits.SYNC_PAYLOAD_SIZE:
            return False  # the parser has seen to it that it is a number
    return True


class Connection(Protocol):
    """What a cycle needs of the connection that it is on; `flow` is uvicorn's FlowControl."""

    state: DoorState
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: Any

    def on_response_complete(self) -> None: ...


class _Nobody:
    """Stands where uvicorn wakes a Task that waits for more of the body."""

    def set(self) -> None:
        pass


class InvokeCycle:
    """One Invoke on one connection, in the place of uvicorn's RequestResponseCycle.

    What uvicorn's protocol and ours look at or change: `keep_alive`, `more_body`, `disconnected`,
    `response_started`, `response_complete`, `message_event`.
    """

    __slots__ = (
        "_body",
        "_door",
        "_headers",
        "_refusal",
        "_request_id",
        "_rest",
        "_started",
        "_url",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )
    message_event = _Nobody()

    def __init__(self, door: Connection, url: bytes, headers: RawHeaders, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._door = door
        self._url = url
        self._headers = headers
        self._body = b""
        self._rest: bytearray | None = None  # of a body that comes in pieces
        self._request_id = ""
        self._started = False
        self._refusal: Reply | None = None

    def add(self, body: bytes) -> None:
        """More of the body came."""
        if self._rest is not None:
            self._rest += body
        elif self._body:
            self._rest = bytearray(body)
        else:
            self._body = body

    def complete(self) -> None:
        """The whole request is here."""
        self.more_body = False
        if self._started:
            self._begin()

    def start(self) -> None:
        """Every request before this one on its connection has been answered."""
        self._started = True
        if not self.more_body:
            self._begin()

    def refuse(self, reply: Reply) -> None:
        """The rest will not come; `reply` is what it gets when it is its turn."""
        self.more_body = False
        self._refusal = reply
        self.forget()

    def forget(self) -> None:
        """What came of the request is of no use any more, however long this stays."""
        self._body = b""
        self._rest = None
        self._headers = []

    def _begin(self) -> None:
        state = self._door.state
        self._request_id = state.request_ids.request_id()
        if self._refusal is not None:
            self._answer(self._refusal)
            return
        if self._rest is not None:
            self._body += self._rest
            self._rest = None
        try:
            begun = state.invocations.begin(self._url, self._headers, self._body, self._request_id)
        except Exception as error:  # whatever broke, the client gets a reply
            self._answer(error_reply(error, self._request_id))
            return
        self._body = b""  # the engine has it; it may be 6 MB
        if isinstance(begun, Reply):
            self._answer(begun)
            return
        # Stopping waits for these, and cancels them when the grace is over.
        state.tasks.add(begun)  # type: ignore[arg-type]  # it only waits, which a future can do
        begun.add_done_callback(self._done)

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._door.state.tasks.discard(future)
        if future.cancelled():
            self._answer(cut_off_reply())
            return
        error = future.exception()
        if error is not None:
            self._answer(error_reply(error, self._request_id))
        else:
            self._answer(reply_to(future.result()))

    def _answer(self, reply: Reply) -> None:
        door = self._door
        if self.disconnected or door.transport.is_closing():
            return
        if door.flow.write_paused:  # a client that does not read what it has: not yet, then
            door.state.hold_unread(door, len(reply.body))
            waiting = door.loop.create_task(self._answer_later(reply))
            door.state.tasks.add(waiting)
            waiting.add_done_callback(door.state.tasks.discard)
            return
        self.response_started = True
        lines = [STATUS_LINE[reply.status], door.state.default_lines]
        for name, value in all_headers(reply, self._request_id):
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", reply.body)
        door.transport.write(b"".join(lines))
        self.response_complete = True
        if not self.keep_alive:
            door.transport.close()
        door.on_response_complete()

    async def _answer_later(self, reply: Reply) -> None:
        await self._door.flow.drain()
        self._answer(reply)
