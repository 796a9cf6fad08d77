"""Loads: each asks one contender for one batch and says how long it took."""
