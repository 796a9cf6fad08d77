"""What a deployment sends: which files, under which name, the same bytes each time."""

from __future__ import annotations

import io
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from samovar.doors.cli.deploy import package
from samovar.doors.cli.deploy.install import pip_command
from samovar.doors.cli.deploy.package import Package, make_package
from samovar.doors.cli.deploy.source import Kind, resolve, valid_name
from samovar.doors.cli.exits import Exit, Failure
from samovar.model import limits

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
HANDLER = "def handler(event, context):\n    return event\n"


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HANDLER)
    return root


def made(path: Path, *, install: bool = False) -> Package:
    return make_package(resolve(str(path)), install=install, runtime=RUNTIME)


def names(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.namelist()


# sources


def test_what_a_source_is_and_what_its_function_is_called(tmp_path: Path) -> None:
    write(tmp_path / "my greet.v2", "app.py")
    source = resolve(str(tmp_path / "my greet.v2"))
    assert (source.kind, source.name) == (Kind.DIRECTORY, "my-greet-v2")
    with zipfile.ZipFile(tmp_path / "build.zip", "w") as archive:
        archive.writestr("app.py", HANDLER)
    source = resolve(str(tmp_path / "build.zip"))
    assert (source.kind, source.name) == (Kind.ZIP, "build")
    source = resolve("shop.orders:place_one")
    assert (source.kind, source.name) == (Kind.MODULE, "shop-orders-place_one")


def test_the_current_directory_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path / "greet", "app.py"))
    assert resolve(".").name == "greet"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ok_1-a", "ok_1-a"),
        ("ä!b", "b"),
        ("..", ""),
        ("x" * 70, "x" * 64),
        ("a" * 63 + ".b", "a" * 63),
    ],
)
def test_names_are_made_valid(text: str, name: str) -> None:
    assert valid_name(text) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere", "SOURCE is a directory, a zip, or package.module:function"),
        ("a-b:c", "SOURCE is a directory"),
        ("app.py", "name the function in it, like app:handler"),
        ("notes.txt", "neither a directory nor a zip"),
    ],
)
def test_what_is_no_source_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(write(tmp_path, "app.py", "notes.txt"))
    with pytest.raises(Failure) as raised:
        resolve(text)
    assert raised.value.exit_code == Exit.USAGE
    assert said in raised.value.message


# directories


def test_the_same_files_give_the_same_package(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "app.py", "lib/a.py", "lib/b.py")
    two = write(tmp_path / "two", "lib/b.py", "lib/a.py", "app.py")
    os.utime(two / "app.py", (1, 1))
    assert made(one).content == made(two).content
    assert made(one).sha256 == made(two).sha256
    (two / "app.py").chmod(0o755)
    assert made(one).content != made(two).content


def test_what_nobody_deploys_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "app.py", ".env", "__pycache__/app.pyc", ".git/HEAD", ".venv/bin/python")
    write(tmp_path, "venv-of-another-name/pyvenv.cfg", "venv-of-another-name/lib/x.py")
    write(tmp_path, "lib/inner.py", "lib/__pycache__/inner.pyc")
    assert names(made(tmp_path).content) == [".env", "app.py", "lib/inner.py"]


def test_an_ignore_file_is_read_as_git_would(tmp_path: Path) -> None:
    write(
        tmp_path, "app.py", "test_app.py", "lib/test_lib.py", "lib/keep.py", "docs/a.md", "docs.py"
    )
    (tmp_path / ".samovarignore").write_text("# ours\ntest_*.py\n/docs/\n!lib/keep.py\n")
    found = made(tmp_path)
    assert names(found.content) == ["app.py", "docs.py", "lib/keep.py"]
    assert found.files == 3


def test_links_stay_links_and_may_not_lead_out(tmp_path: Path) -> None:
    source = write(tmp_path / "source", "app.py", "lib/a.py")
    (source / "lib" / "up.py").symlink_to("../app.py")
    (source / "bin").mkdir()
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o700)
    with zipfile.ZipFile(io.BytesIO(made(source).content)) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert stat.S_ISLNK(modes["lib/up.py"])
    assert modes["bin/run"] & 0o111
    assert not modes["app.py"] & 0o111
    for target in ("../../secret", "/etc/passwd", ".."):
        (source / "lib" / "out").symlink_to(target)
        if target == "..":  # the directory itself, from one that is in it
            assert "lib/out" in names(made(source).content)
        else:
            with pytest.raises(Failure, match=r"lib/out is a link to .* not in the package"):
                made(source)
        (source / "lib" / "out").unlink()


