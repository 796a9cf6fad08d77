"""What one PutLogEvents may hold (the service model's words)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.logs.batches import MAX_BYTES, MAX_EVENT, MAX_EVENTS, SPAN, LogEvent, requests


def events(*times: float, text: str = "x", stream: str = "s") -> list[LogEvent]:
    return [LogEvent("g", stream, time, text) for time in times]


event = st.builds(
    LogEvent,
    st.sampled_from(["g", "h"]),
    st.sampled_from(["s", "t"]),
    st.floats(0, 300_000),
    st.sampled_from(["", "ä" * 300_000, "b" * 400_000, "€" * 400_000]) | st.text(max_size=9),
)


@given(st.lists(event, max_size=5))
def test_no_request_breaks_a_limit_and_nothing_is_lost(given_events: list[LogEvent]) -> None:
    delivered: dict[tuple[str, str], str] = {}
    for request in requests(given_events):
        times = [int(item["timestamp"]) for item in request.events]
        messages = [str(item["message"]) for item in request.events]
        assert 1 <= len(messages) <= MAX_EVENTS
        assert sum(len(text.encode()) + 26 for text in messages) <= 1_048_576
        assert times == sorted(times)
        assert times[-1] - times[0] < 24 * 3600 * 1000
        assert all(messages)  # an event must not be empty
        key = request.group, request.stream
        delivered[key] = delivered.get(key, "") + "".join(messages)
    expected: dict[tuple[str, str], str] = {}
    for item in sorted(given_events, key=lambda item: int(item.time * 1000)):
        key = item.group, item.stream
        expected[key] = expected.get(key, "") + item.text.encode(errors="replace").decode() + "\n"
    assert delivered == expected


def test_ten_thousand_events() -> None:
    found = list(requests(events(*[1.0] * (MAX_EVENTS + 1))))
    assert [len(request.events) for request in found] == [MAX_EVENTS, 1]


def test_a_megabyte() -> None:
    whole = "x" * (MAX_EVENT - 1)
    assert len(list(requests(events(1, text=whole)))) == 1
    assert len(list(requests(events(1, text=whole + "x")))) == 2
    halves = "x" * (MAX_BYTES // 2 - 27)
    assert len(list(requests(events(1, 2, text=halves)))) == 1
    assert len(list(requests(events(1, 2, text=halves + "x")))) == 2


@pytest.mark.parametrize(("span", "count"), [(SPAN - 1, 1), (SPAN, 2)])
def test_a_day(span: int, count: int) -> None:
    assert len(list(requests(events(0, span / 1000)))) == count


def test_a_clock_that_was_set_back() -> None:
    (request,) = requests(events(3, 1, 2))
    assert [item["timestamp"] for item in request.events] == [1000, 2000, 3000]
