"""Deployment packages as files, each under the SHA-256 of its zip.

`<data_dir>/code/zip/<sha>.zip` is the truth; `code/tree/<sha>/` is the zip extracted once and can
`<data_dir>/code/zip/<sha>.zip` is the truth; `code/tree/<sha>/` is the zip extracted once and can
be made again, and so can what several trees were merged to (`stores.merging`), beside them;
`code/tree/live-*` are hot reload's copies, of one run of the engine; `code/tmp/` holds what is
being written and is emptied at start. A file gets its name by a rename after it is whole and
synced, so a name never stands for half a package.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from samovar.errors import EngineError
from samovar.stores.faults import told
from samovar.stores.merging import lay_over, merged_name, size_of
from samovar.stores.protocols import Extract, KeptPackage, PackageGone
from samovar.stores.syncing import sync_directory, write_synced
from samovar.stores.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Hashing and inflating let go of the GIL; more threads than this only compete for the disk.
_THREADS = 4
_ASIDE = "gone-"  # what the names begin with of what is to be deleted
_LIVE = "live-"  # what the names of trees begin with that are no package's


class FileCodeStore:
    """A CodeStore in a directory that one engine has for itself (see `stores.lock`).

    `code/` is 0700. A tree inside it is 0755 with files that all may read: functions run under
    another uid than the engine, and a bind mount of a tree onto /var/task leaves the closed
    directories above it behind, so that only the tree's own bits count.
    """

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "code"
        self._zips = self._root / "zip"
        self._trees = self._root / "tree"
        self._staging = self._root / "tmp"
        self._threads: Threads | None = None
        self._sweeps: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        if self._threads is not None:
            raise RuntimeError("already open")
        threads = Threads("samovar-code", _THREADS)
        try:
            await threads.run(self._prepare)
        except BaseException:
            await threads.close()
            raise
        self._threads = threads
        # Beside the start: there may be many thousand files of them.
        self._sweep()

    async def close(self) -> None:
        threads, self._threads = self._threads, None
        if self._sweeps:
            await asyncio.wait(self._sweeps)
        if threads is not None:
            await threads.close()

    def stage(self) -> Path:
        return self._staging / f"download-{secrets.token_hex(8)}"

    def live_tree(self) -> Path:
        return self._trees / f"{_LIVE}{secrets.token_hex(8)}"

    async def put(self, content: bytes | Path, extract: Extract) -> KeptPackage:
        return await self._run(self._put, content, extract)

    async def check(self, content: bytes | Path, extract: Extract) -> KeptPackage:
        return await self._run(self._check, content, extract)

    async def tree(self, sha256: str, extract: Extract) -> Path:
        tree = self._trees / sha256
        # A stat instead of a memory of what is there: it costs 2 us beside a cold start's ms, and
        # sees a tree that somebody has deleted.
        if tree.is_dir():
            return tree
        return await self._run(self._extract_again, sha256, extract)

    async def read(self, sha256: str) -> bytes:
        return await self._run(self._read, sha256)

    async def unzipped(self, sha256: str, extract: Extract) -> int:
        return await self._run(size_of, await self.tree(sha256, extract))

    async def merged(self, hashes: Sequence[str], extract: Extract) -> Path:
        tree = self._trees / merged_name(hashes)
        if tree.is_dir():
            return tree
        return await self._run(self._merge, tree, [await self.tree(h, extract) for h in hashes])

    async def collect(
        self, keep: Collection[str], merged: Collection[Sequence[str]] = ()
    ) -> list[str]:
        names = frozenset(map(merged_name, merged))
        gone = await self._run(self._set_aside, frozenset(keep), names)
        self._sweep()
        return gone

    def _sweep(self) -> None:
        """Delete what was set aside, beside everything else."""
        if self._threads is not None:
            task = asyncio.ensure_future(self._threads.run(self._sweep_aside))
            self._sweeps.add(task)
            task.add_done_callback(self._sweeps.discard)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._threads is None:
            raise RuntimeError("the store is not open")

        def guarded() -> T:
            with told(self._root):
                return call(*args, **kwargs)

        return await self._threads.run(guarded)

    # What follows runs in threads.

    def _prepare(self) -> None:
        with told(self._root):
            self._root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root.mkdir(mode=0o700, exist_ok=True)
            self._root.chmod(0o700)  # an older or a copied directory may be open to others
            shutil.rmtree(self._staging, ignore_errors=True)
            for directory in (self._zips, self._trees, self._staging):
                directory.mkdir(mode=0o700, exist_ok=True)
            for tree in self._trees.glob(f"{_LIVE}*"):
                self._put_aside(tree)
            self._distrust_trees_of_earlier_boot()

    def _sweep_aside(self) -> None:
        for entry in list(self._staging.glob(f"{_ASIDE}*")):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with suppress(OSError):
                    entry.unlink()

    def _distrust_trees_of_earlier_boot(self) -> None:
        """Drop the trees if the machine has gone down since they were made.

        Syncing each of a tree's files would cost seconds for a large package. The files of a tree
        outlive a killed engine, but not for sure a power loss; the zips do, they are synced.
        """
        boot = _BOOT_ID.read_bytes()
        mark = self._root / "boot_id"
        if mark.is_file() and mark.read_bytes() == boot:
            return
        for tree in list(self._trees.iterdir()):
            self._put_aside(tree)
        staged = self._staging / "boot_id"
        write_synced(staged, boot)
        staged.replace(mark)
        sync_directory(self._root)

    def _put(self, content: bytes | Path, extract: Extract) -> KeptPackage:
        with self._arrival(content) as (arrived, sha256, size):
            tree = self._trees / sha256
            kept = self._zips / f"{sha256}.zip"
            if not tree.is_dir():
                with self._extracted(arrived, extract) as fresh:
                    self._keep_zip(arrived, kept)
                    self._adopt(fresh, tree)
            else:
                self._keep_zip(arrived, kept)
            return KeptPackage(sha256, size, size_of(tree), tree)

    def _check(self, content: bytes | Path, extract: Extract) -> KeptPackage:
        with (
            self._arrival(content) as (arrived, sha256, size),
            self._extracted(arrived, extract) as fresh,
        ):
            return KeptPackage(sha256, size, size_of(fresh), None)

    def _extract_again(self, sha256: str, extract: Extract) -> Path:
        tree = self._trees / sha256
        kept = self._zips / f"{sha256}.zip"
        if _hash(kept) != sha256:
            raise self._damaged(kept)
        with self._extracted(kept, extract) as fresh:
            self._adopt(fresh, tree)
        return tree

    def _read(self, sha256: str) -> bytes:
        kept = self._zips / f"{sha256}.zip"
        try:
            content = kept.read_bytes()
        except FileNotFoundError as error:
            raise PackageGone(f"The package {kept} is not there any more.") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise self._damaged(kept)
        return content

    def _merge(self, tree: Path, parts: list[Path]) -> Path:
        with self._fresh_tree() as fresh:
            for part in parts:
                lay_over(fresh, part)
            self._adopt(fresh, tree)
        return tree

    def _set_aside(self, keep: frozenset[str], merged: frozenset[str]) -> list[str]:
        gone = set()
        # Trees first: killed in between, a zip without its tree is still a whole package.
        for entry in [*self._trees.iterdir(), *self._zips.iterdir()]:
            sha256 = entry.name.removesuffix(".zip")
            if sha256 in keep or sha256 in merged or sha256.startswith(_LIVE):
                continue
            package = entry.suffix == ".zip" or (self._zips / f"{sha256}.zip").is_file()
            self._put_aside(entry)
            if package:
                gone.add(sha256)
        return sorted(gone)

    @contextmanager
    def _arrival(self, content: bytes | Path) -> Iterator[tuple[Path, str, int]]:
        """The zip as a file in the staging directory, gone afterwards unless it was kept."""
        arrived = content if isinstance(content, Path) else self.stage()
        try:
            if isinstance(content, bytes):
                arrived.write_bytes(content)
            yield arrived, _hash(arrived), arrived.stat().st_size
        finally:
            arrived.unlink(missing_ok=True)

    @contextmanager
    def _extracted(self, zip_file: Path, extract: Extract) -> Iterator[Path]:
        """The zip's files in the staging directory, gone afterwards unless they were adopted."""
        with self._fresh_tree() as fresh:
            with zip_file.open("rb") as stream:
                extract(stream, fresh)
            yield fresh

    @contextmanager
    def _fresh_tree(self) -> Iterator[Path]:
        fresh = self._staging / f"tree-{secrets.token_hex(8)}"
        fresh.mkdir()
        try:
            fresh.chmod(0o755)  # mkdir's mode goes through the umask
            yield fresh
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _keep_zip(self, arrived: Path, kept: Path) -> None:
        if kept.is_file() and _hash(kept) == kept.name.removesuffix(".zip"):
            return
        arrived.chmod(0o600)
        fd = os.open(arrived, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        arrived.replace(kept)
        sync_directory(self._zips)

    def _adopt(self, fresh: Path, tree: Path) -> None:
        try:
            fresh.rename(tree)
        except OSError:
            if not tree.is_dir():  # else another thread has just extracted the same package
                raise

    def _put_aside(self, entry: Path) -> None:
        """So that a crash half-way leaves no half tree under a trusted name."""
        entry.rename(self._staging / f"{_ASIDE}{secrets.token_hex(8)}")

    def _damaged(self, kept: Path) -> EngineError:
        return EngineError(
            f"The package {kept} is damaged: its content does not have the hash of its name. "
            "Update the code of the functions that use it; the new upload replaces it."
        )


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
