"""Doors translate a protocol into calls of the engine, and never decide."""
