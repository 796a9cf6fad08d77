"""Trees laid over each other: later names win, nothing is written through a link."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.stores.house import run, sha

from samovar.stores.code_files import FileCodeStore
from samovar.stores.merging import lay_over, merged_name, size_of

# A tree as data: text is a file, a tuple a link's target, a dict a directory.
Tree = dict[str, Any]


def make(place: Path, tree: Tree) -> Path:
    place.mkdir()
    for name, content in tree.items():
        if isinstance(content, dict):
            make(place / name, content)
        elif isinstance(content, tuple):
            (place / name).symlink_to(content[0])
        else:
            (place / name).write_text(content)
    return place


def read(place: Path) -> Tree:
    return {
        path.name: (
            (str(path.readlink()),)
            if path.is_symlink()
            else read(path)
            if path.is_dir()
            else path.read_text()
        )
        for path in place.iterdir()
    }


def over(below: Tree, above: Tree) -> Tree:
    """What is to come of it."""
    merged = dict(below)
    for name, content in above.items():
        if isinstance(content, dict):
            there = merged.get(name)
            merged[name] = over(there if isinstance(there, dict) else {}, content)
        else:
            merged[name] = content
    return merged


names = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    st.text("xyz", max_size=3) | st.tuples(st.sampled_from(["a", "b", "../a", "."])),
    lambda inside: st.dictionaries(names, inside, max_size=3),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))


@given(st.lists(trees, min_size=1, max_size=5))
def test_later_names_win_and_the_sources_stay_as_they_were(
    tmp_path_factory: Any, all_: Any
) -> None:
    root = tmp_path_factory.mktemp("trees")
    places = [make(root / str(number), tree) for number, tree in enumerate(all_)]
    merged = root / "merged"
    merged.mkdir()
    wanted: Tree = {}
    for place, tree in zip(places, all_, strict=True):
        lay_over(merged, place)
        wanted = over(wanted, tree)
    assert read(merged) == wanted
    assert [read(place) for place in places] == all_


def test_files_are_not_copied_where_there_are_links(tmp_path: Path) -> None:
    source = make(tmp_path / "one", {"f": "text", "d": {"g": "1234567"}})
    target = make(tmp_path / "target", {})
    lay_over(target, source)
    assert (target / "f").stat().st_ino == (source / "f").stat().st_ino
    assert (target / "d").stat().st_mode & 0o777 == 0o755
    assert size_of(target) == 11


def test_files_are_copied_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "one", {"f": "text", "l": ("f",)})
    os.utime(source / "f", (1, 1))
    (source / "f").chmod(0o755)
    target = make(tmp_path / "target", {"f": "below"})

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    lay_over(target, source)
    assert read(target) == {"f": "text", "l": ("f",)}
    status = (target / "f").stat()
    assert (status.st_mtime, status.st_mode & 0o777) == (1, 0o755)


def extract(stream: BinaryIO, tree: Path) -> None:
    name, _, content = stream.read().decode().partition("=")
    (tree / name).write_text(content)


ONE, TWO, THREE = b"a=one", b"a=two", b"b=three"


def test_the_store_merges_once_and_in_order(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        for content in (ONE, TWO, THREE):
            assert (await store.put(content, extract)).unzipped == len(content) - 2
        forth = await store.merged([sha(ONE), sha(TWO), sha(THREE)], extract)
        back = await store.merged([sha(TWO), sha(ONE)], extract)
        assert read(forth) == {"a": "two", "b": "three"}
        assert read(back) == {"a": "one"}
        inode = forth.stat().st_ino
        again = await store.merged([sha(ONE), sha(TWO), sha(THREE)], extract)
        assert (again, again.stat().st_ino) == (forth, inode)
        assert (await store.check(ONE, extract)).unzipped == 3
        assert await store.unzipped(sha(THREE), extract) == 5

    run(tmp_path, check)


def test_a_part_that_is_gone_is_extracted_again(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        kept = [await store.put(content, extract) for content in (ONE, THREE)]
        assert kept[0].tree
        (kept[0].tree / "a").unlink()
        kept[0].tree.rmdir()
        merged = await store.merged([sha(ONE), sha(THREE)], extract)
        assert read(merged) == {"a": "one", "b": "three"}

    run(tmp_path, check)


def test_what_was_merged_is_collected_when_nobody_needs_it(tmp_path: Path) -> None:
    async def check(store: FileCodeStore) -> None:
        for content in (ONE, TWO, THREE):
            await store.put(content, extract)
        parts = [sha(ONE), sha(TWO)]
        merged = await store.merged(parts, extract)
        other = await store.merged([sha(ONE), sha(THREE)], extract)
        assert await store.collect(parts, [parts]) == [sha(THREE)]
        assert merged.is_dir()
        assert not other.exists()
        assert await store.collect(parts, []) == []  # a merged tree is no package
        assert not merged.exists()
        assert read(await store.merged(parts, extract)) == {"a": "two"}

    run(tmp_path, check)


def test_names_tell_orders_apart() -> None:
    assert merged_name(["a", "b"]) != merged_name(["b", "a"])
    assert merged_name(["a"]) != "a"