def test_what_is_too_large_is_told_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "app.py")
    (tmp_path / "noise").write_bytes(os.urandom(2000))
    monkeypatch.setattr(limits, "ZIPPED_INLINE_SIZE", 1000)
    with pytest.raises(Failure, match=r"the package has 2\.\d kB; the API takes 1\.0 kB"):
        made(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "UNZIPPED_SIZE", 1000)
    with pytest.raises(Failure) as raised:
        made(tmp_path)
    assert raised.value.exit_code == Exit.USAGE
    assert "Unzipped size must be smaller" in raised.value.message


def test_a_zip_is_sent_as_it_is_and_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "build.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("app.py", HANDLER)
        archive.writestr("lib/", "")
    found = made(path)
    assert found.content == path.read_bytes()
    assert (found.files, found.handler) == (1, "")
    monkeypatch.setattr(limits, "UNZIPPED_SIZE", 10)
    with pytest.raises(Failure, match="unzipped; the API takes"):
        made(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(Failure, match="the package would be empty"):
        made(path)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="nothing to deploy"):
        made(tmp_path)


# modules


def test_a_module_is_packaged_with_its_top_level_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "brewery/__init__.py", "brewery/orders.py", "other.py")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    found = make_package(resolve("brewery.orders:handler"), install=False, runtime=RUNTIME)
    assert names(found.content) == ["brewery/__init__.py", "brewery/orders.py"]
    assert (found.handler, found.runtime) == ("brewery.orders.handler", RUNTIME)
    assert "only brewery is packaged" in capsys.readouterr().err
    assert sys.path == before
    assert "brewery" not in sys.modules
    with pytest.raises(Failure, match="no module brewery2 can be imported from here"):
        make_package(resolve("brewery2:handler"), install=False, runtime=RUNTIME)


# requirements


def wheel(directory: Path) -> None:
    """A wheel of `tea` 1.0, made by hand."""
    directory.mkdir()
    info = "tea-1.0.dist-info"
    with zipfile.ZipFile(directory / "tea-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tea.py", "KIND = 'green'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tea\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_requirements_are_installed_when_asked_for_and_mentioned_when_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "source", "app.py")
    wheel(tmp_path / "wheels")
    (source / "requirements.txt").write_text("--no-index\n--find-links ../wheels\ntea==1.0\n")
    assert "tea.py" not in names(made(source).content)
    assert "say --install" in capsys.readouterr().err
    found = made(source, install=True)
    assert {"app.py", "requirements.txt", "tea.py"} <= set(names(found.content))
    assert not [name for name in names(found.content) if name.endswith(".pyc")]
    assert made(source, install=True).content == found.content
    assert sorted(os.listdir(source)) == ["app.py", "requirements.txt"]  # pip left nothing there
    (source / package.IGNORE_FILE).write_text("*.txt\ntea.py\n")  # of what is ours
    kept = names(made(source, install=True).content)
    assert "requirements.txt" not in kept
    assert "tea.py" in kept
    (source / "requirements.txt").write_text("--no-index\ncoffee==1.0\n")
    with pytest.raises(Failure, match=r"(?s)pip could not install .*coffee==1.0"):
        made(source, install=True)


def test_install_without_requirements_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "app.py")
    with pytest.raises(Failure, match=r"no .*requirements\.txt for --install"):
        made(tmp_path, install=True)
    with pytest.raises(Failure, match="of a directory"):
        make_package(resolve("app:handler"), install=True, runtime=RUNTIME)


def test_pip_looks_for_wheels_of_another_python() -> None:
    assert "--python-version" not in pip_command(Path("t"), RUNTIME)
    command = pip_command(Path("t"), "python3.99")
    at = command.index("--python-version")
    assert command[at + 1 : at + 4] == ["3.99", "--only-binary", ":all:"]


def test_the_ignore_file_is_utf8(tmp_path: Path) -> None:
    write(tmp_path, "app.py")
    (tmp_path / package.IGNORE_FILE).write_bytes(b"\xff\n")
    with pytest.raises(Failure, match="is not UTF-8"):
        made(tmp_path)
