"""Every message at every turn: what the conversation allows, and that nothing else is let in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from samovar_worker.wire import order
from samovar_worker.wire.frames import ProtocolError
from samovar_worker.wire.messages import Kind
from samovar_worker.wire.order import Turn

# The conversation of docs/architecture.md, written down a second time.
ALLOWED = {
    (Turn.FORKED, Kind.READY): Turn.READY,
    (Turn.READY, Kind.INIT): Turn.INITIALIZING,
    (Turn.READY, Kind.RESTORE): Turn.INITIALIZING,
    (Turn.INITIALIZING, Kind.INIT_DONE): Turn.IDLE,
    (Turn.INITIALIZING, Kind.INIT_FAILED): Turn.FAILED,
    (Turn.IDLE, Kind.INVOKE): Turn.RUNNING,
    (Turn.RUNNING, Kind.RESULT): Turn.IDLE,
    (Turn.RUNNING, Kind.ERROR): Turn.IDLE,
    (Turn.RUNNING, Kind.REFUSED): Turn.IDLE,
}
ENGINES = {Kind.INIT, Kind.RESTORE, Kind.INVOKE}
UNKNOWN = [kind for kind in (*range(33), 127, 128, 254, 255) if kind not in set(Kind)]


@pytest.mark.parametrize("turn", Turn)
def test_each_kind_at_each_turn(turn: Turn) -> None:
    for kind, as_type in product(Kind, (Kind, int)):  # as a name, and as it comes in a frame
        number = as_type(kind)
        expected = ALLOWED.get((turn, kind))
        if expected is not None:
            assert order.after(turn, number) is expected
        else:
            with pytest.raises(ProtocolError) as caught:
                order.after(turn, number)
            assert str(caught.value) == f"{kind.name} is not legal while {turn.value}"


@pytest.mark.parametrize("turn", Turn)
def test_a_worker_cant_speak_the_engines_lines(turn: Turn) -> None:
    for kind in Kind:
        expected = None if kind in ENGINES else ALLOWED.get((turn, kind))
        assert order.REPLIES.get((turn, int(kind))) is expected
        if expected is not None:
            assert order.after_reply(turn, int(kind)) is expected
        else:
            with pytest.raises(ProtocolError) as caught:
                order.after_reply(turn, int(kind))
            assert str(caught.value) == f"{kind.name} is not legal while {turn.value}"


@pytest.mark.parametrize("after", [order.after, order.after_reply])
def test_unknown_kinds(after: Callable[[Turn, int], Turn]) -> None:
    for turn, kind in product(Turn, UNKNOWN):
        with pytest.raises(ProtocolError) as caught:
            after(turn, kind)
        assert str(caught.value) == f"kind {kind} is not legal while {turn.value}"


def test_kinds_keep_their_numbers() -> None:
    """An engine and a worker of two releases must not mean two things by one number."""
    assert {kind.name: kind.value for kind in Kind} == {
        "INIT": 1,
        "INVOKE": 2,
        "RESTORE": 3,
        "READY": 16,
        "INIT_DONE": 17,
        "INIT_FAILED": 18,
        "RESULT": 19,
        "ERROR": 20,
        "REFUSED": 21,
    }


def test_nobody_speaks_twice_in_a_row() -> None:
    """At each turn either the engine's kinds are legal or the worker's, never both."""
    for turn in Turn:
        legal = {kind for (at, kind) in ALLOWED if at is turn}
        assert not (legal & ENGINES and legal - ENGINES)


def test_every_turn_can_be_reached_and_only_a_failed_one_is_an_end() -> None:
    reached = {Turn.FORKED}
    for _ in Turn:
        for turn, kind in product(tuple(reached), Kind):
            if (turn, kind) in ALLOWED:
                reached.add(order.after(turn, kind))
    assert reached == set(Turn)
    assert {turn for turn, _ in ALLOWED} == set(Turn) - {Turn.FAILED}
