"""uvicorn's HTTP/1.1 protocol, with the limits and deadlines that it leaves open.

In one data_received call a small request is parsed whole, so that the common path pays only two
comparisons for all of this; a timer runs only while a request is half there.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from samovar.doors.http import faults
from samovar.doors.http.direct import InvokeCycle, goes_directly
from samovar.doors.http.door_state import DoorState
from samovar.doors.http.replies import RawHeaders, Reply, aws_error
from samovar.errors import AWS, AwsError
from samovar.invocation.identity import Identities

# Chunk sizes and trailers around a chunked body: as much again as the headers may take, plus what
# even one-byte chunks need.
_CHUNK_OVERHEAD = 8


class _Phase(Enum):
    """How much of a request has come."""

    BETWEEN = auto()  # nothing of a next one
    HEADERS = auto()
    BODY = auto()


_HEADERS = _Phase.HEADERS  # compared for every header


class DoorProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: DoorState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.state = server_state
        self.limits = server_state.limits
        self.logger = server_state.logger
        # uvicorn would write an access log as soon as the embedding program configures logging.
        self.access_log = False
        self._phase = _Phase.BETWEEN
        self._watched: _Phase | None = None  # the phase whose deadline runs (or needs none)
        self._deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None
        self._unread = 0
        self._idle_since: float | None = None  # since when the next request is awaited
        self._idle_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # come since the last request ended, while headers were awaited
        self._body_bytes = 0  # come while a body was awaited …
        self._content_bytes = 0  # … and what of that was content
        self._fault: tuple[AwsError, str] | None = None
        self._again = b""  # a request's head, to be parsed anew
        self._deaf = False  # nothing more is read from this connection

    # The transport's calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.state.stopping:
            self._refuse(faults.UNAVAILABLE, "Samovar is stopping; try again when it is back.")
        elif len(self.connections) > self.limits.connections:
            self._refuse(
                faults.UNAVAILABLE,
                f"Samovar serves {self.limits.connections} connections at once; close some, or let "
                "fewer clients share a pool of connections.",
            )
        else:
            self._watch(_Phase.HEADERS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._cancel_deadline()
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        # Only the cycle parsed last is known to uvicorn; those before it finish into the void.
        super().connection_lost(exc)
        self.pipeline.clear()
        self.state.connection_closed()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._idle_since = None
        if self._phase is _Phase.BODY:
            self._body_bytes += len(data)
        else:
            self._head_bytes += len(data)
        if not self._feed(data):
            return
        if self._phase is _Phase.HEADERS and self._head_bytes > self.limits.header_bytes:
            self._refuse(AWS.REQUEST_TOO_LARGE, self._too_long_headers())
        elif self._phase is _Phase.BODY and self._too_much_around_the_body():
            self._refuse(
                faults.BAD_REQUEST, "The chunks and trailers around the body outweigh the body."
            )
        elif self._phase is not self._watched:
            self._watch(self._phase)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._read_deadline = self.loop.call_later(self.limits.read_seconds, self._not_reading)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None

    # The parser's calls.

    def on_message_begin(self) -> None:
        self._phase = _HEADERS
        self.state.refresh_date(self.loop.time())
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is _HEADERS:  # a trailer is no header of the request
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._head_bytes > self.limits.header_bytes:
            # That counted everything which came with them; now their own size is known.
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self.limits.header_bytes:
                raise self._stop(AWS.REQUEST_TOO_LARGE, self._too_long_headers())
        if len(self.pipeline) >= self.limits.pipelined:
            raise self._stop(
                AWS.TOO_MANY_REQUESTS,
                f"More than {self.limits.pipelined} requests wait on this connection.",
            )
        if self.parser.should_upgrade():
            self._again = self._without_upgrade()
            return
        if goes_directly(self.parser.get_method(), self.url, self.headers):
            self._begin_directly()
        else:
            self._begin_with_asgi()
        self._phase = _Phase.BODY

    def _begin_with_asgi(self) -> None:
        """uvicorn makes a scope for every request as it begins; only these need one."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # that list is the scope's own
        super().on_headers_complete()

    def _begin_directly(self) -> None:
        """As uvicorn begins a request, with a cycle that is its own app."""
        before = self.cycle
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        cycle = InvokeCycle(self, self.url, self.headers, keep_alive)
        self.cycle = cycle  # type: ignore[assignment]
        if before is None or before.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, None))  # type: ignore[arg-type]

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if type(cycle) is InvokeCycle:
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._content_bytes += len(body)
        cycle: Any = self.cycle
        if type(cycle) is InvokeCycle:
            cycle.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._again:
            return
        self._phase = _Phase.BETWEEN
        self._head_bytes = self._body_bytes = self._content_bytes = 0
        cycle: Any = self.cycle
        if type(cycle) is InvokeCycle:
            cycle.complete()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, but one timer per connection looks after it between requests, not one per
        request that is cancelled by the next."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            else:
                self._idle_since = self.loop.time()
                if self._idle_timer is None:
                    self._look_at_idling(self._idle_since)
        if self._phase is _Phase.BODY and self.expect_100_continue:
            # Answered before the body was asked for: whether it still comes, nobody can tell.
            self._deaf = True
            self.transport.close()

    # What is ours.

    def _feed(self, data: bytes) -> bool:
        """Parse; false if the connection has been given up."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # The parser takes what follows the headers for another protocol's, the body too.
                data, self._again = self._again + data[upgrade.args[0] :], b""
                continue
            except httptools.HttpParserError as error:
                self._refuse(*(self._fault or (faults.BAD_REQUEST, f"Not HTTP/1.1: {error}")))
                return False
            return True

    def _without_upgrade(self) -> bytes:
        """The head of the request once more, without its offer to change the protocol.

        «Upgrade: h2c» is an offer that may be declined by not taking it up; Java's client makes it
        with its first request. CONNECT can't be declined so.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise self._stop(faults.BAD_REQUEST, "CONNECT is for proxies, and Samovar is none.")
        kept = (header for header in self.headers if header[0] != b"upgrade")
        lines = b"".join(b"%s: %s\r\n" % header for header in kept)
        version = self.parser.get_http_version().encode()
        return b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, lines)

    def _stop(self, error: AwsError, message: str) -> Exception:
        """Remember why, for `_feed`; what a callback raises comes back as a parser error."""
        self._fault = error, message
        return RuntimeError(message)

    def _too_long_headers(self) -> str:
        return f"Request line and headers must be smaller than {self.limits.header_bytes} bytes"

    def _too_much_around_the_body(self) -> bool:
        allowed = self.limits.header_bytes + (1 + _CHUNK_OVERHEAD) * self._content_bytes
        return self._body_bytes > allowed

    def _watch(self, phase: _Phase) -> None:
        """Let the deadline of `phase` run, if it has one, and no other."""
        if phase is _Phase.BETWEEN and self.cycle is None:
            return  # blank lines before the first request don't stop its clock
        self._cancel_deadline()
        self._watched = phase
        if phase is _Phase.HEADERS:
            self._deadline = self.loop.call_later(self.limits.header_seconds, self._too_slow)
        elif phase is _Phase.BODY:
            self._deadline = self.loop.call_later(self.limits.body_seconds, self._too_slow)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self.flow.read_paused:
            # It is we who don't read: a request before this one is still in progress.
            phase = self._watched
            self._watched = None
            self._watch(phase or _Phase.HEADERS)
        elif self._phase is _Phase.BETWEEN:
            self.transport.close()  # connected, and never asked anything
        elif self._phase is _Phase.HEADERS:
            limit = self.limits.header_seconds
            self._refuse(faults.REQUEST_TIMEOUT, f"The headers were not complete after {limit} s.")
        else:
            limit = self.limits.body_seconds
            self._refuse(faults.REQUEST_TIMEOUT, f"The body was not complete after {limit} s.")

    def _look_at_idling(self, now: float | None = None) -> None:
        """Close the connection if it has been idle for too long, or look again when it may be."""
        self._idle_timer = None
        since = self._idle_since
        if since is None:
            return  # the next reply sets the timer again
        left = since + self.limits.keep_alive_seconds - (self.loop.time() if now is None else now)
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_at_idling)
        else:
            self.transport.close()

    def _not_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread >= self._unread:
            self.transport.abort()
            return
        self._unread = unread  # slow is not stuck
        self._read_deadline = self.loop.call_later(self.limits.read_seconds, self._not_reading)

    def _refuse(self, error: AwsError, message: str) -> None:
        """Answer what can't become a request, and give the connection up."""
        if self._deaf:
            return
        self._deaf = True
        self._cancel_deadline()
        reply = aws_error(error, message)
        cycle: Any = self.cycle  # the request parsed last, perhaps still behind others
        if cycle is None or cycle.response_complete:
            if self._phase is not _Phase.BODY:  # else this request has had its answer
                self._write(reply)
            self.transport.close()
        elif not cycle.more_body:
            cycle.keep_alive = False  # what is complete gets its answers; the last one closes
        elif self.pipeline:
            cycle.keep_alive = False
            if isinstance(cycle, InvokeCycle):
                cycle.refuse(reply)
            else:
                cycle.more_body = False
                self.pipeline[0] = (cycle, _answering(reply, self.state.request_ids))
        else:
            cycle.disconnected = True  # whoever waits for the rest of the body stops waiting
            cycle.message_event.set()
            if not cycle.response_started:
                self._write(reply)
            self.transport.close()

    def _write(self, reply: Reply) -> None:
        """A reply outside of any request, with a request id of its own."""
        headers = [*self.state.default_headers, *_closing_headers(reply, self.state.request_ids)]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[reply.status], lines, reply.body))


def _closing_headers(reply: Reply, request_ids: Identities) -> RawHeaders:
    """The headers of a reply that belongs to no request of the app and ends its connection."""
    return [
        *reply.headers,
        (b"x-amzn-requestid", request_ids.request_id().encode()),
        (b"content-length", str(len(reply.body)).encode()),
        (b"connection", b"close"),
    ]


def _answering(reply: Reply, request_ids: Identities) -> Any:
    """An app that has one answer."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = _closing_headers(reply, request_ids)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    return answer
