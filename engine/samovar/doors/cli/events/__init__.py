"""`samovar events`: the queue of asynchronous invocation, and what was given up."""

from samovar.doors.cli.events.command import events

__all__ = ["events"]
