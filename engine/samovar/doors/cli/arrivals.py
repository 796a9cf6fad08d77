"""When there may be something new in a function's log: inotify says it, and nothing polls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from inotify_simple import INotify, flags

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.screen import say
from samovar.inotify import exhausted

_WRITTEN = int(flags.MODIFY | flags.CREATE | flags.MOVED_TO | flags.ONLYDIR)
_GONE = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)
_ABOVE = int(flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
_LOOK_EVERY = 1.0  # seconds, where the system gives no watches; there is no other way then


def arrivals(directory: Path) -> Iterator[None]:
    """Yields at once, and then each time after something may have been written to a file in
    `directory`. It is watched before the first time: what comes between two looks is not missed.

    A directory that is deleted and made anew is found again. Raises Failure when the one above it
    is gone, and PermissionError.
    """
    try:
        with INotify() as watch:
            yield from _told(watch, directory)
    except OSError as error:
        reason = exhausted(error)
        if reason is None:
            raise
        say(
            f"{directory} can't be watched ({reason}): it is looked at every {_LOOK_EVERY:g} s "
            "instead; raise the limit with sysctl"
        )
    while True:
        yield
        time.sleep(_LOOK_EVERY)


def _told(watch: INotify, directory: Path) -> Iterator[None]:
    above = _watched(watch, directory.parent, _ABOVE)
    _watched(watch, directory, _WRITTEN)
    while above is not None:
        yield
        for number, mask, _, name in watch.read():
            if number != above:
                continue
            if mask & _GONE:
                above = None
            elif name == directory.name:
                _watched(watch, directory, _WRITTEN)
    raise Failure(Exit.SETTINGS, f"{directory.parent} is gone, and with it all logs")


def _watched(watch: INotify, directory: Path, mask: int) -> int | None:
    """The watch's number; None if there is no such directory (any more)."""
    try:
        return int(watch.add_watch(directory, mask))
    except (FileNotFoundError, NotADirectoryError):
        return None
