"""What the scheduler's decisions cost by the number of contexts that there are."""

from __future__ import annotations

from benchmarks.figures.contenders import SAMOVAR, floor
from benchmarks.harness import Contender, Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.decision import Decisions

_SUBJECT = "benchmarks.decision_subject:DecisionSubject"
_FLOOR = "dict and deque"
_FEW = "beside 10"
# «Flat» needs a number. What a decision looks at beside its own pool is in no cache then.
_FLAT = 1.5
_LOGARITHMIC = 2.0  # the coldest of all pools is found in a heap
_TITLES = {
    "warm": "warm invocation and its end",
    "evict": "cold start that evicts",
    "tick": "tick with nothing to expire",
    "refuse": "refusal, all busy",
}


def build(quick: bool) -> list[Figure]:
    """Each decision at 10, 1,000 and 10,000 contexts."""
    return [
        Figure(
            name=f"decision-{decision}",
            title=f"Scheduler's decision beside 10,000 contexts: {title}, p50",
            metric=Metric.P50,
            contenders=(
                _contender(SAMOVAR, Role.SAMOVAR, decision, 10_000),
                _contender("all of one pool", Role.VARIANT, decision, 10_000, pools=1, asked=1),
                _contender("beside 1,000", Role.VARIANT, decision, 1000),
                _contender(_FEW, Role.VARIANT, decision, 10),
                _floor(_FLOOR, asked=10),
                *((_any(decision), _floor(f"{_FLOOR}, any", 10_000)) if asks else ()),
            ),
            targets=(Target(_LOGARITHMIC if decision == "evict" else _FLAT, _FEW),),
            rounds=3 if quick else 12,
            batch=2000 if quick else 20_000,
            warm_up=2000,
        )
        for decision, title in _TITLES.items()
        for asks in [decision in ("warm", "refuse")]
    ]


def _contender(
    name: str, role: Role, decision: str, contexts: int, *, pools: int = 0, asked: int = 10
) -> Contender:
    """Ten functions are busy, whatever stands beside them."""
    options = {"contexts": contexts, "pools": pools or contexts, "asked": asked}
    return Contender(name, role, _SUBJECT, Decisions, {**options, "decision": decision})


def _any(decision: str) -> Contender:
    """Each time another of 10,000 functions, none of which a processor's caches have."""
    return _contender("any of 10,000", Role.VARIANT, decision, 10_000, asked=10_000)


def _floor(name: str, asked: int) -> Contender:
    return floor(name, "bare_decision:BareDecision", Decisions, pools=10_000, asked=asked)
