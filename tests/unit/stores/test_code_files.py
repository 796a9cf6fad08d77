"""Packages as files: kept whole or not at all, checked when read, readable by functions."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.unit.stores.house import run, sha

from samovar.errors import EngineError
from samovar.stores.code_files import FileCodeStore
from samovar.stores.protocols import PackageGone


class BadPackage(Exception):
    """What the extraction of these tests raises."""


def extract(stream: BinaryIO, tree: Path) -> None:
    """Stands for the real one (registry.packages): a content that begins with «bad» fails late."""
    content = stream.read()
    (tree / "code.py").write_bytes(content)
    if content.startswith(b"bad"):
        raise BadPackage


def everything(data_dir: Path) -> set[str]:
    """All files below the store, but for the mark of the boot."""
    root = data_dir / "code"
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return files - {"boot_id"}


def test_keeps_zip_and_tree_under_the_hash(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        kept = await store.put(b"one", extract)
        assert (kept.sha256, kept.size) == (sha(b"one"), 3)
        assert kept.tree == tmp_path / "code" / "tree" / sha(b"one")
        assert (kept.tree / "code.py").read_bytes() == b"one"
        assert await store.tree(kept.sha256, extract) == kept.tree
        assert await store.read(kept.sha256) == b"one"

    run(tmp_path, check)
    assert everything(tmp_path) == {f"zip/{sha(b'one')}.zip", f"tree/{sha(b'one')}/code.py"}


def test_takes_over_a_staged_file(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        staged = store.stage()
        staged.write_bytes(b"one")
        kept = await store.put(staged, extract)
        assert kept.sha256 == sha(b"one")
        assert not staged.exists()
        staged = store.stage()
        staged.write_bytes(b"bad")
        with pytest.raises(BadPackage):
            await store.check(staged, extract)
        assert not staged.exists()

    run(tmp_path, check)


@pytest.mark.parametrize("method", ["put", "check"])
def test_what_can_not_be_extracted_leaves_nothing(tmp_path: Path, method: str) -> None:
    async def check(store: FileCodeStore) -> None:
        with pytest.raises(BadPackage):
            await getattr(store, method)(b"bad", extract)

    run(tmp_path, check)
    assert everything(tmp_path) == set()
    assert list((tmp_path / "code" / "tmp").iterdir()) == []


def test_check_keeps_nothing(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        checked = await store.check(b"one", extract)
        assert (checked.sha256, checked.size, checked.tree) == (sha(b"one"), 3, None)

    run(tmp_path, check)
    assert everything(tmp_path) == set()


def test_same_package_is_extracted_once(tmp_path: Path) -> None:
    count = 0

    def counting(stream: BinaryIO, tree: Path) -> None:
        nonlocal count
        count += 1
        extract(stream, tree)

    async def check(store: FileCodeStore) -> None:
        first = await store.put(b"one", counting)
        assert await store.put(b"one", counting) == first

    run(tmp_path, check)
    assert count == 1


def test_concurrent_puts_of_the_same_package(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        kept = await asyncio.gather(*(store.put(b"one", extract) for _ in range(8)))
        assert set(kept) == {kept[0]}

    run(tmp_path, check)
    assert everything(tmp_path) == {f"zip/{sha(b'one')}.zip", f"tree/{sha(b'one')}/code.py"}


def test_a_lost_tree_is_made_again(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        kept = await store.put(b"one", extract)
        assert kept.tree is not None
        (kept.tree / "code.py").unlink()
        kept.tree.rmdir()
        tree = await store.tree(kept.sha256, extract)
        assert (tree / "code.py").read_bytes() == b"one"

    run(tmp_path, check)


def test_a_damaged_zip_is_noticed_and_replaced_by_an_upload(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        kept = await store.put(b"one", extract)
        assert kept.tree is not None
        (tmp_path / "code" / "zip" / f"{kept.sha256}.zip").write_bytes(b"two")
        with pytest.raises(EngineError, match="is damaged"):
            await store.read(kept.sha256)
        (kept.tree / "code.py").unlink()
        kept.tree.rmdir()
        with pytest.raises(EngineError, match="is damaged"):
            await store.tree(kept.sha256, extract)
        assert not kept.tree.exists()
        await store.put(b"one", extract)
        assert await store.read(kept.sha256) == b"one"

    run(tmp_path, check)


def test_a_missing_package(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        with pytest.raises(PackageGone, match=sha(b"never")):
            await store.read(sha(b"never"))
        with pytest.raises(EngineError, match="No such file"):
            await store.tree(sha(b"never"), extract)

    run(tmp_path, check)


def test_collects_what_nobody_refers_to(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        for content in (b"one", b"two", b"three"):
            await store.put(content, extract)
        gone = await store.collect({sha(b"two")})
        assert gone == sorted([sha(b"one"), sha(b"three")])
        assert await store.collect({sha(b"two")}) == []
        assert await store.read(sha(b"two")) == b"two"

    run(tmp_path, check)
    assert everything(tmp_path) == {f"zip/{sha(b'two')}.zip", f"tree/{sha(b'two')}/code.py"}


def test_leftovers_of_a_crash_are_swept_at_open(tmp_path: Path) -> None:
    async def nothing(store: FileCodeStore) -> None:
        assert list((tmp_path / "code" / "tmp").iterdir()) == []

    run(tmp_path, nothing)
    half = tmp_path / "code" / "tmp" / "tree-half"
    half.mkdir()
    (half / "x.py").write_text("")
    (tmp_path / "code" / "tmp" / "download-half").write_text("")
    run(tmp_path, nothing)


def test_trees_of_an_earlier_boot_are_not_trusted(tmp_path: Path) -> None:
    async def put(store: FileCodeStore) -> None:
        await store.put(b"one", extract)

    async def again(store: FileCodeStore) -> None:
        tree = tmp_path / "code" / "tree" / sha(b"one")
        assert not tree.exists()
        await store.tree(sha(b"one"), extract)
        assert (tree / "code.py").read_bytes() == b"one"

    async def still_there(store: FileCodeStore) -> None:
        assert (tmp_path / "code" / "tree" / sha(b"one")).is_dir()

    run(tmp_path, put)
    # What a power loss can do: the name of a file is there, its content is not.
    (tmp_path / "code" / "tree" / sha(b"one") / "code.py").write_bytes(b"")
    (tmp_path / "code" / "boot_id").write_text("an earlier boot\n")
    run(tmp_path, again)
    run(tmp_path, still_there)


def test_modes_whatever_the_umask(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"

    async def check(store: FileCodeStore) -> None:
        kept = await store.put(b"one", extract)
        assert kept.tree is not None
        assert stat.S_IMODE(kept.tree.stat().st_mode) == 0o755
        assert stat.S_IMODE((data_dir / "code").stat().st_mode) == 0o700
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        zip_file = data_dir / "code" / "zip" / f"{kept.sha256}.zip"
        assert stat.S_IMODE(zip_file.stat().st_mode) == 0o600

    before = os.umask(0o027)
    try:
        run(data_dir, check)
    finally:
        os.umask(before)


def test_a_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def check(store: FileCodeStore) -> None:
        raise AssertionError

    with pytest.raises(EngineError, match="data directory"):
        run(tmp_path / "file", check)
