"""Hypothesis, for all tests below: the same examples each time, and no limit in time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("samovar", derandomize=True, deadline=None, database=None)
settings.load_profile("samovar")
