"""For your own tests: run functions on a temporary engine, and hold time still.

`samovar.testing.plugin` is a pytest plugin with a `samovar_engine` fixture.
"""

from samovar.testing.manual_clock import ManualClock

__all__ = ["ManualClock"]
