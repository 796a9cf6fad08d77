"""An engine that works for minutes, or for hours, and is no larger at the end.

    python -m tests.soak --minutes 60

`rounds` is what it does, `rest` what there is of it between two rounds.
"""
