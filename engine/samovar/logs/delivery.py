"""Delivery to CloudWatch Logs at the configured endpoint: one thread, a bounded queue, patience.

What the service can't take for now (it throttles, it is not there) is sent again, ever more
seldom, while the queue lasts; what it refuses for good is counted and gone.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from samovar.logs.batches import OVERHEAD, LogEvent, PutRequest, requests
from samovar.logs.lost import CLOUDWATCH, REFUSED, STOPPED, TOO_FAST, Lost
from samovar.neighbours import neighbour_client
from samovar.settings import Settings

__all__ = ["Delivery", "LogEvent"]

_log = logging.getLogger(__name__)
QUEUE = 16 << 20  # bytes that wait; beyond it events are dropped
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before the next attempt
_GATHER = 0.5  # seconds that events wait for others
_LAST_ATTEMPTS = 3  # that may fail once the engine stops
_READ_TIMEOUT = 10.0  # seconds
# What may be different in a moment (PutLogEvents' errors and AWS's common ones).
_PASSING = {
    *("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"),
    *("ServiceUnavailableException", "ServiceUnavailable", "InternalFailure"),
    *("OperationAbortedException", "LimitExceededException"),
}


def logs_client(settings: Settings) -> Any:
    """boto3's client for CloudWatch Logs; the patience is ours, so that a stop can end it."""
    return neighbour_client(
        "logs", settings, retries={"total_max_attempts": 1}, read_timeout=_READ_TIMEOUT
    )


class Delivery:
    """Takes events from one thread, sends them in another. `close` sends what is left."""

    def __init__(
        self, connect: Callable[[], Any], lost: Lost, queue: int = QUEUE, time_scale: float = 1.0
    ) -> None:
        """`connect` makes the client, in the thread; `time_scale` multiplies all waits."""
        self._connect = connect
        self._lost = lost
        self._queue = queue
        self._scale = time_scale
        self._gathering = _GATHER * time_scale
        self._events: deque[LogEvent] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._closing = False
        self._given_up = threading.Event()
        self._refused: set[str] = set()  # groups of which that was said
        self._last_attempts = _LAST_ATTEMPTS
        self._complained = False
        self._client: Any = None
        self._thread: threading.Thread | None = None

    def put(self, events: Iterable[LogEvent]) -> None:
        """Have `events` delivered; those that the queue has no room for are counted as lost."""
        dropped = 0
        with self._changed:
            for event in events:
                size = len(event.text) + OVERHEAD
                if self._size + size > self._queue:
                    dropped += 1
                    continue
                self._events.append(event)
                self._size += size
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="samovar-delivery", daemon=True)
            self._thread.start()
        if dropped:
            self._lost.add(CLOUDWATCH, TOO_FAST, dropped)

    def close(self, grace: float) -> None:
        """Send what is left for `grace` seconds; blocks. What remains is counted as lost."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        thread = self._thread
        if thread is None:
            return
        thread.join(grace)
        if thread.is_alive():
            with self._changed:
                self._given_up.set()
                self._changed.notify()
            # It ends once the request that it waits for has an answer, or its time is up.
            thread.join(_READ_TIMEOUT)

    # -- in the thread

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._events and not self._closing:
                    self._changed.wait()
                # A request for every line would be throttled soon.
                self._changed.wait_for(lambda: self._closing, self._gathering)
                events, self._events = self._events, deque()
            if not events:
                break
            for request in requests(events):
                self._deliver(request)
            with self._changed:
                self._size -= sum(len(event.text) + OVERHEAD for event in events)
        if self._client is not None:
            self._client.close()

    def _deliver(self, request: PutRequest) -> None:
        attempt = 0
        while not self._given_up.is_set():
            closing = self._closing
            try:
                if self._client is None:
                    self._client = self._connect()
                self._send(request)
            except Exception as error:
                if not _passes(error):
                    self._lost.add(CLOUDWATCH, REFUSED, len(request.events))
                    if request.group not in self._refused:
                        self._refused.add(request.group)
                        _log.error("CloudWatch Logs refuses logs of %s: %s", request.group, error)
                    return
                self._complain(error)
                if self._closing:
                    self._last_attempts -= 1
                    if not self._last_attempts:
                        self._given_up.set()
                wait = _WAITS[min(attempt, len(_WAITS) - 1)] * self._scale
                attempt = 0 if self._wait(wait, closing) else attempt + 1
            else:
                if self._complained:
                    self._complained = False
                    _log.warning("logs are delivered again")
                return
        self._lost.add(CLOUDWATCH, STOPPED, len(request.events))

    def _wait(self, seconds: float, closing: bool) -> bool:
        """Before another attempt. The end of the engine is a reason to make it now, if it came
        after the last one began (`closing`); returns whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._given_up.is_set() or self._closing is not closing, seconds
            )

    def _send(self, request: PutRequest) -> None:
        """PutLogEvents; group and stream are made when they are missed."""
        client = self._client
        where = {"logGroupName": request.group, "logStreamName": request.stream}
        try:
            reply = client.put_log_events(**where, logEvents=request.events)
        except client.exceptions.ResourceNotFoundException:
            self._make(client.create_log_group, logGroupName=request.group)
            self._make(client.create_log_stream, **where)
            reply = client.put_log_events(**where, logEvents=request.events)
        rejected = _rejected(reply.get("rejectedLogEventsInfo") or {}, len(request.events))
        if rejected:
            self._lost.add(CLOUDWATCH, REFUSED, rejected)

    def _make(self, create: Callable[..., Any], **names: str) -> None:
        try:
            create(**names)
        except self._client.exceptions.ResourceAlreadyExistsException:
            pass

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            _log.error("logs can't be delivered for now: %s", error)


def _rejected(info: dict[str, int], count: int) -> int:
    """How many events of a request were not taken: too old ones at its beginning, too new ones at
    its end."""
    start = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    end = info.get("tooNewLogEventStartIndex", count)
    return count - max(0, end - start)


def _passes(error: Exception) -> bool:
    """Whether the same request may go through later."""
    import botocore.exceptions as faults  # noqa: PLC0415  # loaded by now: see `neighbour_client`

    if isinstance(error, faults.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response.get("Error", {}).get("Code") in _PASSING
    return isinstance(error, faults.HTTPClientError | faults.ConnectionError)
