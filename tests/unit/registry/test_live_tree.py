"""Copies of a directory: they hold what it holds, whatever happens in it meanwhile."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samovar.model import limits
from samovar.registry.live.names import is_ignored
from samovar.registry.live.tree import LiveFault, Tree

Change = Callable[[Path], None]


def catch_up(tree: Tree, source: Path, *stale: str) -> list[str]:
    """Bring `tree` up to date in `stale`; the directories that were looked into."""
    visited: list[str] = []
    tree.stale |= set(stale)
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        tree.catch_up(root, lambda path, _: visited.append(path))
    finally:
        os.close(root)
    assert not tree.stale
    return visited


def content(top: Path) -> dict[str, tuple[str, bytes | str]]:
    """Everything below `top`: kind and content by path, without what is ignored."""
    found: dict[str, tuple[str, bytes | str]] = {}
    for directory, directories, files in os.walk(top):
        directories[:] = [name for name in directories if not is_ignored(name)]
        for name in [*directories, *files]:
            path = Path(directory, name)
            place = str(path.relative_to(top))
            if is_ignored(name):
                continue
            if path.is_symlink():
                found[place] = ("link", os.readlink(path))
            elif path.is_dir():
                found[place] = ("directory", b"")
            else:
                kind = "program" if path.stat().st_mode & 0o100 else "file"
                found[place] = (kind, path.read_bytes())
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "a/b").mkdir(parents=True)
    (top / "app.py").write_text("import json\n")
    (top / "a/b/deep.py").write_text("x = 1\n")
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o700)
    (top / "link").symlink_to("a/b/deep.py")
    (top / "empty").mkdir()
    return top


@pytest.fixture
def tree(tmp_path: Path, source: Path) -> Tree:
    tree = Tree(tmp_path / "copy")
    catch_up(tree, source)
    return tree


def test_a_copy_is_readable_whatever_the_source_is(tree: Tree, source: Path) -> None:
    (source / "app.py").chmod(0o600)
    (source / "a").chmod(0o700)
    catch_up(tree, source, "app.py", "a")
    assert content(tree.path) == content(source)
    for path in [tree.path, *tree.path.rglob("*")]:
        if not path.is_symlink():
            wanted = 0o755 if path.is_dir() or path.name == "run.sh" else 0o644
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    assert tree.size == sum(p.stat().st_size for p in source.rglob("*") if p.is_file()) - len(
        "x = 1\n"  # the link is no second file
    )


def test_only_what_is_stale_is_looked_at(tree: Tree, source: Path) -> None:
    (source / "app.py").write_text("changed = True\n")
    (source / "a/b/deep.py").write_text("unheard of\n")
    assert catch_up(tree, source, "app.py") == []
    assert (tree.path / "app.py").read_text() == "changed = True\n"
    assert (tree.path / "a/b/deep.py").read_text() == "x = 1\n"
    assert catch_up(tree, source, "") == ["", "a", "a/b", "empty"]
    assert content(tree.path) == content(source)


def test_a_named_change_is_believed_where_size_and_times_are_the_same(
    tree: Tree, source: Path
) -> None:
    """The kernel's time goes by ticks; a save within one leaves no other trace than the event."""
    before = (source / "app.py").stat()
    (source / "app.py").write_text("import abcd\n")
    os.utime(source / "app.py", ns=(before.st_mtime_ns, before.st_mtime_ns))
    item = tree._items["app.py"]
    now = (source / "app.py").stat()
    same = (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_mode)
    object.__setattr__(item, "signature", same)
    catch_up(tree, source, "app.py", "")
    assert (tree.path / "app.py").read_text() == "import abcd\n"


