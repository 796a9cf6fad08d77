"""Events that are accepted, durably, and how soon their handlers begin."""

from __future__ import annotations

from functools import partial

from benchmarks.figures.contenders import floor, samovar
from benchmarks.harness import Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.accept import BareStarts, EventStarts, Puts, WrkEvents

_QUEUE = "bare group commit"
_SERVED = "bare group commit behind HTTP"
_PIPE = "bare group commit and a pipe"
_CONNECTIONS = (1, 8, 64)


def build(quick: bool) -> list[Figure]:
    """The rates at three numbers of connections, and the time to the handler."""
    return [
        *(_rate(connections, quick) for connections in _CONNECTIONS),
        Figure(
            name="accept-to-start",
            title="Event: request sent to handler begun, 1 connection, p50",
            metric=Metric.P50,
            contenders=(
                samovar(EventStarts, http=True),
                floor(_PIPE, "bare_queue:BareQueue", BareStarts),
            ),
            targets=(Target(2.5, _PIPE),),
            rounds=3 if quick else 12,
            batch=100 if quick else 300,
            warm_up=50,
        ),
    ]


def _rate(connections: int, quick: bool) -> Figure:
    return Figure(
        name=f"accept-rate-{connections}",
        title=f"Events accepted over HTTP, {connections} at once",
        metric=Metric.RATE,
        contenders=(
            samovar(partial(WrkEvents, connections=connections), http=True, parked=True),
            samovar(
                partial(Puts, connections=connections),
                name="Samovar, embedded",
                role=Role.VARIANT,
                parked=True,
            ),
            floor(_QUEUE, "bare_queue:BareQueue", partial(Puts, connections=connections)),
            floor(_SERVED, "bare_queue:BareQueue", partial(WrkEvents, connections=connections)),
        ),
        targets=(Target(0.5, _QUEUE, at_least=True), Target(0.5, _SERVED, at_least=True)),
        rounds=2 if quick else 6,
        batch=1 if quick else 2,
        warm_up=1,
    )
