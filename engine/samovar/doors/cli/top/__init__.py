"""`samovar top`: the engine's contexts and functions, live.

`rates` is what changed between two looks, `view` what is shown of one (both pure), `terminal` keys
and size, and `command` is the words for it all. The looks themselves are the documents of
`/_samovar/contexts`.
"""

from samovar.doors.cli.top.command import top

__all__ = ["top"]
