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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from samovar.doors.http import faults, refusals
from samovar.doors.http.direct import InvokeCycle, goes_directly
from samovar.doors.http.door_state import DoorState
from samovar.doors.http.refusals import Fault, fault_of, not_http
from samovar.doors.http.replies import Reply, aws_error
from samovar.errors import AWS, AwsError
from samovar.model.limits import DEPLOY_REQUEST_SIZE


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
        self._fault: Fault | None = None
        self._again = b""  # a request's head, to be parsed anew
        self._deaf = False  # what comes from now on is dropped
        self._lingering = False  # answered for the last time; only the client's end is awaited
        self._held = 0  # bytes of this connection within `state.incoming`
        self._starting = False  # within `_start_next`
        self._deferred = False  # the next request waits until the client reads
        # Fewer bytes than these can hold neither too many headers (of four bytes at least, «a:» and
        # the line's end) nor too long ones.
        self._harmless_head = min(self.limits.header_bytes, 4 * self.limits.headers)

    # The transport's calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.state.stopping:
            self._turn_away("Samovar is stopping; try again when it is back.")
        elif len(self.connections) > self.limits.connections:
            self._turn_away(
                f"Samovar serves {self.limits.connections} connections at once; close some, or let "
                "fewer clients share a pool of connections.",
            )
        else:
            self._watch(_Phase.HEADERS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._hold(0)
        self.state.forget_unread(self)
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
        phase = self._phase
        if phase is not _Phase.BETWEEN:
            excess = self._excess()
            if excess is not None:
                self._refuse(*excess)
                return
        if phase is not self._watched:
            self._watch(phase)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may well read on: what it asked for is still answered."""
        if not self._deaf:
            if self._phase is not _Phase.BETWEEN:
                self._refuse(faults.BAD_REQUEST, "The request ended before it was complete.")
            elif self._in_progress():
                self._deaf = True
                self.cycle.keep_alive = False
        return self._in_progress() and not self._lingering

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self.state.hold_unread(self, self._unread)
        self._read_deadline = self.loop.call_later(self.limits.read_seconds, self._not_reading)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.state.forget_unread(self)
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None
        if self._deferred:  # at the end: it may write, and pause again
            self._deferred = False
            self._start_next()

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
        if self._head_bytes > self._harmless_head:
            # That counted everything which came with them; now their own size is known.
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            excess = refusals.excess_of_head(self.limits, size, len(self.headers))
            if excess is not None:
                raise self._stop(*excess)
        if len(self.pipeline) >= self.limits.pipelined:
            raise self._stop(
                AWS.TOO_MANY_REQUESTS,
                f"More than {self.limits.pipelined} requests wait on this connection.",
            )
        if self.parser.should_upgrade():
            method = self.parser.get_method()
            if method == b"CONNECT":
                raise self._stop(*refusals.NO_PROXY)
            version = self.parser.get_http_version()
            self._again = refusals.without_upgrade(method, self.url, version, self.headers)
            return
        if goes_directly(self.parser.get_method(), self.url, self.headers):
            self._begin_directly()
        else:
            self._begin_with_asgi()
        self._phase = _Phase.BODY

    def _begin_with_asgi(self) -> None:
        """uvicorn makes a scope for every request as it begins; only these need one."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        version = self.parser.get_http_version()
        fault = fault_of(url, headers, version)
        if fault is not None:
            raise self._stop(*fault)
        expects = expects and version != "1.0"  # which would take the 100 for the answer
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # that list is the scope's own
        super().on_headers_complete()

    def _begin_directly(self) -> None:
        """As uvicorn begins a request, with a cycle that is its own app."""
        before = self.cycle
        version = self.parser.get_http_version()
        if version != "1.1":
            fault = fault_of(self.url, self.headers, version)
            if fault is not None:
                raise self._stop(*fault)
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
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
        elif self.flow.write_paused:
            self.pipeline.append((cycle, app))  # its reply would only lie here
            self._deferred = True
            self.flow.pause_reading()
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
            if self.pipeline:
                self._start_next()
            else:
                self.flow.resume_reading()
                self._idle_since = self.loop.time()
                if self._idle_timer is None:
                    self._look_at_idling(self._idle_since)
        if self._phase is _Phase.BODY and self.expect_100_continue:
            # Answered before the body was asked for: whether it still comes, nobody can tell.
            self._deaf = True
            self._linger()

    # What is ours.

    def _start_next(self) -> None:
        """Start the requests that waited for the one before them, up to one that takes its time.

        A loop, and not each from within the answer to the one before: there may be a thousand.
        """
        if self._starting:
            return
        self._starting = True
        try:
            while self.pipeline and not self.transport.is_closing():
                if self.flow.write_paused:
                    self._deferred = True
                    break
                cycle, app = self.pipeline.pop()
                if not self.pipeline:
                    self.flow.resume_reading()
                self._start_asgi_task(cycle, app)
                if not cycle.response_complete:
                    break
        finally:
            self._starting = False

    def _in_progress(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _feed(self, data: bytes) -> bool:
        """Parse; false if the connection has been given up."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # The parser takes what follows the headers for another protocol's, the body too.
                data, self._again = self._again + data[upgrade.args[0] :], b""
                # And this one reads nothing more where the request was the connection's last.
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn
                continue
            except httptools.HttpParserError as error:
                self._refuse(*(self._fault or not_http(data, error)))
                return False
            return True

    def _stop(self, error: AwsError, message: str) -> Exception:
        """Remember why, for `_feed`; what a callback raises comes back as a parser error."""
        self._fault = error, message
        return RuntimeError(message)

    def _excess(self) -> Fault | None:
        """What is too much of the request that is coming, if something is."""
        limits = self.limits
        if self._phase is _Phase.HEADERS:
            held, headers = self._head_bytes, len(self.headers)
            excess = refusals.excess_of_head(limits, held, headers)
        else:
            content = self._content_bytes
            excess = refusals.excess_of_body(limits, self._body_bytes, content)
            # What is beyond any operation's limit, or answered already, is dropped as it comes.
            held = 0 if self.cycle.response_complete else min(content, DEPLOY_REQUEST_SIZE)
        if excess is None:
            self._hold(held)
            if held and self.state.incoming > limits.incoming_bytes:
                return refusals.too_much_incoming(limits)
        return excess

    def _hold(self, size: int) -> None:
        """Count what this connection holds of an incomplete request."""
        self.state.incoming += size - self._held
        self._held = size

    def _watch(self, phase: _Phase) -> None:
        """Let the deadline of `phase` run, if it has one, and no other."""
        if phase is _Phase.BETWEEN and self.cycle is None:
            return  # blank lines before the first request don't stop its clock
        self._cancel_deadline()
        self._watched = phase
        if phase is _Phase.BETWEEN:
            self._hold(0)
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
        if unread > self._unread - self.limits.read_bytes:
            self.transport.abort()
            return
        self._unread = unread  # slow is not stuck
        self._read_deadline = self.loop.call_later(self.limits.read_seconds, self._not_reading)

    def _refuse(self, error: AwsError, message: str) -> None:
        """Answer what can't become a request, and give the connection up."""
        if self._deaf:
            return
        self._deaf = True
        self._hold(0)
        self._cancel_deadline()
        self._forget_head()
        reply = aws_error(error, message)
        cycle: Any = self.cycle  # the request parsed last, perhaps still behind others
        if cycle is None or cycle.response_complete:
            if self._phase is not _Phase.BODY:  # else this request has had its answer
                self._write(reply)
            self._linger()
        elif not cycle.more_body:
            cycle.keep_alive = False  # what is complete gets its answers; the last one closes
        elif self.pipeline:
            cycle.keep_alive = False
            if isinstance(cycle, InvokeCycle):
                cycle.refuse(reply)
            else:
                cycle.more_body = False
                cycle.body = bytearray()
                self.pipeline[0] = (cycle, refusals.answering(reply, self.state.request_ids))
        else:
            cycle.disconnected = True  # whoever waits for the rest of the body stops waiting
            if isinstance(cycle, InvokeCycle):
                cycle.forget()
            else:
                cycle.body = bytearray()
            cycle.message_event.set()
            if not cycle.response_started:
                self._write(reply)
            self._linger()

    def _forget_head(self) -> None:
        """What came of a request that becomes none: the connection may linger for a while."""
        self.url, self.headers = b"", []
        self.parser = httptools.HttpRequestParser(self)  # it keeps the piece of a header

    def _turn_away(self, message: str) -> None:
        """Refuse a connection on which nothing has been asked yet."""
        self._deaf = True
        self._write(aws_error(faults.UNAVAILABLE, message))
        self.transport.close()

    def _linger(self) -> None:
        """End the connection once the client has ended it, too, or after a moment.

        To close while something unread lies here would make the kernel send a reset, and that takes
        from the client what it has not read yet: the answer.
        """
        self._lingering = True
        self._cancel_deadline()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.transport.write_eof()
            seconds = self.limits.linger_seconds
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _write(self, reply: Reply) -> None:
        """A reply outside of any request, with a request id of its own."""
        self.transport.write(refusals.as_bytes(reply, self.state))
