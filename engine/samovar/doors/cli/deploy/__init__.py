"""`samovar deploy`: a function from a directory, a zip or a module, created or updated.

`source` says what is meant, `package` makes a zip of it, `handlers` finds the handler, `plan`
decides what has to change (pure), `carry_out` tells the API, and `command` is the words for it all.
"""

from samovar.doors.cli.deploy.command import deploy

__all__ = ["deploy"]
