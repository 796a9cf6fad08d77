"""What follows for a batch of a shard from what its function said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.event_sources.shard_batches import (
    Condition,
    Piece,
    Progress,
    Ran,
    Rules,
    ShardRecord,
    aged,
    backoff,
    batch,
    lanes,
    not_run,
    ran,
)
from samovar.model.event_source import FOREVER

NOW = 1_000.0
GOOD = Ran()


def records(count: int) -> tuple[ShardRecord, ...]:
    return tuple(ShardRecord(str(number), NOW, b"{}") for number in range(count))


def keys(found: Piece | tuple[ShardRecord, ...]) -> str:
    of = found.records if isinstance(found, Piece) else found
    return "".join(record.key for record in of)


def failed(at: int = 0, error: str | None = "Unhandled") -> Ran:
    return Ran(at, error, "id", "$LATEST")


def partly(at: int) -> Ran:
    return failed(at, None)


def test_what_succeeds_is_done() -> None:
    step = ran(batch([records(3)]), GOOD, Rules())
    assert (keys(step.done), step.left, step.dropped, step.wait) == ("012", (), None, 0.0)


def test_an_error_comes_again_until_its_retries_are_used_up() -> None:
    pieces, rules = batch([records(2)]), Rules(retries=3)
    waits = []
    for _ in range(3):
        step = ran(pieces, failed(), rules)
        assert (step.done, step.dropped, keys(step.left[0])) == ((), None, "01")
        pieces = step.left
        waits.append(step.wait)
    assert waits == [1.0, 2.0, 4.0]
    step = ran(pieces, failed(), rules)
    assert step.dropped is not None
    assert (step.left, step.dropped.condition) == ((), Condition.RETRIES)
    assert (keys(step.dropped.piece), step.dropped.piece.runs) == ("01", 4)
    assert step.dropped.piece.last == failed()


def test_without_a_limit_it_comes_again_and_again() -> None:
    pieces = batch([records(1)])
    for _ in range(50):
        step = ran(pieces, failed(), Rules())
        pieces = step.left
        assert keys(pieces[0]) == "0"
    assert step.wait == 60.0


def test_what_was_not_run_uses_up_no_retry() -> None:
    pieces = batch([records(1)])
    for failures in range(1, 5):
        step = not_run(pieces)
        assert (step.wait, step.dropped) == (backoff(failures), None)
        pieces = step.left
    assert (pieces[0].retries, pieces[0].runs) == (0, 0)


def test_halves_are_tried_in_their_order_and_cost_no_retry() -> None:
    rules = Rules(retries=0, bisect=True)
    step = ran(batch([records(5)]), failed(), rules)
    assert [keys(piece) for piece in step.left] == ["01", "234"]
    step = ran(step.left, GOOD, rules)
    assert (keys(step.done), [keys(piece) for piece in step.left]) == ("01", ["234"])
    step = ran(step.left, failed(), rules)
    assert [keys(piece) for piece in step.left] == ["2", "34"]
    step = ran(step.left, failed(), rules)
    assert step.dropped is not None
    assert (keys(step.dropped.piece), [keys(piece) for piece in step.left]) == ("2", ["34"])


@pytest.mark.parametrize(("bisect", "retries"), [(False, 1), (True, 0)])
def test_a_partial_failure_goes_on_from_the_lowest(bisect: bool, retries: int) -> None:
    step = ran(batch([records(4)]), partly(2), Rules(retries=1, bisect=bisect))
    assert (keys(step.done), [keys(piece) for piece in step.left]) == ("01", ["23"])
    assert (step.left[0].retries, step.dropped) == (retries, None)


def test_a_partial_failure_uses_up_the_last_retry() -> None:
    step = ran(batch([records(4)]), partly(2), Rules(retries=0))
    assert step.dropped is not None
    assert step.dropped.piece.last is not None
    assert (keys(step.done), keys(step.dropped.piece)) == ("01", "23")
    assert step.dropped.piece.last.error is None


def test_those_that_are_too_old_are_given_up() -> None:
    ages = {"0": 61.0, "1": 62.0, "2": 60.0, "3": 61.0, "4": 1.0}
    old = tuple(ShardRecord(key, NOW - age, b"{}") for key, age in ages.items())
    step = aged(batch([old]), Rules(age=60), NOW)
    assert step.dropped is not None
    assert (keys(step.dropped.piece), step.dropped.condition) == ("01", Condition.AGE)
    step = aged(step.left, Rules(age=60), NOW)
    assert (step.dropped, [keys(piece) for piece in step.left]) == (None, ["2", "34"])


def test_without_a_limit_nothing_is_too_old() -> None:
    pieces = batch([records(2), records(1)])
    assert aged(pieces, Rules(), NOW * 1e6).left == pieces
    assert aged((), Rules(age=60), NOW).left == ()


@dataclass
class Life:
    """A batch from its beginning to its end."""

    done: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # in the order in which they left
    runs: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    steps: int = 0


class Endless(AssertionError):
    """It does not come to an end."""


@st.composite
def lives(draw: st.DrawFn) -> tuple[Life, list[str], Rules, set[str]]:
    """Whatever a function says; in the end it takes everything but poison."""
    count = draw(st.integers(1, 12))
    arrived = draw(st.lists(st.floats(0, 100), min_size=count, max_size=count))
    rules = Rules(
        draw(st.sampled_from([FOREVER, 0, 1, 3])),
        draw(st.sampled_from([FOREVER, 30.0, 90.0])),
        draw(st.booleans()),
    )
    all_keys = [str(number) for number in range(count)]
    poison = draw(st.sets(st.sampled_from(all_keys))) if rules.retries >= 0 else set()
    moods = draw(st.integers(0, 20))
    cut = draw(st.integers(0, count))
    texts = [ShardRecord(k, at, b"{}") for k, at in zip(all_keys, arrived, strict=True)]
    pieces = batch([texts[:cut], texts[cut:]])
    life, now = Life(), 100.0
    while pieces:
        life.steps += 1
        if life.steps > 500:
            raise Endless
        step = aged(pieces, rules, now)
        if step.dropped is None:
            pieces = step.left
            of = [record.key for record in pieces[0].records]
            mood = draw(st.sampled_from("nep")) if life.steps <= moods else "s"
            if mood == "n":
                step = not_run(pieces)
            else:
                life.runs.update(of)
                bad = next((at for at, key in enumerate(of) if key in poison), None)
                came = Ran(bad, None)
                if mood == "e" or (bad is not None and draw(st.booleans())):
                    came = failed()
                elif mood == "p":
                    # Whoever names what failed names poison at the latest.
                    came = partly(draw(st.integers(0, len(of) - 1 if bad is None else bad)))
                if came.failed_at is not None:
                    life.errors.update(of[came.failed_at :])
                step = ran(pieces, came, rules)
        for record in step.done:
            life.done.append(record.key)
            life.gone.append(record.key)
        if step.dropped is not None:
            life.dropped += [record.key for record in step.dropped.piece.records]
            life.gone += [record.key for record in step.dropped.piece.records]
        now += step.wait
        pieces = step.left
    return life, all_keys, rules, poison


@given(lives())
def test_every_record_leaves_once_and_in_order(
    lived: tuple[Life, list[str], Rules, set[str]],
) -> None:
    life, all_keys, rules, poison = lived
    assert life.gone == all_keys
    # What is done was run once more than it failed; what was given up failed each time.
    for key in life.done:
        assert life.runs[key] == life.errors[key] + 1
        assert key not in poison
    for key in life.dropped:
        assert life.runs[key] == life.errors[key]
    if rules.retries == FOREVER and rules.age == FOREVER:
        assert life.dropped == []


@given(st.integers(1, 64), st.data())
def test_bisecting_gives_up_the_poison_alone(count: int, data: st.DataObject) -> None:
    of = records(count)
    poison = data.draw(st.sampled_from(of)).key
    pieces, rules, given_up, done = batch([of]), Rules(retries=1, bisect=True), "", []
    runs = 0
    while pieces:
        runs += 1
        bad = any(record.key == poison for record in pieces[0].records)
        step = ran(pieces, failed() if bad else GOOD, rules)
        done += [record.key for record in step.done]
        if step.dropped is not None:
            given_up += keys(step.dropped.piece)
        pieces = step.left
    assert given_up == poison
    assert done == [record.key for record in of if record.key != poison]
    assert runs <= 2 * count.bit_length() + 3


@given(st.lists(st.text("abcdef", max_size=2)), st.integers(1, 10))
def test_lanes_keep_the_order_of_each_partition(partitions: list[str], most: int) -> None:
    of = list(zip(partitions, records(len(partitions)), strict=True))
    found = lanes(of, most)
    assert len(found) <= most
    assert sorted(one for lane in found for one in lane) == sorted(one for _, one in of)
    for partition in set(partitions):
        wanted = [one for name, one in of if name == partition]
        (lane,) = [lane for lane in found if wanted[0] in lane]
        assert [one for one in lane if one in wanted] == wanted


@given(st.permutations(range(8)))
def test_progress_is_as_far_as_nothing_is_left_out(order: list[int]) -> None:
    progress = Progress([str(number) for number in range(8)])
    gone: set[int] = set()
    for number in order:
        gone.add(number)
        progress.gone([str(number)])
        first = next((at for at in range(8) if at not in gone), 8)
        assert progress.key == (str(first - 1) if first else "")
