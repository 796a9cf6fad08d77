"""For your own tests: run functions on a temporary engine, and hold time still.

`samovar.testing.plugin` is a pytest plugin with a `samovar_engine` fixture.
"""

from samovar.testing.manual_clock import ManualClock, ManualTimer
from samovar.testing.temporary import engine, run_function

__all__ = ["ManualClock", "ManualTimer", "engine", "run_function"]
