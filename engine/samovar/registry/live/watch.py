"""What the kernel says of changes in a directory, by inotify: no thread, and nothing that polls."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from inotify_simple import INotify, flags

from samovar.inotify import exhausted
from samovar.registry.live.names import is_ignored

# A file is complete when its writer has closed it (CLOSE_WRITE), so MODIFY is not asked for.
_CHANGES = int(
    flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.EXCL_UNLINK
)
_MOVED = int(flags.MOVE_SELF | flags.ONLYDIR)
_ARRIVALS = int(flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
_SELF = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)

Told = Callable[[set[str]], None]


class DirectoryWatch:
    """Watches `root`, all below it, and that it stays where it is.

    `told` is called on the loop with the paths (relative to `root`) that have changed; «» stands
    for everything. `renew`, `cover` and `seek` block and may be called in another thread, one at a
    time. `exhausted` says why some of it is not watched, if the system's limits are reached.
    """

    def __init__(self, root: Path, told: Told) -> None:
        self.exhausted: str | None = None
        self._root = root
        self._told = told
        self._inotify: INotify | None = None
        # Watch numbers are never used again, so what is unknown is an old one's echo, or one whose
        # path is just being written down.
        self._paths: dict[int, str] = {}
        self._around: set[int] = set()  # of the directories above the root
        self._displaced = False

    @property
    def fd(self) -> int | None:
        """What to call `readable` for; None where the system gives none."""
        return None if self._inotify is None else self._inotify.fileno()

    def close(self) -> None:
        """Stop watching; idempotent. Whoever reads `fd` has to let go of it before."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def renew(self) -> bool:
        """Before changes are taken in: get a descriptor, let go of a root that has left its place.

        Returns True if not all is watched now, so that all has to be covered anew.
        """
        if self._inotify is None:
            self.exhausted = None
            self._open()
            return True
        incomplete, self.exhausted = self.exhausted is not None, None
        if not self._displaced:
            return incomplete
        self._displaced = False
        old, self._paths, self._around = [*self._paths, *self._around], {}, set()
        for number in old:
            try:
                self._inotify.rm_watch(number)
            except OSError:
                continue  # gone with its directory
        return True

    def cover(self, path: str, descriptor: int) -> None:
        """Watch the open directory whose path below the root is `path`."""
        number = self._add(f"/proc/self/fd/{descriptor}", _CHANGES)
        if number is not None:
            self._paths[number] = path
        if not path:
            for above in self._root.parents:
                number = self._add(str(above), _MOVED)
                if number is not None:
                    self._around.add(number)

    def seek(self) -> bool:
        """Wait for a root that is not there: watch the nearest directory above that is.

        Returns False if the root is there after all.
        """
        self._displaced = True
        line = [self._root, *self._root.parents]
        while not _is_in_place(self._root):
            nearest = next(place for place, above in enumerate(line) if _is_in_place(above))
            number = self._add(str(line[nearest]), _ARRIVALS)
            if number is None:
                self.exhausted = self.exhausted or f"{line[nearest]} can't be read"
                return True
            self._around.add(number)
            if not _is_in_place(line[nearest - 1]):
                return True  # and if it comes now, that is heard
        return False

    def readable(self) -> None:
        """Read what the kernel has to say, and tell it."""
        if self._inotify is None:
            return
        changed: set[str] = set()
        for number, mask, _, name in self._inotify.read(timeout=0):
            if mask & flags.IGNORED:
                self._paths.pop(number, None)
                self._around.discard(number)
            elif mask & flags.Q_OVERFLOW:
                changed.add("")  # events were lost
            elif number in self._around:
                changed |= self._above_changed(mask)
            else:
                changed |= self._changed(self._paths.get(number), mask, name)
        if changed:
            self._told(changed)

    def _above_changed(self, mask: int) -> set[str]:
        if mask & _SELF:
            self._displaced = True
        return {""}

    def _changed(self, directory: str | None, mask: int, name: str) -> set[str]:
        if directory is None:
            return {""}
        if not name:
            if mask & _SELF and not directory:
                self._displaced = True
                return {""}
            return set()  # a directory below the root: the one above it tells the same
        if is_ignored(name):
            return set()
        path = f"{directory}/{name}" if directory else name
        if mask & flags.CREATE and not mask & flags.ISDIR and self._is_being_written(path):
            return set()
        return {path}

    def _is_being_written(self, path: str) -> bool:
        """Whether a new file will be heard of again, when it is closed (a link to one will not)."""
        try:
            found = (self._root / path).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_nlink == 1

    def _open(self) -> None:
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            self._note_exhausted(error)

    def _add(self, path: str, mask: int) -> int | None:
        if self._inotify is None:
            return None
        try:
            return int(self._inotify.add_watch(path, mask))
        except OSError as error:
            self._note_exhausted(error)
            return None  # not there, or not to be read: then what is in it is no code either

    def _note_exhausted(self, error: OSError) -> None:
        self.exhausted = exhausted(error) or self.exhausted


def _is_in_place(directory: Path) -> bool:
    """Whether it is there, and not somewhere else by way of a link."""
    try:
        return directory.is_dir() and directory.resolve() == directory
    except (OSError, RuntimeError):
        return False
