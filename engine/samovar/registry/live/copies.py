"""The copies of one directory: the one that runs, those that still run, and the next one.

A new copy of 20,000 files takes a second, and with hard links a third of that: too long for a
save. So an old copy that nobody runs any more is kept, brought up to date ahead of need, and at
the next save only what that has changed is copied into it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from samovar.registry.live.tree import DirectoryGone, LiveFault, Tree
from samovar.registry.live.watch import DirectoryWatch
from samovar.stores.faults import told as faults_told

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy as it is published: it stays as it is for as long as it is in use."""

    path: Path
    sha256: str
    size: int
    preload: str


class Copies:
    """The copies of `source`, made below paths that `fresh` gives.

    Everything blocks: call it in a thread, one call at a time. `in_use` are the paths of the
    snapshots that contexts run or may start on.
    """

    def __init__(self, source: Path, fresh: Callable[[], Path], watch: DirectoryWatch) -> None:
        self._source = source
        self._fresh = fresh
        self._watch = watch
        self._trees: list[Tree] = []
        self._current: Tree | None = None

    def follow(self, changed: Collection[str], in_use: Collection[Path]) -> Snapshot:
        """Take in what has changed («» is everything) and return the copy to run from now on: the
        same as before if its content is.

        Raises LiveFault if the directory can't be copied as it is (the earlier copy stays what it
        was), DirectoryGone if it is not there, EngineError if the disk fails.
        """
        for tree in self._trees:
            tree.stale |= set(changed)
        tree = self._free(in_use) or self._another()
        self._catch_up(tree)
        if self._current is None or tree.sha256 != self._current.sha256:
            self._current = tree
        else:
            self._current.stale &= tree.stale  # its content is the source's, as has just been seen
        return self._snapshot(self._current)

    def make_next(self, in_use: Collection[Path]) -> None:
        """Have a copy ready for the next change. Raises as `follow` does."""
        if self._current is not None:
            self._catch_up(self._free(in_use) or self._another())

    def remove(self, in_use: Collection[Path]) -> bool:
        """Delete all copies but those in use; returns whether none is left."""
        self._current = None
        for tree in tuple(self._trees):
            if tree.path not in in_use:
                tree.remove()
                self._trees.remove(tree)
        return not self._trees

    def _free(self, in_use: Collection[Path]) -> Tree | None:
        free = [
            tree for tree in self._trees if tree is not self._current and tree.path not in in_use
        ]
        return min(free, key=lambda tree: len(tree.stale), default=None)

    def _another(self) -> Tree:
        path = self._fresh()
        with faults_told(path.parent):
            try:
                tree = Tree(path) if self._current is None else self._current.clone(path)
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)
                raise
        self._trees.append(tree)
        return tree

    def _catch_up(self, tree: Tree) -> None:
        root = self._open_source(tree)
        try:
            with faults_told(tree.path.parent):
                tree.catch_up(root, self._watch.cover)
        finally:
            os.close(root)

    def _open_source(self, tree: Tree) -> int:
        while True:
            if self._watch.renew():
                tree.stale.add("")
            try:
                root = os.open(self._source, _OPEN)
            except (FileNotFoundError, NotADirectoryError):
                root = -1
            except OSError as error:
                raise LiveFault(f"{self._source}: {error.strerror}") from error
            # A link on the way may have been put there since the path was allowed.
            if root >= 0 and Path(f"/proc/self/fd/{root}").readlink() == self._source:
                return root
            if root >= 0:
                os.close(root)
            if self._watch.seek():
                raise DirectoryGone(f"the directory {self._source} is not there")

    @staticmethod
    def _snapshot(tree: Tree) -> Snapshot:
        return Snapshot(tree.path, tree.sha256, tree.size, tree.preload)
