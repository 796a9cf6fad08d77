"""The subjects of the figures about decisions do what they say they time."""

from __future__ import annotations

import pytest
from benchmarks.decision_subject import DecisionSubject
from benchmarks.floors.bare_decision import BareDecision


@pytest.mark.parametrize("decision", ["warm", "evict", "tick", "refuse"])
@pytest.mark.parametrize("pools", [20, 1])
def test_each_decision_is_timed(decision: str, pools: int) -> None:
    subject = DecisionSubject(contexts=20, pools=pools, asked=1, decision=decision)
    reply = subject.commands()["decide"](count=50)
    assert len(reply["latencies"]) == 50
    assert min(reply["latencies"]) > 0
    assert len(subject._state.contexts) == 20


def test_the_floor_is_timed() -> None:
    subject = BareDecision(pools=20, asked=10)
    assert len(subject.commands()["decide"](count=50)["latencies"]) == 50
    assert all(len(pool) == 1 for pool in subject._pools.values())