def test_the_digest_is_that_of_the_content(tree: Tree, tmp_path: Path, source: Path) -> None:
    first = tree.sha256
    assert len(first) == 64
    (source / "app.py").write_text("import other\n")
    catch_up(tree, source, "app.py")
    changed = tree.sha256
    assert changed != first
    other = Tree(tmp_path / "other")
    catch_up(other, source)
    assert other.sha256 == changed
    (source / "app.py").write_text("import json\n")
    catch_up(tree, source, "app.py")
    assert tree.sha256 == first
    (source / "app.py").rename(source / "other.py")
    catch_up(tree, source, "app.py", "other.py")
    assert tree.sha256 != first
    (source / "other.py").rename(source / "app.py")
    (source / "app.py").chmod(0o755)
    catch_up(tree, source, "app.py", "other.py")
    assert tree.sha256 != first
    (source / "app.py").touch()
    (source / "app.py").chmod(0o644)
    catch_up(tree, source, "app.py")
    assert tree.sha256 == first


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        pytest.param(lambda top: (top / "app.py").unlink(), ["app.py"], id="a file goes"),
        pytest.param(lambda top: (top / "a").rename(top / "z"), ["a", "z"], id="a directory moves"),
        pytest.param(lambda top: (top / "a").rename(top / "z"), ["z", "a"], id="the other order"),
        pytest.param(
            lambda top: ((top / "app.py").unlink(), (top / "app.py").mkdir()),
            ["app.py"],
            id="a file becomes a directory",
        ),
        pytest.param(
            lambda top: ((top / "empty").rmdir(), (top / "empty").write_text("x")),
            ["empty"],
            id="a directory becomes a file",
        ),
        pytest.param(
            lambda top: ((top / "n/m").mkdir(parents=True), (top / "n/m/x.py").write_text("1")),
            ["n/m/x.py"],
            id="unheard directories above a file",
        ),
        pytest.param(
            lambda top: ((top / "a").rename(top / "z"), (top / "a").symlink_to("z")),
            ["a/b/deep.py", "z"],
            id="an unheard link above a file",
        ),
        pytest.param(lambda top: top / "nothing", ["nothing", "no/where"], id="nothing there"),
    ],
)
def test_changes_are_followed(tree: Tree, source: Path, change: Change, stale: list[str]) -> None:
    change(source)
    catch_up(tree, source, *stale)
    assert content(tree.path) == content(source)
    again = Tree(tree.path.with_name("again"))
    catch_up(again, source)
    assert (again.sha256, again.size) == (tree.sha256, tree.size)


