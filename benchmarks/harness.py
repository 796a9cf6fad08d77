"""Runs one figure: all its contenders alive at once, measured in turn, in a new order each round.

What drifts (clock rates, neighbours on the machine) drifts for everyone, and ratios are taken
within a round.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks import processes
from benchmarks.measures import Batch, Metric, Role, Summary, Target, summarise
from benchmarks.remote import ContenderError, Remote, UnavailableError

_LOAD_ERRORS = (
    ContenderError,
    OSError,
    subprocess.CalledProcessError,
    BotoCoreError,
    ClientError,
)
_QUIET_SHARE = 0.05  # of one core, by all contenders together
_QUIET_LOOK = 0.02
_QUIET_LIMIT = 5.0


class Probe(Protocol):
    """A load on one contender."""

    def measure(self, count: int) -> Batch: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who takes part. `subject` is `module:Class`, see `benchmarks.subject`."""

    name: str
    role: Role
    subject: str
    probe: Callable[[Remote], Probe]
    options: Mapping[str, Any] = field(default_factory=dict)


class Placement(StrEnum):
    """Where the contender, all its processes and its load generator may run."""

    FREE = "free"
    PINNED = "pinned"  # all on one core: no wake-ups across cores, so the repeatable one


@dataclass(frozen=True, slots=True)
class Figure:
    """A promise and those it is measured with.

    `batch` is what each contender is asked for in a round (calls, or seconds for wrk), `warm_up`
    the same before the first round (0: none).
    """

    name: str
    title: str
    metric: Metric
    contenders: tuple[Contender, ...]
    targets: tuple[Target, ...]
    rounds: int
    batch: int
    warm_up: int
    placements: tuple[Placement, ...] = (Placement.FREE,)

    @property
    def steps(self) -> int:
        return self.rounds * len(self.placements) * len(self.contenders)


@dataclass(slots=True)
class Result:
    """What came of a figure. `missing`: contenders that could not take part, with the reason."""

    figure: Figure
    summaries: dict[Placement, dict[str, Summary]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failure: str | None = None


def run(figure: Figure, dice: random.Random, step: Callable[[], object]) -> Result:
    """Measure; a contender that breaks down ends the figure, whose `failure` says why."""
    result = Result(figure)
    try:
        with ExitStack() as stack:
            present = _open(figure, stack, result)
            _measure(figure, present, dice, step, result)
    except ContenderError as error:
        result.failure = str(error)
    return result


_Present = list[tuple[Contender, Remote, Probe]]


def _open(figure: Figure, stack: ExitStack, result: Result) -> _Present:
    present: _Present = []
    for contender in figure.contenders:
        with ExitStack() as attempt:
            try:
                remote = attempt.enter_context(Remote(contender.subject, contender.options))
                with _blamed(contender, remote):
                    probe = attempt.enter_context(closing(contender.probe(remote)))
            except UnavailableError as error:
                result.missing[contender.name] = str(error)
                continue
            stack.push(attempt.pop_all())
            present.append((contender, remote, probe))
    return present


def _measure(
    figure: Figure,
    present: _Present,
    dice: random.Random,
    step: Callable[[], object],
    result: Result,
) -> None:
    if figure.warm_up:
        for contender, remote, probe in present:
            with _blamed(contender, remote):
                probe.measure(figure.warm_up)
    batches: dict[Placement, dict[str, list[Batch]]] = {
        placement: {contender.name: [] for contender, _, _ in present}
        for placement in figure.placements
    }
    for _ in range(figure.rounds):
        for placement in figure.placements:
            for contender, remote, probe in dice.sample(present, len(present)):
                with _placed(remote, placement), _blamed(contender, remote):
                    _settle([other for _, other, _ in present])
                    batches[placement][contender.name].append(
                        _one_batch(remote, probe, figure.batch)
                    )
                step()
    result.summaries = {
        placement: {name: summarise(taken, figure.metric) for name, taken in by_name.items()}
        for placement, by_name in batches.items()
    }


@contextmanager
def _blamed(contender: Contender, remote: Remote) -> Iterator[None]:
    """Turn whatever a load stumbles over into a failure that names the contender."""
    try:
        yield
    except _LOAD_ERRORS as error:
        text = f"{contender.name}: {error}\n{remote.wrote()}"
        raise ContenderError(text) from error


def _one_batch(remote: Remote, probe: Probe, count: int) -> Batch:
    engine = processes.cpu(remote.engine(), reaped=False)
    whole = processes.cpu(remote.tree())
    batch = probe.measure(count)
    batch.engine_cpu = processes.cpu(remote.engine(), reaped=False) - engine
    batch.tree_cpu = processes.cpu(remote.tree()) - whole
    return batch


@contextmanager
def _placed(remote: Remote, placement: Placement) -> Iterator[None]:
    """Confine the contender and this process, whose children (wrk) inherit it."""
    if placement is Placement.FREE:
        yield
        return
    everywhere = os.sched_getaffinity(0)
    one = {max(everywhere)}  # the first core takes most interrupts
    processes.confine([*remote.tree(), os.getpid()], one)
    try:
        yield
    finally:
        processes.confine([*remote.tree(), os.getpid()], everywhere)


def _settle(remotes: list[Remote]) -> None:
    """Wait until nobody works: what one contender still tidies up must not slow down the next.

    Not for ever: who never rests is measured as he is.
    """
    started = time.monotonic()
    while (now := time.monotonic()) < started + _QUIET_LIMIT:
        before = _work(remotes)
        time.sleep(_QUIET_LOOK)
        if _work(remotes) - before < _QUIET_SHARE * (time.monotonic() - now):
            return


def _work(remotes: list[Remote]) -> float:
    return sum(processes.cpu(remote.tree()) for remote in remotes)


def without(figure: Figure, roles: set[Role]) -> Figure:
    """The figure less the contenders of `roles`; their targets go unmeasured."""
    kept = tuple(contender for contender in figure.contenders if contender.role not in roles)
    return replace(figure, contenders=kept)
