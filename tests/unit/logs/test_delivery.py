"""Delivery to CloudWatch Logs: patience, refusals, bounds and the end. What moto and so the real
API make of it, `tests/api/test_log_delivery.py` shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from samovar.logs.batches import LogEvent
from samovar.logs.delivery import Delivery
from samovar.logs.lost import CLOUDWATCH, REFUSED, STOPPED, TOO_FAST, Lost

PATIENCE = 20.0  # seconds until a condition must hold


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutLogEvents",
    )


class Service:
    """CloudWatch Logs as far as the delivery knows it. `answer` is asked before each put."""

    class exceptions:  # noqa: N801  # boto3's name
        class ResourceNotFoundException(Exception):
            pass

        class ResourceAlreadyExistsException(Exception):
            pass

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.messages: list[str] = []
        self.there: set[str] = set()
        self.answer: Callable[[], Any] = dict
        self.closed = False

    def create_log_group(self, logGroupName: str) -> None:  # noqa: N803
        self._create(logGroupName)

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> None:  # noqa: N803
        self._create(f"{logGroupName}:{logStreamName}")

    def _create(self, name: str) -> None:
        self.calls.append(f"create {name}")
        if name in self.there:
            raise self.exceptions.ResourceAlreadyExistsException
        self.there.add(name)

    def put_log_events(self, logGroupName: str, logStreamName: str, logEvents: Any) -> Any:  # noqa: N803
        self.calls.append("put")
        answer = self.answer()
        if isinstance(answer, Exception):
            raise answer
        if f"{logGroupName}:{logStreamName}" not in self.there:
            raise self.exceptions.ResourceNotFoundException
        self.messages += [event["message"] for event in logEvents]
        return answer

    def close(self) -> None:
        self.closed = True


def events(*texts: str) -> list[LogEvent]:
    return [LogEvent("g", "s", 1.0, text) for text in texts]


@contextmanager
def delivering(service: Service, **options: Any) -> Iterator[tuple[Delivery, Lost]]:
    lost = Lost()
    delivery = Delivery(lambda: service, lost, time_scale=0.001, **options)
    try:
        yield delivery, lost
    finally:
        delivery.close(PATIENCE)


def answers(*given: Any) -> Callable[[], Any]:
    """One after the other, then {} for ever."""
    left = list(given)
    return lambda: left.pop(0) if left else {}


def test_group_and_stream_are_made_when_they_are_missed() -> None:
    service = Service()
    with delivering(service) as (delivery, lost):
        delivery.put(events("a", "b"))
    assert service.messages == ["a\n", "b\n"]
    assert service.calls == ["put", "create g", "create g:s", "put"]
    assert lost.counts() == {}
    assert service.closed


def test_a_group_that_somebody_else_has_made() -> None:
    service = Service()
    service.there.add("g")
    with delivering(service) as (delivery, _):
        delivery.put(events("a"))
    assert service.messages == ["a\n"]


@pytest.mark.parametrize(
    "passing",
    [
        refusal("ThrottlingException"),
        refusal("Throttling"),
        refusal("ServiceUnavailableException", 503),
        refusal("Whatever", 500),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
    ],
    ids=["throttled", "throttled too", "unavailable", "500", "not there"],
)
def test_what_passes_is_tried_again(passing: Exception, caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    service.there |= {"g", "g:s"}
    service.answer = answers(passing, passing)
    with delivering(service) as (delivery, lost):
        delivery.put(events("a"))
    assert service.messages == ["a\n"]
    assert service.calls == ["put"] * 3
    assert lost.counts() == {}
    told = [record.levelname for record in caplog.records]
    assert told == ["ERROR", "WARNING"]  # once, and that it is over


def test_a_refusal_for_good_is_counted_and_the_next_go_on() -> None:
    service = Service()
    service.there |= {"g", "g:s"}
    service.answer = answers(refusal("AccessDeniedException"))
    with delivering(service) as (delivery, lost):
        delivery.put([*events("a", "b"), LogEvent("g", "s", 200_000.0, "a day later")])
    assert service.messages == ["a day later\n"]
    assert lost.counts() == {(CLOUDWATCH, REFUSED): 2}


@pytest.mark.parametrize(
    ("info", "count"),
    [
        ({"tooOldLogEventEndIndex": 2}, 2),
        ({"expiredLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}, 2),
        ({"tooNewLogEventStartIndex": 0}, 4),
        ({}, 0),
    ],
)
def test_single_events_that_were_rejected_are_counted(info: dict[str, int], count: int) -> None:
    service = Service()
    service.there |= {"g", "g:s"}
    service.answer = answers({"rejectedLogEventsInfo": info})
    with delivering(service) as (delivery, lost):
        delivery.put(events("a", "b", "c", "d"))
    assert lost.counts().get((CLOUDWATCH, REFUSED), 0) == count


def test_beyond_its_bound_it_drops_and_counts() -> None:
    service = Service()
    service.there |= {"g", "g:s"}
    with delivering(service, queue=1000) as (delivery, lost):
        delivery.put(events(*["x" * 74] * 15))
    assert len(service.messages) == 10
    assert lost.counts() == {(CLOUDWATCH, TOO_FAST): 5}


def test_the_end_does_not_wait_for_a_service_that_never_comes() -> None:
    service = Service()
    tried = threading.Event()

    def never() -> Any:
        tried.set()
        return refusal("ThrottlingException")

    service.answer = never
    lost = Lost()
    delivery = Delivery(lambda: service, lost, time_scale=1000)  # waits of minutes
    delivery._closing = True  # it does not gather
    delivery.put(events("a", "b"))
    assert tried.wait(PATIENCE)
    delivery.close(0.01)
    assert lost.counts() == {(CLOUDWATCH, STOPPED): 2}


@pytest.mark.parametrize("during", [False, True], ids=["while it waits", "during the attempt"])
def test_the_end_comes_before_a_long_wait_is_over(during: bool) -> None:
    """The service is there again by then: the last events go to it."""
    service = Service()
    service.there |= {"g", "g:s"}
    tried = threading.Event()

    def once() -> Any:
        if tried.is_set():
            return {}
        delivery._closing = during
        tried.set()
        return refusal("ThrottlingException")

    service.answer = once
    lost = Lost()
    delivery = Delivery(lambda: service, lost, time_scale=1000)  # waits of minutes
    delivery._gathering = 0
    delivery.put(events("a"))
    assert tried.wait(PATIENCE)
    delivery.close(PATIENCE)
    assert service.messages == ["a\n"]
    assert lost.counts() == {}


def test_nothing_is_started_for_nothing() -> None:
    with delivering(Service()):
        assert "samovar-delivery" not in {thread.name for thread in threading.enumerate()}