def test_nothing_is_written_through_a_link(tree: Tree, source: Path, tmp_path: Path) -> None:
    """A link came, was copied, and gave way to a directory unheard: the copy's link is still there
    when a file below it is to be written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (source / "way").symlink_to(outside)
    catch_up(tree, source, "way")
    (source / "way").unlink()
    (source / "way").mkdir()
    (source / "way/x.py").write_text("x")
    catch_up(tree, source, "way/x.py")
    assert list(outside.iterdir()) == []
    assert content(tree.path) == content(source)


def test_nothing_is_read_through_a_link(tree: Tree, source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (source / "file").symlink_to(outside / "secret")
    (source / "way").symlink_to(outside)
    catch_up(tree, source, "file", "way", "way/secret")
    assert os.readlink(tree.path / "file") == str(outside / "secret")
    assert (tree.path / "way").is_symlink()


def test_what_is_no_code_is_left_out(tree: Tree, source: Path) -> None:
    os.mkfifo(source / "pipe")
    (source / "__pycache__").mkdir()
    (source / "__pycache__/app.pyc").write_bytes(b"x")
    (source / ".app.py.swp").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        before = tree.sha256
        visited = catch_up(tree, source, "", "pipe", "socket")
    assert "__pycache__" not in visited
    assert tree.sha256 == before
    assert sorted(os.listdir(tree.path)) == ["a", "app.py", "empty", "link", "run.sh"]


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("app.py", False),
        ("app.pyc", False),
        (".env", False),
        ("4913.py", False),
        ("a~b", False),
        ("4913", True),
        (".app.py.swp", True),
        (".app.py.swx", True),
        ("app.py~", True),
        (".#app.py", True),
        ("#app.py#", True),
        ("app.py___jb_tmp___", True),
        (".goutputstream-X1", True),
        ("__pycache__", True),
        (".git", True),
        (".pytest_cache", True),
        (".venv", True),
        ("venv", False),
        ("node_modules", False),
    ],
)
def test_names_that_are_ignored(name: str, ignored: bool) -> None:
    assert is_ignored(name) is ignored


def test_what_a_function_wrote_into_its_copy_is_in_nobodys_way(tree: Tree, source: Path) -> None:
    """Without walls it can."""
    (tree.path / "new.py").mkdir()
    (tree.path / "new.py/x").write_text("x")
    (tree.path / "below").write_text("x")
    (tree.path / "a/b/foreign").write_text("x")
    (tree.path / "app.py").unlink()
    (source / "new.py").write_text("new")
    (source / "below").mkdir()
    (source / "app.py").write_text("changed")
    shutil.rmtree(source / "a")
    catch_up(tree, source, "new.py", "below", "a", "app.py")
    assert content(tree.path) == content(source)


def test_a_twin_shares_files_and_no_change(tree: Tree, source: Path, tmp_path: Path) -> None:
    twin = tree.clone(tmp_path / "twin")
    assert content(twin.path) == content(tree.path)
    assert (twin.path / "app.py").samefile(tree.path / "app.py")
    before = content(tree.path)
    (source / "app.py").write_text("changed\n")
    (source / "a/b/deep.py").unlink()
    catch_up(twin, source, "app.py", "a/b/deep.py")
    assert content(twin.path) == content(source)
    assert content(tree.path) == before


def test_the_preload_follows_the_imports(tree: Tree, source: Path) -> None:
    assert tree.preload == "bare"
    (source / "a/b/deep.py").write_text("import boto3\n")
    catch_up(tree, source, "a/b/deep.py")
    assert tree.preload == "boto3"
    (source / "urllib3").mkdir()
    catch_up(tree, source, "urllib3")
    assert tree.preload == "bare"
    (source / "urllib3").rmdir()
    (source / "a/b/deep.py").unlink()
    catch_up(tree, source, "a/b/deep.py", "urllib3")
    assert tree.preload == "bare"


def test_what_is_too_large_stays_stale(
    tree: Tree, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNZIPPED_SIZE", tree.size + 10)
    before = content(tree.path)
    (source / "big").write_bytes(b"x" * 11)
    with pytest.raises(LiveFault, match="Unzipped size must be smaller than"):
        catch_up(tree, source, "big")
    assert tree.stale == {"big"}
    assert content(tree.path) == before
    (source / "big").write_bytes(b"x" * 10)
    catch_up(tree, source)
    assert content(tree.path) == content(source)


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "mkdir", "remove", "link", "rename", "hear"]), PATHS, PATHS
    ),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_any_changes_in_any_order(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]
    """The copy that hears of each change, now or later, is the one that a fresh look makes."""
    top = tmp_path_factory.mktemp("any")
    source = top / "source"
    source.mkdir()
    tree = Tree(top / "copy")
    catch_up(tree, source)
    heard: list[str] = []
    for number, (what, path, other) in enumerate(steps):
        place = source / path
        try:
            if what == "write":
                place.write_text(f"{number}")
            elif what == "mkdir":
                place.mkdir()
            elif what == "link":
                place.symlink_to(other)
            elif what == "rename":
                place.rename(source / other)
                heard.append(other)
            elif what == "remove":
                if place.is_dir() and not place.is_symlink():
                    place.rmdir()
                else:
                    place.unlink()
            else:
                catch_up(tree, source, *heard)
                heard.clear()
                continue
        except OSError:
            continue
        # The kernel names the directory in which it happened by its real path.
        heard.append(str(place.parent.resolve().relative_to(source) / place.name))
        if what == "rename":
            there = source / other
            heard.append(str(there.parent.resolve().relative_to(source) / there.name))
    catch_up(tree, source, *heard)
    assert content(tree.path) == content(source)
    fresh = Tree(top / "fresh")
    catch_up(fresh, source)
    assert (fresh.sha256, fresh.size) == (tree.sha256, tree.size)
