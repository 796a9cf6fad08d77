"""Packages made of directories and modules."""

from __future__ import annotations

import io
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from samovar.errors import ClientError
from samovar.model import limits
from samovar.registry import packages
from samovar.registry.archives import package_module, zip_directory


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")


def test_a_directory_without_what_nobody_deploys(tmp_path: Path) -> None:
    write(tmp_path, "app.py", "lib/b.py", "lib/__pycache__/b.pyc", ".git/config", ".hidden")
    assert list(contents(zip_directory(tmp_path))) == [".hidden", "app.py", "lib/b.py"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one", "app.py", "lib/b.py", "lib/a.py")
    write(tmp_path / "two", "lib/a.py", "lib/b.py", "app.py")
    os.utime(tmp_path / "two" / "app.py", (1, 1))
    (tmp_path / "two" / "app.py").chmod(0o600)
    assert zip_directory(tmp_path / "one") == zip_directory(tmp_path / "two")
    (tmp_path / "two" / "app.py").chmod(0o700)
    assert zip_directory(tmp_path / "one") != zip_directory(tmp_path / "two")


def test_what_is_packaged_comes_out_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source, "app.py", "bin/tool")
    (source / "bin" / "tool").chmod(0o755)
    (source / "link.py").symlink_to("app.py")
    (source / "dirlink").symlink_to("bin")
    tree = tmp_path / "tree"
    tree.mkdir()
    packages.extract(io.BytesIO(zip_directory(source)), tree)
    assert (tree / "link.py").read_text() == "# app.py\n"
    assert os.readlink(tree / "dirlink") == "bin"
    assert stat.S_IMODE((tree / "bin" / "tool").stat().st_mode) == 0o755


def test_directories_that_can_not_be_packaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClientError, match="is not a directory"):
        zip_directory(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ClientError, match="neither a file, a directory nor a symbolic link"):
        zip_directory(tmp_path)
    (tmp_path / "pipe").unlink()
    monkeypatch.setattr(limits, "UNZIPPED_SIZE", 10)
    (tmp_path / "big").write_bytes(bytes(10))
    zip_directory(tmp_path)
    (tmp_path / "one more").write_bytes(b"x")
    with pytest.raises(ClientError, match="Unzipped size must be smaller"):
        zip_directory(tmp_path)


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    return root


def test_a_single_module(importable: Path) -> None:
    write(importable, "sv_lonely.py", "sv_neighbour.py")
    made = package_module("sv_lonely:handle")
    assert contents(made.content) == {"sv_lonely.py": b"# sv_lonely.py\n"}
    assert made.handler == "sv_lonely.handle"
    assert made.runtime == f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert made.import_paths[0] == str(importable)  # where its neighbours are
    assert "sv_lonely" not in sys.modules


def test_a_package_is_taken_whole_and_not_imported(importable: Path) -> None:
    write(importable, "sv_pkg/__init__.py", "sv_pkg/a/b.py", "sv_pkg/data.json")
    (importable / "sv_pkg" / "a" / "__init__.py").write_text("raise SystemExit\n")
    made = package_module("sv_pkg.a.b:handle")
    assert set(contents(made.content)) == {
        "sv_pkg/__init__.py",
        "sv_pkg/a/__init__.py",
        "sv_pkg/a/b.py",
        "sv_pkg/data.json",
    }
    assert made.handler == "sv_pkg.a.b.handle"
    assert not [name for name in sys.modules if name.startswith("sv_pkg")]


def test_a_linked_package_is_followed(importable: Path, tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/__init__.py")
    (importable / "sv_linked").symlink_to(tmp_path / "elsewhere")
    assert list(contents(package_module("sv_linked:f").content)) == ["sv_linked/__init__.py"]


def test_a_namespace_package(
    importable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second"
    write(importable, "sv_ns/one.py", "sv_ns/both.py")
    write(second, "sv_ns/two.py")
    (second / "sv_ns" / "both.py").write_text("# hidden by the first\n")
    monkeypatch.syspath_prepend(str(importable))
    monkeypatch.setattr(sys, "path", [*sys.path, str(second)])
    files = contents(package_module("sv_ns.two:f").content)
    assert set(files) == {"sv_ns/one.py", "sv_ns/both.py", "sv_ns/two.py"}
    assert files["sv_ns/both.py"] == b"# sv_ns/both.py\n"


def test_import_paths_are_directories_of_others(
    importable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(importable, "sv_paths.py")
    archive = tmp_path / "lib.zip"
    archive.write_bytes(b"")
    site = str(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, site, str(archive), site, "/nowhere"])
    paths = package_module("sv_paths:f").import_paths
    assert paths.count(site) == 1
    assert str(archive) not in paths
    assert "/nowhere" not in paths
    assert not any(Path(path, "asyncio").is_dir() for path in paths)  # the standard library
    assert not any(path.endswith("lib-dynload") for path in paths)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("sv_lonely", "must have the form"),
        ("sv_lonely:", "must have the form"),
        (":f", "must have the form"),
        ("sv-lonely:f", "must have the form"),
        ("sv_lonely:a.b", "must have the form"),
        ("__main__:f", "__main__ is another module"),
        ("json:loads", "belongs to Python itself"),
        ("sys:exit", "belongs to Python itself"),
        ("sv_nowhere:f", "no module sv_nowhere can be imported"),
        ("sv_lonely.inner:f", "has no module sv_lonely.inner"),
        ("sv_pkg.nothing:f", "has no module sv_pkg.nothing"),
    ],
)
def test_targets_that_can_not_be_packaged(importable: Path, target: str, why: str) -> None:
    write(importable, "sv_lonely.py", "sv_pkg/__init__.py")
    with pytest.raises(ClientError, match=why):
        package_module(target)


def test_a_module_inside_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "lib.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("sv_zipped.py", "")
    monkeypatch.syspath_prepend(str(archive))
    with pytest.raises(ClientError, match="has no files of its own"):
        package_module("sv_zipped:f")
