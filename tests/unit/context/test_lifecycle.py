"""Every pair of states, and what an illegal move tells."""

from __future__ import annotations

import pytest

from samovar.context.lifecycle import LEGAL, ContextState, IllegalTransition, Lifecycle
from samovar.errors import SamovarError

S = ContextState
# How a context gets into each state.
PATHS = {
    S.STARTING: [],
    S.INITIALIZING: [S.INITIALIZING],
    S.IDLE: [S.INITIALIZING, S.IDLE],
    S.RESERVED: [S.INITIALIZING, S.IDLE, S.RESERVED],
    S.BUSY: [S.INITIALIZING, S.IDLE, S.RESERVED, S.BUSY],
    S.STOPPING: [S.INITIALIZING, S.IDLE, S.STOPPING],
    S.DEAD: [S.DEAD],
}
EXPECTED = {
    S.STARTING: {S.INITIALIZING, S.STOPPING, S.DEAD},
    S.INITIALIZING: {S.IDLE, S.STOPPING, S.DEAD},
    S.IDLE: {S.RESERVED, S.STOPPING, S.DEAD},
    S.RESERVED: {S.BUSY, S.DEAD},
    S.BUSY: {S.IDLE, S.STOPPING, S.DEAD},
    S.STOPPING: {S.DEAD},
    S.DEAD: set(),
}


def context_in(state: ContextState) -> Lifecycle:
    lifecycle = Lifecycle(7, "pool")
    for step in PATHS[state]:
        lifecycle.move(step)
    return lifecycle


@pytest.mark.parametrize("after", S, ids=lambda state: state.value)
@pytest.mark.parametrize("before", S, ids=lambda state: state.value)
def test_every_pair(before: ContextState, after: ContextState) -> None:
    lifecycle = context_in(before)
    assert lifecycle.state is before
    if after in EXPECTED[before]:
        lifecycle.move(after)
        assert lifecycle.state is after
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.move(after)
        assert lifecycle.state is before


def test_the_table_says_nothing_else() -> None:
    assert {(one, other) for one, others in EXPECTED.items() for other in others} == LEGAL


def test_an_illegal_move_tells_how_it_came_to_that() -> None:
    lifecycle = context_in(S.BUSY)
    with pytest.raises(IllegalTransition) as caught:
        lifecycle.move(S.RESERVED)
    assert str(caught.value) == (
        "context 7: busy -> reserved is not legal"
        " (so far: starting -> initializing -> idle -> reserved -> busy)"
    )
    assert isinstance(caught.value, SamovarError)


def test_the_history_is_bounded() -> None:
    lifecycle = context_in(S.BUSY)
    for _ in range(1000):
        for step in (S.IDLE, S.RESERVED, S.BUSY):
            lifecycle.move(step)
    with pytest.raises(IllegalTransition) as caught:
        lifecycle.move(S.STARTING)
    last = "busy -> idle -> reserved -> " * 5 + "busy"  # 16 of 3,005
    assert str(caught.value) == f"context 7: busy -> starting is not legal (so far: {last})"


def test_the_reason_of_a_move_stays() -> None:
    lifecycle = context_in(S.IDLE)
    lifecycle.move(S.STOPPING, "idle for too long")
    lifecycle.move(S.DEAD)
    assert lifecycle.reason == "idle for too long"
    assert repr(lifecycle) == "<context 7 dead of pool>"
