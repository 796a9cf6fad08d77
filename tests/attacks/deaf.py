"""Ignore every signal that can be ignored, and never return."""

import contextlib
import signal


def handler(event, context):
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        signal.pause()
