"""The document of /_samovar/contexts: what it is made of, and that its page has its keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from samovar import census
from samovar.metrics.counts import Traffic
from samovar.metrics.event_sources import SourceNumbers
from samovar.metrics.occupancy import NOTHING, ProvisionedUse
from samovar.model import census as shapes
from samovar.model.census import ContextEntry
from samovar.model.event_source import EventSourceMapping, MappingState, ShownMapping

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


def entry(number: int, state: str, seconds: float | None = 1.0, **more: Any) -> ContextEntry:
    plain: dict[str, Any] = {
        "context": number,
        "function": ARN + "f",
        "version": "$LATEST",
        "generation": 1,
        "initialization": "on-demand",
        "state": state,
        "state_seconds": seconds,
        "frozen": False,
        "pid": 100 + number,
        "invocations": 1,
        "cold": 1,
        "warm": 0,
        "memory_mb": 5.5,
        "max_memory_used_mb": 7,
        "started": "2026-01-31T12:00:00.000Z",
    }
    found: ContextEntry = {**plain, **more}  # type: ignore[typeddict-item]
    return found


def test_contexts_are_summed_by_function_and_version() -> None:
    entries = [
        entry(1, "idle", 30.0, frozen=True),
        entry(2, "idle", 70.0, memory_mb=None, pid=None, max_memory_used_mb=9),
        entry(3, "busy", 2.0, version="2"),
        entry(4, "reserved", None, version="2"),
        entry(5, "starting", 0.1, version="10", memory_mb=None),
        entry(6, "busy", 4.0, version="2"),
        entry(7, "stopping", function=ARN + "another"),
    ]
    waiting = {ARN + "f:10#4": 2, ARN + "f:10#5": 1}
    traffic = {
        "f": {"2": Traffic({"cold": 1, "warm": 4}, 2, 3, {"on-demand": 3}, {"Reserved…": 6})},
        "unseen": {"$LATEST": Traffic({"warm": 1})},
    }
    use = ProvisionedUse(requested=5, ready=4, busy=2)
    occupancy = NOTHING._replace(
        claimed=17, reserved={"f": 9, "quiet": 0}, provisioned={("f", "2"): use}
    )
    found = census.functions(entries, waiting, traffic, occupancy, ARN)
    assert [(one["name"], one["function"], one["in_flight"]) for one in found] == [
        ("another", ARN + "another", 0),
        ("f", ARN + "f", 6),
        ("quiet", ARN + "quiet", 0),
        ("unseen", ARN + "unseen", 0),
    ]
    assert [one["reserved_concurrency"] for one in found] == [None, 9, 0, None]
    latest, ten, two = found[1]["versions"]
    assert (latest["version"], ten["version"], two["version"]) == ("$LATEST", "10", "2")
    assert latest["contexts"] == {"idle": 2}
    assert (latest["frozen"], two["frozen"]) == (1, 0)
    assert (latest["longest_idle_seconds"], latest["longest_busy_seconds"]) == (70.0, None)
    assert (latest["memory_mb"], latest["max_memory_used_mb"]) == (5.5, 9)
    assert (ten["waiting"], ten["in_flight"], ten["contexts"]) == (3, 3, {"starting": 1})
    assert (two["in_flight"], two["longest_busy_seconds"]) == (3, 4.0)
    assert (two["invocations"], two["errors"]) == ({"cold": 1, "warm": 4}, 2)
    assert (two["cold_starts"], two["throttles"]) == ({"on-demand": 3}, {"Reserved…": 6})
    assert (two["provisioned"], two["spillovers"]) == (use._asdict(), 3)
    assert (ten["provisioned"], ten["spillovers"]) == (None, 0)
    total = census.totals(found, occupancy)
    assert total == {
        "contexts": {"stopping": 1, "idle": 2, "starting": 1, "busy": 2, "reserved": 1},
        "waiting": 3,
        "in_flight": 6,
        "memory_mb": 27.5,
        "invocations": {"cold": 1, "warm": 5},
        "errors": 2,
        "cold_starts": {"on-demand": 3},
        "throttles": {"Reserved…": 6},
        "claimed_concurrency": 17,
    }


def test_nothing_comes_to_nothing() -> None:
    assert census.functions([], {}, {}, NOTHING, ARN) == []
    assert not any(census.totals([], NOTHING).values())


def test_sources_have_their_states_and_what_is_counted() -> None:
    def shown(uuid: str, function: str, **more: Any) -> ShownMapping:
        queue = "arn:aws:sqs:us-east-1:000000000000:q"
        mapping = EventSourceMapping(uuid, ARN + function, queue)
        return ShownMapping(mapping, "arn", MappingState.ENABLED, "", **more)

    numbers = SourceNumbers()
    numbers.events["polled"] = numbers.errors["Throttled"] = numbers.pollers = 3
    numbers.ages = {"s": 0.25}
    second, first = census.sources(
        [shown("a", "g"), shown("b", "f:live", last_result="OK")], {"b": numbers}
    )[::-1]
    assert first == {
        "mapping": "b",
        "function": ARN + "f:live",
        "source": "arn:aws:sqs:us-east-1:000000000000:q",
        "topic": None,
        "state": "Enabled",
        "last_result": "OK",
        "pollers": 3,
        "iterator_age_milliseconds": 250.0,
        "offset_lag": None,
        "events": {"polled": 3},
        "errors": {"Throttled": 3},
    }
    assert (second["mapping"], second["pollers"], second["events"]) == ("a", 0, {})
    assert (second["last_result"], second["iterator_age_milliseconds"]) == (None, None)


def test_a_topic_is_named_with_its_servers_and_what_is_not_committed() -> None:
    numbers = SourceNumbers()
    numbers.lags.update({"tea-0": 3, "tea-1": 4})
    mapping = EventSourceMapping("a", f"{ARN}f", "", servers=("h:1", "i:2"), topic="tea")
    shown = ShownMapping(mapping, "arn", MappingState.ENABLED, "")
    (found,) = census.sources([shown], {"a": numbers})
    assert (found["source"], found["topic"], found["offset_lag"]) == ("h:1,i:2", "tea", 7)


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("Keys may be added", shapes.Document),
        ("`limits`:", shapes.Limits),
        ("`host`:", shapes.Host),
        ("Of `sources`:", shapes.SourceEntry),
        ("Of `functions`:", shapes.FunctionEntry),
        ("Of `versions`:", shapes.VersionEntry),
        ("`provisioned`:", shapes.ProvisionedEntry),
        ("Of `contexts`:", shapes.ContextEntry),
    ],
    ids=[
        "document",
        "limits",
        "host",
        "sources",
        "functions",
        "versions",
        "provisioned",
        "contexts",
    ],
)
def test_the_page_has_every_key_and_no_other(
    checkout: Path, heading: str, shape: type[object]
) -> None:
    page = (checkout / "docs" / "contexts.md").read_text()
    rows = page.partition(heading)[2].partition("| --- |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `(\w+)` \| ", rows, re.MULTILINE)
    assert listed == list(get_type_hints(shape))


def test_the_page_says_what_the_totals_have(checkout: Path) -> None:
    page = (checkout / "docs" / "contexts.md").read_text()
    sentence = page.partition("`totals` has ")[2].partition(": ")[0]
    assert re.findall(r"`(\w+)`", sentence) == list(get_type_hints(shapes.Totals))
