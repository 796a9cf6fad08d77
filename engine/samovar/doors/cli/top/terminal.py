"""A terminal that is watched: keys as they are pressed, and a new size at once."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_TERMINATED = 128 + signal.SIGTERM  # what a shell makes of it
# Given `seconds`: the key that was pressed; «» once they are over, or the terminal's size changed.
Wait = Callable[[float], str]


@contextmanager
def watched() -> Iterator[Wait]:
    """Keys without Return, for the time of the block. SIGTERM ends it like an exit, so that the
    terminal is left as it was."""
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    kept = None if keyboard is None else termios.tcgetattr(keyboard)
    handlers = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGWINCH, _resized), (signal.SIGTERM, _terminated))
    }
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    try:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        yield lambda seconds: _wait(seconds, keyboard, woken)
    finally:
        signal.set_wakeup_fd(-1)
        for number, before in handlers.items():
            signal.signal(number, before)
        if keyboard is not None and kept is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, kept)
        os.close(woken)
        os.close(wakes)


def _wait(seconds: float, keyboard: int | None, woken: int) -> str:
    sources = [woken] if keyboard is None else [woken, keyboard]
    ready, _, _ = select.select(sources, [], [], seconds)
    if woken in ready:
        os.read(woken, 4096)
    if keyboard in ready and keyboard is not None:
        return os.read(keyboard, 1).decode("latin-1")
    return ""


def _resized(_number: int, _frame: FrameType | None) -> None:
    """The wake-up is what counts."""


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
