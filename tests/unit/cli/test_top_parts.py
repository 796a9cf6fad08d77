"""What `samovar top` shows of a document, and of two."""

from __future__ import annotations

from io import StringIO
from typing import Any, cast

import pytest
from rich.console import Console
from tests.unit.cli.top_house import ARN, document, function, version

from samovar.doors.cli.screen import age
from samovar.doors.cli.top.rates import Rates, rates, total
from samovar.doors.cli.top.view import Order, only, packed, screen_of, table_rows, with_rates
from samovar.model.census import Document, SourceEntry

BUSY = version(
    contexts={"busy": 2, "reserved": 1, "idle": 4, "initializing": 1, "starting": 1},
    in_flight=3,
    longest_busy_seconds=12.5,
    longest_idle_seconds=400.0,
    memory_mb=71.6,
    max_memory_used_mb=31,
    invocations={"cold": 8, "warm": 1234},
    cold_starts={"on-demand": 9},
)


def lines(
    shown: Document, *, width: int = 200, height: int | None = None, trouble: str = ""
) -> list[str]:
    screen = Console(file=StringIO(), width=width)
    screen.print(
        screen_of(
            screen,
            shown,
            {},
            endpoint="http://127.0.0.1:4566",
            order=Order.CONTEXTS,
            height=height,
            trouble=trouble,
        )
    )
    assert isinstance(screen.file, StringIO)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]


def test_a_row_says_what_a_version_does() -> None:
    (row,) = table_rows(document(function("greet", BUSY)), {}, Order.NAME)
    assert row == {
        "function": "greet",
        "version": "$LATEST",
        "busy": "3",
        "idle": "4",
        "starting": "2",
        "busy for": "12 s",
        "idle for": "7 min",
        "memory": "72 MB",
        "peak": "31 MB",
        "cold": "8",
        "warm": "1234",
    }


def test_columns_come_with_what_they_are_about() -> None:
    ahead = version(
        "3",
        contexts={"stopping": 1},
        waiting=2,
        invocations={"provisioned": 5},
        provisioned={"requested": 4, "ready": 3, "busy": 1, "failed": True},
        spillovers=6,
        throttles={"memory": 1, "contexts": 2},
        errors=7,
    )
    shown = document(function("a", ahead, reserved=9), function("b", version()))
    found = {("a", "3"): Rates(1234.56, 0.25, 0.0)}
    first, second = table_rows(shown, found, Order.NAME)
    said = {
        "stopping": "1",
        "waiting": "2",
        "ahead": "5",
        "ready": "3/4 failed",
        "spilled": "6",
        "reserved": "9",
        "errors": "7",
        "throttled": "3",
        "calls/s": "1,234.6",
        "cold/s": "0.2",
    }
    assert said.items() <= first.items()
    assert second.keys() == first.keys()
    assert (second["ready"], second["reserved"], second["calls/s"]) == ("-", "-", "-")


def test_a_function_with_nothing_but_a_reservation_has_a_row() -> None:
    (row,) = table_rows(document(function("a", reserved=0)), {}, Order.NAME)
    assert (row["function"], row["version"], row["reserved"]) == ("a", "-", "off")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.NAME, "abc"),
        (Order.CONTEXTS, "cab"),
        (Order.BUSY, "bac"),
        (Order.MEMORY, "acb"),
        (Order.COLD, "cba"),
        (Order.CALLS, "bac"),
    ],
)
def test_rows_are_sorted(order: Order, expected: str) -> None:
    a = version(contexts={"idle": 2}, memory_mb=9.0, invocations={"cold": 1, "warm": 5})
    b = version(contexts={"busy": 1}, in_flight=3, invocations={"cold": 2, "warm": 9})
    c = version(contexts={"idle": 7}, memory_mb=4.0, invocations={"cold": 3})
    shown = document(function("c", c), function("b", b), function("a", a))
    rows = table_rows(shown, {}, order)
    assert "".join(row["function"] for row in rows) == expected


def test_rates_are_of_the_time_between_two_looks() -> None:
    before = document(function("f", BUSY), function("gone", BUSY), uptime=100.0)
    later = version(
        invocations={"cold": 10, "warm": 1332}, cold_starts={"on-demand": 9}, throttles={"x": 5}
    )
    now = document(function("f", later), function("new", BUSY), uptime=110.0)
    found = rates(before, now)
    assert found == {
        ("f", "$LATEST"): Rates(10.0, 0.0, 0.5),
        ("new", "$LATEST"): Rates(124.2, 0.9, 0.0),
    }
    assert total(found) == Rates(134.2, 0.9, 0.5)
    per_second = with_rates(now, found)["functions"][0]["versions"][0]["per_second"]
    assert per_second == {"invocations": 10.0, "cold": 0.0, "throttles": 0.5}


def test_there_are_no_rates_at_first_and_none_across_a_new_start() -> None:
    now = document(function("f", BUSY), uptime=3.0)
    assert rates(None, now) == {}
    assert rates(document(function("f", BUSY), uptime=99.0), now) == {}
    assert total({}) == Rates(0, 0, 0)
    assert with_rates(now, {})["functions"][0]["versions"][0]["per_second"] is None


def test_a_count_that_began_anew_is_no_negative_rate() -> None:
    before = document(function("f", BUSY), uptime=1.0)
    found = rates(before, document(function("f", version()), uptime=2.0))
    assert found == {("f", "$LATEST"): Rates(0.0, 0.0, 0.0)}


