"""`samovar sources`: event source mappings, looked at and changed."""

from samovar.doors.cli.sources.command import sources

__all__ = ["sources"]
