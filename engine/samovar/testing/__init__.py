"""For your own tests: run functions on a temporary engine, hold time still, schedule without
processes.

`samovar.testing.plugin` is a pytest plugin with the fixtures `samovar_engine` and
`samovar_benchmark`.
"""

from samovar.testing.fake_launcher import FakeContext, FakeLauncher
from samovar.testing.manual_clock import ManualClock, ManualTimer
from samovar.testing.temporary import engine, run_function

__all__ = [
    "FakeContext",
    "FakeLauncher",
    "ManualClock",
    "ManualTimer",
    "engine",
    "run_function",
]
