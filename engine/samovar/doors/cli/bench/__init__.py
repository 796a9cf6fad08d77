"""`samovar bench`: cold starts by phase and warm invocations of a function of the user's own.

`caller` makes one invocation, `rounds` many of them, `summary` is the arithmetic (pure), `shown`
and `plot` are what comes out, and `command` is the words for it all.

A cold start is had by ending the function's idle contexts first, which the engine has a page for.
A copy of the function under another name would be another function: with another environment, ARN
and log group, and it would stay behind if the measurement is killed.
"""

from samovar.doors.cli.bench.command import bench

__all__ = ["bench"]
