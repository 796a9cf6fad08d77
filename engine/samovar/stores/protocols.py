"""What the registry asks of a store. One conformance suite holds every implementation to it.

Each durable write is conditional on the revision that the writer has seen, and carries the id of
the node that wrote: the same protocols are meant to stand on a store that several nodes share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from samovar.errors import EngineError, SamovarError


class RevisionConflict(SamovarError):
    """A conditional write found another revision than the one it was made for.

    Nothing was written. `expected` and `found` are revisions; None stands for «no such record».
    """

    def __init__(self, key: str, expected: str | None, found: str | None) -> None:
        super().__init__(f"{key}: expected revision {expected}, found {found}")
        self.key = key
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class Record:
    """One thing as a store sees it: a key within its kind, a revision, and an opaque document.

    `node` is the node that wrote this revision. `owner` is the kind and key of the record that
    this one belongs to: it must exist, and this one is removed with it.
    """

    kind: str
    key: str
    revision: str
    document: str = field(repr=False)  # a function's has its environment
    node: str
    owner: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Write `record` in the place of the revision `expected`; None if there must be none yet."""

    record: Record
    expected: str | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the record of the revision `expected`, and all that it owns."""

    kind: str
    key: str
    expected: str


class RecordStore(Protocol):
    """What the registry keeps, durably.

    A write that has returned survives kill -9 and power loss; one that raised left nothing. If the
    awaiting task is cancelled, the write may or may not happen: the caller must not be cancellable
    between the write and what it does next. Every method raises EngineError when the store itself
    fails (a full disk, a damaged file).
    """

    async def open(self) -> None:
        """Make ready; called once before anything else, and again after `close` if need be."""

    async def close(self) -> None:
        """Let go of files and threads; idempotent."""

    async def load(self) -> tuple[Record, ...]:
        """Everything, ordered by kind and key: for the index that is built at start."""

    async def write(self, *changes: Put | Remove) -> None:
        """Carry out all of `changes` in their order, or none.

        Raises RevisionConflict for the first whose `expected` is not what is there, and for a
        record whose owner is not there.
        """


Extract = Callable[[BinaryIO, Path], None]
"""Checks a zip and writes its files below an empty directory; raises ClientError for a bad one."""


@dataclass(frozen=True, slots=True)
class KeptPackage:
    """A package in the code store. `size` is the zip's, in bytes, `unzipped` that of its files;
    `tree` is None after `check`."""

    sha256: str
    size: int
    unzipped: int
    tree: Path | None


class PackageGone(EngineError):
    """There is no such package: nothing refers to it any more, and it was collected."""


class CodeStore(Protocol):
    """Deployment packages by the SHA-256 (hex) of their zip.

    Methods raise EngineError when the store itself fails (a full disk, a damaged package), and let
    pass whatever `extract` raises. Whatever is raised, nothing half-written is left.
    """

    async def open(self) -> None:
        """Make ready; sweeps what a crash left behind."""

    async def close(self) -> None:
        """Wait for running work and let go of threads; idempotent."""

    def stage(self) -> Path:
        """A fresh path on the store's disk for a download; `put` and `check` take the file over."""

    def live_tree(self) -> Path:
        """A fresh path beside the packages' trees, for a copy that its owner keeps up to date.

        `collect` leaves it alone; whatever stands there when the store is opened is deleted.
        """

    async def put(self, content: bytes | Path, extract: Extract) -> KeptPackage:
        """Keep a package. It is extracted first: what can't be extracted is never kept."""

    async def check(self, content: bytes | Path, extract: Extract) -> KeptPackage:
        """What `put` would answer or raise, keeping nothing."""

    async def tree(self, sha256: str, extract: Extract) -> Path:
        """The package's files, extracted anew from the zip only if they aren't there."""

    async def unzipped(self, sha256: str, extract: Extract) -> int:
        """Bytes of the package's files."""

    async def merged(self, hashes: Sequence[str], extract: Extract) -> Path:
        """The files of several packages laid over each other, those of a later one on top.

        Names win, not contents: a file replaces a directory of its name and the other way round,
        and nothing is ever written through a link. Made once for the same packages in this order.
        """

    async def read(self, sha256: str) -> bytes:
        """The zip, its hash checked; raises PackageGone for one that is not there."""

    async def collect(
        self, keep: Collection[str], merged: Collection[Sequence[str]] = ()
    ) -> list[str]:
        """Delete every package that is not in `keep`, and what was `merged` of other packages than
        these; returns the hashes of the deleted packages, which are out of sight by then; their
        place on the disk is free a moment later."""
