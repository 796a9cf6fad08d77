"""Which window a record is in, what a state is, and that every record is counted once in one
window, whatever fails and whoever dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.event_sources.test_stream_poller import THROTTLED
from tests.unit.event_sources.window_house import BEGUN, WindowHouse, start

from samovar.event_sources import windows
from samovar.event_sources.streams import Position, Where
from samovar.event_sources.windows import Turn, Window
from samovar.model import limits
from samovar.stores.leases import Lease, MemoryLeaseStore


class Came(NamedTuple):
    arrived: float
    text: bytes = b"{}"


arrivals = st.lists(st.floats(0, 400), min_size=1, max_size=12)
sizes = st.sampled_from([1, 7, 60, 900])


def chain(of: list[float], changes: list[int], latest: Window | None = None) -> list[list[float]]:
    """Records by the window that they are in, in order, of sizes that change with each step."""
    found, left, names = [], [Came(at) for at in of], set()
    while left:
        size = changes.pop() if len(changes) > 1 else changes[0]
        window, many = windows.head(left, latest, size)
        assert window is not None
        if latest is not None and latest.is_open and window is not latest:
            assert window.end > latest.end
            latest = latest.ended()
            continue
        assert many >= 1
        # Only who comes late is in a window of another time.
        assert all(one.arrived < window.end for one in left[:many])
        if window is latest:
            found[-1] += [one.arrived for one in left[:many]]
        else:
            assert window not in names
            names.add(window)
            found.append([one.arrived for one in left[:many]])
        left, latest = left[many:], window.begun()
    return found


@given(arrivals, sizes)
def test_records_that_come_in_order_are_in_the_window_of_their_moment(
    of: list[float], size: int
) -> None:
    of.sort()
    wanted: dict[int, list[float]] = {}
    for moment in of:
        wanted.setdefault(int(moment // size), []).append(moment)
    assert chain(of, [size]) == list(wanted.values())


@given(arrivals, st.lists(sizes, min_size=1, max_size=5))
def test_every_record_is_in_one_window_and_none_comes_twice(
    of: list[float], changes: list[int]
) -> None:
    found = chain(of, changes)
    assert [moment for window in found for moment in window] == of


def test_a_window_that_is_no_more_is_forgotten_once_there_are_none() -> None:
    window = Window(0, 60, "{}")
    assert windows.kept(window, 0) == window
    assert windows.kept(window.ended(), 0) is None
    assert windows.kept(window.ended(), 60) == window.ended()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (
            b'{"state": {"a": 1.0, "b": [2e400]} , "batchItemFailures": []}',
            '{"a": 1.0, "b": [2e400]}',
        ),
        (b' {"x": 1, "state":{}} ', "{}"),
        ('{"state":{"é":"\\u00e9"}}'.encode(), '{"é":"\\u00e9"}'),
        (b"", None),
        (b"null", None),
        (b'"state"', None),
        (b'[{"state":{}}]', None),
        (b"{}", None),
        (b'{"state":null}', None),
        (b'{"state":[]}', None),
        (b'{"state":"{}"}', None),
        (b'{"state":{"a":NaN}}', None),
        (b'{"state":{"a":"\xff"}}', None),
        (b'{"state":{}', None),
        (b'{"state":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", None),
    ],
)
def test_the_state_of_an_answer(answer: bytes, state: str | None) -> None:
    assert windows.state_of(answer) == state


@given(st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text(), max_size=4))
def test_what_was_answered_is_what_is_handed_on_and_written_down(state: dict[str, Any]) -> None:
    try:
        text = json.dumps(state, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        return
    answered = windows.state_of(json.dumps({"state": 1}).replace("1", text, 1).encode())
    if "Infinity" in text and answered is None:  # which is no JSON
        return
    assert answered == text
    window = Window(0, 60, answered)
    kept = Position(Where.AFTER, "7", window).text()
    assert Position.parse(kept) == Position(Where.AFTER, "7", window)
    event = json.loads(windows.event_of([Came(0, b"1"), Came(0, b"2")], Turn(window), "s", "arn"))
    assert event["state"] == state
    assert event["Records"] == [1, 2]


def test_bounds_are_of_utc_and_a_state_is_of_bytes() -> None:
    half_hour = Window(1596128400, 1596130200)
    assert windows.bounds(half_hour) == {
        "start": "2020-07-30T17:00:00Z",
        "end": "2020-07-30T17:30:00Z",
    }
    most = limits.WINDOW_STATE_SIZE
    assert not windows.is_too_large("x" * most)
    assert windows.is_too_large("x" * (most - 1) + "é")


def test_the_largest_state_goes_with_the_most_records() -> None:
    turn = Turn(Window(0, 60, "x" * limits.WINDOW_STATE_SIZE), final=True, early=True)
    records = [Came(0, b"x" * windows.RECORDS_SIZE)]
    event = windows.event_of(records, turn, "s" * 128, "arn" * 500)
    assert len(event) <= limits.SYNC_PAYLOAD_SIZE


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ('["after", "7"]', Position(Where.AFTER, "7")),  # of a version without windows
        ('["start", ""]', Position(Where.START)),
        (
            '["after", "7", {"start": 0, "end": 60, "over": true}]',
            Position(Where.AFTER, "7", Window(0, 60, None, over=True)),
        ),
    ],
)
def test_checkpoints(text: str, position: Position) -> None:
    assert Position.parse(text) == position
    assert position.text() == text


@pytest.mark.parametrize(
    "text",
    [
        '["after"]',
        '["after", "7", {}]',
        '["after", "7", 1]',
        '["after", "7", {}, {}]',
        '["after", "7", {"start": 0, "end": 60, "state": {}}]',
        "7",
        "{",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


# -- whole lives

FATES = ["fine", "error", "stateless", "throttle", "partly", "kill"]
WRITES = ["fine", "before", "after"]


@dataclass
class Life:
    """What befalls a shard: how each invocation and each write ends, in turn; later ones are
    fine."""

    arrived: list[float]
    size: int
    batch_size: int
    bisect: bool
    fates: list[str]
    writes: list[str]


lives = st.builds(
    Life,
    arrived=arrivals,
    size=sizes,
    batch_size=st.integers(1, 4),
    bisect=st.booleans(),
    fates=st.lists(st.sampled_from(FATES), max_size=8),
    writes=st.lists(st.sampled_from(WRITES), max_size=8),
)


@dataclass
class Mortal(MemoryLeaseStore):
    """Whoever writes may die of it, before or after it is durable."""

    writes: list[str]
    die: Callable[[], Any]
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def write(self, lease: Lease, checkpoint: str) -> Lease:
        fate = self.writes.pop() if self.writes and lease.shard else "fine"
        if fate == "before":
            await self.die()
        written = await super().write(lease, checkpoint)
        if fate == "after":
            await self.die()
        return written


def live(life: Life, **mapping: Any) -> WindowHouse:
    """A house after a life: all was read, and no window is open."""
    it = WindowHouse(
        tumbling_window=life.size,
        batch_size=life.batch_size,
        bisect=life.bisect,
        report_failures=True,
        **mapping,
    )
    it.shard()
    for number, moment in enumerate(life.arrived):
        it.at(moment, str(number))
    it.clock.advance(5000)

    async def played() -> None:
        dying = asyncio.Event()

        def die() -> asyncio.Future[None]:
            dying.set()
            return asyncio.get_running_loop().create_future()

        def spoil(event: dict[str, Any]) -> object:
            fate = life.fates.pop() if life.fates else "fine"
            texts = [record["text"] for record in event["Records"]]
            if fate == "kill":
                return die()
            if fate == "partly" and texts:
                done, bad = texts[: len(texts) // 2], texts[len(texts) // 2]
                counted = [*event["state"].get("texts", []), *done]
                failed = [{"itemIdentifier": f"s-{bad}"}]
                return {"state": {"texts": counted}, "batchItemFailures": failed}
            spoiled = {"error": True, "stateless": {"texts": texts}, "throttle": THROTTLED}
            return spoiled.get(fate)

        it.spoil = spoil
        it.leases = Mortal(life.writes, die)
        ended = False
        while not ended:
            poller = it.poller()
            await poller.start()
            await it.until(lambda: dying.is_set() or over(), step=5)
            ended = not dying.is_set()
            dying.clear()
            poller.cancel()
            await poller.stop()

    def over() -> bool:
        """Whether all was read, and nothing is open any more."""
        leases = it.leases._leases
        lease = leases.get(("uuid", "s"))
        position = Position.parse(lease.checkpoint) if lease else None
        return (
            position is not None
            and position.value == f"s-{len(life.arrived) - 1}"
            and position.window is not None
            and position.window.over
        )

    asyncio.run(played())
    return it


@given(lives)
def test_a_window_is_ended_with_all_that_was_in_it(life: Life) -> None:
    life.arrived.sort()
    wanted: dict[str, list[str]] = {}
    for number, moment in enumerate(life.arrived):
        begins = int((BEGUN + moment) // life.size) * life.size
        wanted.setdefault(start(begins - BEGUN), []).append(str(number))
    died = bool(set(life.writes) - {"fine"})
    finals = live(life).finals
    # Who dies before a final invocation is written down makes it again, with the same state.
    assert dict(finals) == wanted
    assert all(final in wanted.items() for final in finals)
    assert [name for name, _ in finals] == sorted(name for name, _ in finals)
    assert died or len(finals) == len(wanted)


@given(lives)
def test_every_record_is_counted_once_in_whatever_order_they_came(life: Life) -> None:
    count = len(life.arrived)
    finals = dict(live(life).finals)
    assert [text for of in finals.values() for text in of] == [str(one) for one in range(count)]


@given(lives, st.integers(0, 2))
def test_what_is_given_up_is_told_of_and_the_rest_is_counted_once(life: Life, retries: int) -> None:
    count = len(life.arrived)
    it = live(life, retries=retries, on_failure="arn:aws:sqs:us-east-1:123456789012:q")
    counted, lost = dict(it.finals), set()
    for dropped, _ in it.gone:
        lost |= {record.key.removeprefix("s-") for record in dropped.piece.records}
        assert dropped.turn is not None
        window = dropped.turn.window
        if dropped.turn.final:  # its state is told of, and is no other than a final one's
            texts = json.loads(window.state or "")["texts"] if window.state != "{}" else []
            name = windows.bounds(window)["start"]
            assert counted.setdefault(name, texts) == texts
    # Windows whose end was given up are behind the others here.
    found = sorted(int(text) for of in counted.values() for text in of)
    assert len(found) == len(set(found))
    assert set(found) | {int(text) for text in lost} == set(range(count))
