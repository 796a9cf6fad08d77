"""An engine that has worked for a while is no larger than before. For hours: `tests.soak`."""

from __future__ import annotations

from tests.process.conftest import RunEngine
from tests.process.house import Silence
from tests.soak.__main__ import at_rest
from tests.soak.rounds import HOSTILE, Soak

from samovar.engine import Engine

FIRST = 2
ROUNDS = 2 * len(HOSTILE)
# KB of more memory: rounds in which nothing is kept differ by some 100.
MEMORY = 2048


def test_nothing_grows(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        soak = Soak(engine)
        for _ in range(FIRST):
            await soak.round()
        before = await at_rest(engine, run_walled.data_dir)
        for _ in range(ROUNDS):
            await soak.round()
        after = await at_rest(engine, run_walled.data_dir, before)
        assert after.grown(before) == {}
        assert after.memory - before.memory < MEMORY

    run_walled.log = Silence()
    run_walled(scenario)
