"""Cold starts and warm invocations under pytest-benchmark: the fixture `samovar_benchmark`.

    pytest_plugins = ["samovar.testing.plugin"]  # in conftest.py

    def test_a_cold_start(samovar_benchmark):
        samovar_benchmark.cold("shop.orders:handler", {"id": 7})

    def test_a_warm_one(samovar_benchmark):
        samovar_benchmark.warm("shop.orders:handler", {"id": 7})

pytest-benchmark's own options hold: --benchmark-json, --benchmark-compare and the others.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from samovar.blocking import BlockingEngine
from samovar.engine import Code
from samovar.model.invocation import Outcome, StartKind

_NAME = "benchmarked"
COLD_STARTS = 20
PAUSE = 0.05  # seconds; in less than that the engine has ended a context and forked a spare


class SamovarBenchmark:
    """Measures one function in one test, as pytest-benchmark's `benchmark` does: once.

    `benchmark` is that fixture, for its `group` and `extra_info`; `engine` is the one that the
    function is deployed to.
    """

    def __init__(self, benchmark: Any, engine: BlockingEngine) -> None:
        self.benchmark = benchmark
        self.engine = engine

    def cold(
        self,
        code: Code,
        event: Any = b"",
        *,
        rounds: int = COLD_STARTS,
        pause: float = PAUSE,
        **configuration: Any,
    ) -> Outcome:
        """Deploy `code` and measure `rounds` cold starts, one at a time; the last one's outcome.

        `code`, `event` and `configuration` (handler, runtime, environment, memory_size, timeout …)
        are those of `Engine.create_function` and `Engine.invoke`. Before each cold start the idle
        contexts are ended and `pause` seconds are waited, both unmeasured. Where the time went is
        in `benchmark.extra_info["samovar"]`. Raises AssertionError when the function fails;
        ClientError and EngineError.
        """
        invoke = self._deploy(code, event, configuration)
        invoke()  # extracts the package, which is done once in its life

        def setup() -> None:
            self.engine.drop_idle_contexts(_NAME)
            time.sleep(pause)

        outcomes: list[Outcome] = []
        self.benchmark.pedantic(
            lambda: outcomes.append(invoke()), setup=setup, rounds=rounds, iterations=1
        )
        return self._note(outcomes, StartKind.COLD)

    def warm(self, code: Code, event: Any = b"", **configuration: Any) -> Outcome:
        """Deploy `code` and measure warm invocations, as many as pytest-benchmark finds right
        (--benchmark-min-rounds, --benchmark-max-time); the last one's outcome.

        Arguments and errors are those of `cold`.
        """
        invoke = self._deploy(code, event, configuration)
        invoke()
        outcomes: list[Outcome] = []
        self.benchmark(lambda: outcomes.append(invoke()))
        return self._note(outcomes, StartKind.WARM)

    def _deploy(
        self, code: Code, event: Any, configuration: dict[str, Any]
    ) -> Callable[[], Outcome]:
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.engine.create_function(_NAME, code=code, **configuration)

        def invoke() -> Outcome:
            __tracebackhide__ = True
            outcome = self.engine.invoke(_NAME, payload)
            assert outcome.function_error is None, (
                f"the function failed: {outcome.payload.decode(errors='replace')}"
            )
            return outcome

        return invoke

    def _note(self, outcomes: Sequence[Outcome], wanted: StartKind) -> Outcome:
        starts = {outcome.start for outcome in outcomes}
        assert starts == {wanted}, f"there were {', '.join(sorted(starts))} starts"
        self.benchmark.extra_info["samovar"] = {
            "start": wanted.value,
            "median_milliseconds": {
                name: round(statistics.median(values) * 1000, 3)
                for name, values in _phases(outcomes).items()
            },
        }
        return outcomes[-1]


def _phases(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """The seconds of every phase; see ColdStart."""
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        cold = outcome.cold_start
        if cold is not None:
            for name in ("environment", "package", "init"):
                found.setdefault(name, []).append(getattr(cold, name))
        found.setdefault("handler", []).append(outcome.duration)
    return found
