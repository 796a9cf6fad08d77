"""SnapStart: contexts that are forked from a template, in time and in memory."""

from __future__ import annotations

from benchmarks.figures.contenders import SAMOVAR, floor
from benchmarks.harness import Contender, Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.cold import Forks
from benchmarks.probes.idle import IdleMemory

_SUBJECT = "benchmarks.template_subject:TemplateSubject"
_FORK = "walled fork of the initialised process"
_OWN = "with an init of each one's own"
_LIBRARIES = {"boto3": "boto3 and a client", "numpy": "numpy"}


def build(quick: bool) -> list[Figure]:
    """A cold start from a template beside a walled fork of the same initialised process; a hundred
    contexts beside as many that ran the init themselves."""
    many = 20 if quick else 100
    return [
        *(
            Figure(
                name=f"template-start-{library}",
                title=f"Start from a template, {title} imported, to the result, p50",
                metric=Metric.P50,
                contenders=(
                    _samovar(library, Forks),
                    _samovar(library, Forks, "Samovar without spares", Role.VARIANT, spares=0),
                    floor(_FORK, "walled_fork:WalledFork", Forks, library=f"with_{library}"),
                ),
                targets=(Target(2.0, _FORK),),
                rounds=8 if quick else 60,
                batch=1,
                warm_up=1,
            )
            for library, title in _LIBRARIES.items()
        ),
        Figure(
            name="template-memory",
            title=f"PSS per context of {many} from a template, boto3 and a client imported",
            metric=Metric.BYTES,
            contenders=(
                _samovar("boto3", IdleMemory),
                _samovar("boto3", IdleMemory, _OWN, Role.VARIANT, template=False),
            ),
            targets=(Target(0.25, _OWN),),
            rounds=1,
            batch=many,
            warm_up=0,
        ),
    ]


def _samovar(
    library: str,
    probe: type[Forks] | type[IdleMemory],
    name: str = SAMOVAR,
    role: Role = Role.SAMOVAR,
    **options: bool | int,
) -> Contender:
    return Contender(name, role, _SUBJECT, probe, {"library": f"with_{library}", **options})