def test_the_head_says_how_the_engine_is() -> None:
    shown = document(
        uptime=7500.0,
        contexts={"idle": 4, "busy": 2},
        in_flight=3,
        waiting=1,
        memory_mb=1234.5,
        claimed_concurrency=50,
    )
    first, second, *rest = lines(shown)
    assert first == "http://127.0.0.1:4566   up 2 h   12:34:56 UTC"
    assert second == (
        "contexts 6 of 1000: 2 busy, 4 idle   in flight 3 of 500, 1 waiting   claimed 50   "
        "memory 1,234 MB   host 5,120 of 8,000 MB available   room 4,096 MB"
    )
    assert rest == ["", "no contexts, and no invocations so far"]


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 30])
def test_it_fits_the_terminal(width: int) -> None:
    shown = document(function("greet", BUSY), function("a-much-longer-name", version()))
    found = lines(shown, width=width)
    assert all(len(line) <= width for line in found)
    (headings,) = (line for line in found if line.startswith("function"))
    assert headings.split()[:4] == ["function", "version", "busy", "idle"]
    assert len([line for line in found if "$LATEST" in line]) == 2
    assert ("peak" in headings) == (width >= 100)


def test_a_low_terminal_shows_the_first_rows_and_how_many_more_there_are() -> None:
    shown = document(*(function(f"f{number}", BUSY) for number in range(10)))
    assert len(lines(shown)) == 2 + 1 + 1 + 10
    found = lines(shown, height=8)
    assert len(found) == 8
    assert [line.split()[0] for line in found[4:]] == ["f0", "f1", "f2", "…"]
    assert found[-1] == "… and 7 more"
    assert len(lines(shown, height=14)) == 14
    assert "more" not in lines(shown, height=14)[-1]
    assert lines(shown, height=1)[-1] == "… and 9 more"
    # The head does not take it all.
    low = lines(shown, width=40, height=5)
    assert [line.partition(" ")[0] for line in low[1:]] == ["", "function", "f0", "…"]


def test_trouble_stands_first() -> None:
    assert lines(document(), trouble="no answer")[0] == "no answer"


def test_some_functions_alone() -> None:
    shown = document(function("a", BUSY), function("b", BUSY), in_flight=6)
    assert [one["name"] for one in only(shown, ["b", "nobody"])["functions"]] == ["b"]
    assert only(shown, ["b"])["totals"] == shown["totals"]
    assert only(shown, []) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (45.4, "45 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (180_000.0, "2 d"),
    ],
)
def test_ages_are_short(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_parts_stay_whole() -> None:
    parts = ["one", "twotwo", "three", "a part that is longer than the line"]
    assert packed(parts, 12) == ["one   twotwo", "three", parts[3]]
    assert packed(parts, 11) == ["one", "twotwo", "three", parts[3]]


def source(name: str, of: str = "f", **given: Any) -> SourceEntry:
    found: dict[str, Any] = {
        "mapping": f"uuid-of-{name}",
        "function": ARN + of,
        "source": f"arn:aws:sqs:us-east-1:000000000000:{name}",
        "state": "Enabled",
        "last_result": None,
        "pollers": 2,
        "iterator_age_milliseconds": None,
        "events": {"polled": 1234, "failed": 5},
        "errors": {},
        **given,
    }
    return cast(SourceEntry, found)


def with_sources(*sources: SourceEntry) -> Document:
    return {**document(function("f", version())), "sources": list(sources)}


def test_event_sources_stand_below_the_functions() -> None:
    seen = with_sources(source("q"), source("p", state="Disabled", errors={"AccessDenied": 3}))
    found = lines(seen, width=150)
    at = next(at for at, line in enumerate(found) if line.startswith("state"))
    assert found[at - 1].strip() == ""
    assert found[at].split() == [
        *("state", "source", "function", "pollers", "polled", "failed", "errors")
    ]
    first = found[at + 1].split()
    assert (first[:2], first[-3:]) == (["Disabled", "sqs:p"], ["5", "3", "AccessDenied"])
    assert found[at + 2].split() == ["Enabled", "sqs:q", "f", "2", "1,234", "5", "-"]
    topic = source("q", source="127.0.0.1:9092", topic="tea", offset_lag=1234)
    found = lines(with_sources(topic), width=150)
    assert found[-2].split()[3] == "lag"
    assert found[-1].split()[:4] == ["Enabled", "kafka:tea", "f", "1,234"]
    nothing: Document = {**document(), "sources": [source("q")]}
    assert "sqs:q" in "".join(lines(nothing))


def test_event_sources_take_a_part_of_the_screen_and_no_more() -> None:
    functions = [function(f"f{number}", version()) for number in range(30)]
    sources = [source(f"q{number}") for number in range(30)]
    seen: Document = {**document(*functions), "sources": sources}
    for height in (8, 12, 16, 24, 40):
        found = lines(seen, height=height)
        assert len(found) <= height
        shown = sum("sqs:q" in line for line in found)
        assert shown == (height // 4 - 1 if height >= 12 else 0)
        assert any(line.endswith("more: samovar sources list") for line in found) == bool(shown)
    few = with_sources(source("q"))
    assert "sqs:q" in "".join(lines(few, height=8))


def test_only_a_functions_sources_are_shown_with_it() -> None:
    seen = with_sources(source("q", "f:live"), source("p", "g"))
    assert [one["mapping"] for one in only(seen, ["f"])["sources"]] == ["uuid-of-q"]
    # An engine that does not say yet.
    assert "sources" not in only(document(), ["f"])
