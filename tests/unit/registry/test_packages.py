"""Extraction: what comes out of a good zip, and that nothing comes out of a bad one."""

from __future__ import annotations

import io
import os
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.registry.zips import entry, handler_zip, link, make_zip, zip_of

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.registry import packages

COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again."


def extract(data: bytes, tree: Path) -> Path:
    tree.mkdir(exist_ok=True)
    packages.extract(io.BytesIO(data), tree)
    return tree


def refusal(data: bytes, tmp_path: Path) -> ClientError:
    with pytest.raises(ClientError) as caught:
        extract(data, tmp_path / "tree")
    assert {path.name for path in tmp_path.iterdir()} <= {"tree", "canary"}
    return caught.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_and_directories(tmp_path: Path) -> None:
    tree = extract(make_zip({"app.py": "x = 1", "./lib/a/b.txt": "ü", "empty/": ""}), tmp_path)
    assert (tree / "app.py").read_text() == "x = 1"
    assert (tree / "lib/a/b.txt").read_text() == "ü"
    assert (tree / "empty").is_dir()


def test_everything_is_readable_and_only_the_executable_bit_is_kept(tmp_path: Path) -> None:
    data = zip_of(
        (entry("plain.py", stat.S_IFREG | 0o600), b""),
        (entry("tool", stat.S_IFREG | 0o4710), b""),
        (entry("closed/", stat.S_IFDIR | 0o700), b""),
        (entry("closed/deep/x.py", stat.S_IFREG), b""),
    )
    before = os.umask(0o077)
    try:
        tree = extract(data, tmp_path / "tree")
    finally:
        os.umask(before)
    assert mode(tree / "plain.py") == 0o644
    assert mode(tree / "tool") == 0o755
    assert mode(tree / "closed") == mode(tree / "closed/deep") == 0o755
    assert mode(tree / "closed/deep/x.py") == 0o644


def test_a_zip_from_another_system_has_no_modes(tmp_path: Path) -> None:
    info = entry("app.py", stat.S_IFLNK | 0o777)
    info.create_system = 0
    tree = extract(zip_of((info, b"target")), tmp_path)
    assert not (tree / "app.py").is_symlink()
    assert mode(tree / "app.py") == 0o644


def test_times_are_the_zips_own(tmp_path: Path) -> None:
    tree = extract(zip_of((entry("app.py"), b"")), tmp_path)
    assert (tree / "app.py").stat().st_mtime == 1709209800  # 2024-02-29T12:30:00Z


def test_an_impossible_time(tmp_path: Path) -> None:
    data = bytearray(make_zip({"a": ""}, zipfile.ZIP_STORED))
    central = data.index(b"PK\x01\x02")
    data[central + 14 : central + 16] = b"\0\0"  # month 0, day 0
    assert (extract(bytes(data), tmp_path) / "a").stat().st_mtime == 0


def test_links_inside_the_package(tmp_path: Path) -> None:
    data = zip_of(
        link("lib/libx.so", "libx.so.1"), link("up", "lib"), (entry("lib/libx.so.1"), b"elf")
    )
    tree = extract(data, tmp_path)
    assert os.readlink(tree / "lib/libx.so") == "libx.so.1"
    assert (tree / "up/libx.so").read_bytes() == b"elf"


@pytest.mark.parametrize("data", [b"", make_zip({})])
def test_a_zip_of_nothing(tmp_path: Path, data: bytes) -> None:
    error = refusal(data, tmp_path)
    assert error.error is AWS.INVALID_PARAMETER
    assert error.message == "Uploaded file must be a non-empty zip"


@pytest.mark.parametrize("data", [b"no zip", handler_zip()[:-30], handler_zip()[40:]])
def test_what_is_no_zip(tmp_path: Path, data: bytes) -> None:
    error = refusal(data, tmp_path)
    assert error.error is AWS.INVALID_PARAMETER
    assert error.message.startswith(COULD_NOT)


def test_a_wrong_checksum(tmp_path: Path) -> None:
    data = bytearray(make_zip({"app.py": "x = 1"}, zipfile.ZIP_STORED))
    data[data.index(b"x = 1")] ^= 1
    assert refusal(bytes(data), tmp_path).message == COULD_NOT


@pytest.mark.parametrize("name", ["../canary", "a/../../canary", "/canary", "//canary", "a/.."])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "canary").write_text("alive")
    error = refusal(make_zip({"app.py": "", name: "dead"}), tmp_path)
    assert error.error is AWS.INVALID_PARAMETER
    assert repr(name) in error.message
    assert (tmp_path / "canary").read_text() == "alive"
    assert list((tmp_path / "tree").iterdir()) == []  # nothing is written before all is checked


@pytest.mark.parametrize("target", ["../canary", "/etc/passwd", "a/../../canary", "..", ""])
def test_links_that_lead_out(tmp_path: Path, target: str) -> None:
    assert "the link 'app.py'" in refusal(zip_of(link("app.py", target)), tmp_path).message


def test_links_that_lead_out_by_way_of_another(tmp_path: Path) -> None:
    # Each of them alone looks as if it stayed: d/up is the root, and the root's x/.. is above it.
    data = zip_of(link("d/e/up", "../.."), link("out", "d/e/up/../canary"))
    assert "'out' leads out" in refusal(data, tmp_path).message


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    data = zip_of(link("d", "e"), (entry("d/app.py"), b"x"))
    assert "'d' is a file or a link" in refusal(data, tmp_path).message


def test_duplicate_names(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of what is meant here
        data = zip_of((entry("app.py"), b"a"), (entry("./app.py"), b"b"))
    assert "'app.py' occurs twice" in refusal(data, tmp_path).message


def test_a_file_that_is_a_directory_too(tmp_path: Path) -> None:
    data = zip_of((entry("a"), b""), (entry("a/b"), b""))
    assert "'a' is a file or a link" in refusal(data, tmp_path).message


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_devices(tmp_path: Path, kind: int) -> None:
    data = zip_of((entry("dev", kind | 0o666), b""))
    assert "neither a file, a directory nor a symbolic link" in refusal(data, tmp_path).message


def test_encrypted(tmp_path: Path) -> None:
    data = bytearray(make_zip({"app.py": "x"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "'app.py' is encrypted" in refusal(bytes(data), tmp_path).message


def test_other_compressions(tmp_path: Path) -> None:
    data = make_zip({"app.py": "x"}, zipfile.ZIP_BZIP2)
    assert "neither stored nor deflated" in refusal(data, tmp_path).message


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "can't be a file's name" in refusal(make_zip({"n" * 300: ""}), tmp_path).message
    assert "directories deep" in refusal(make_zip({"d/" * 101 + "f": ""}), tmp_path).message


def test_the_unzipped_size_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNZIPPED_SIZE", 1000)
    extract(make_zip({"a": bytes(600), "b": bytes(400)}), tmp_path / "fits")
    for name, files in (("one", {"a": bytes(1001)}), ("two", {"a": bytes(600), "b": bytes(401)})):
        with pytest.raises(ClientError) as caught:
            extract(make_zip(dict(files)), tmp_path / name)
        assert caught.value.error is AWS.INVALID_PARAMETER
        assert caught.value.message == "Unzipped size must be smaller than 262144000 bytes"


def test_a_bomb_of_the_real_size(tmp_path: Path) -> None:
    # 256 MB of zeros in 256 KB.
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("zeros", "w") as stream,
    ):
        for _ in range(256):
            stream.write(bytes(1024 * 1024))
    assert len(buffer.getvalue()) < 300_000
    error = refusal(buffer.getvalue(), tmp_path)
    assert error.message == "Unzipped size must be smaller than 262144000 bytes"
    assert (tmp_path / "tree" / "zeros").stat().st_size <= limits.UNZIPPED_SIZE


def test_headers_that_lie_about_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNZIPPED_SIZE", 1000)
    data = bytearray(make_zip({"a": bytes(5000)}))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")
    refusal(bytes(data), tmp_path)
    assert (tmp_path / "tree" / "a").stat().st_size <= 10


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_MAX_DIRECTORY", 1000)
    extract(make_zip({str(n): "" for n in range(10)}), tmp_path / "tree")
    many = make_zip({str(n): "" for n in range(30)})
    assert "entries" in refusal(many, tmp_path).message


def test_too_many_entries_of_a_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)  # writes zip64 records beyond
    data = make_zip({str(n): "" for n in range(30)})
    assert b"PK\x06\x06" in data
    extract(data, tmp_path / "tree")
    monkeypatch.setattr(packages, "_MAX_DIRECTORY", 1000)
    with pytest.raises(ClientError, match="entries"):
        extract(data, tmp_path / "tree")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255))))
def test_no_damage_does_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(zip_of((entry("d/app.py"), b"x" * 40), link("l", "d/app.py")))
    for place, bits in flips:
        data[place % len(data)] ^= bits
    tree = tmp_path_factory.mktemp("zip") / "tree"
    try:
        extract(bytes(data[: len(data) - cut] if cut < 30 else data), tree)
    except ClientError as error:
        assert error.message.startswith(COULD_NOT)
    assert list(tree.parent.iterdir()) == [tree]


@pytest.mark.parametrize(
    ("files", "preload"),
    [
        ({"app.py": "import json\n"}, "bare"),
        ({"app.py": "import boto3\n"}, "boto3"),
        ({"app.py": "import json, boto3 as b\n"}, "boto3"),
        ({"app.py": "def f():\n    from botocore.config import Config\n"}, "boto3"),
        ({"app.py": "", "lib/deep.py": "from boto3.session import Session\n"}, "boto3"),
        ({"app.py": "# import boto3\n"}, "bare"),
        ({"app.py": "import boto3_stubs\n"}, "bare"),
        ({"app.py": "import json  # not boto3\n"}, "bare"),
        ({"notes.txt": "import boto3\n"}, "bare"),
        ({"app.py": "import boto3\n", "boto3/__init__.py": ""}, "bare"),
        ({"app.py": "import boto3\n", "six.py": ""}, "bare"),
        ({"app.py": "import boto3\n", "urllib3/__init__.py": ""}, "bare"),
        ({"app.py": "import boto3\n", "lib/urllib3/__init__.py": ""}, "boto3"),
        ({"app.py": "import boto3\n", "six-1.17.0.dist-info/RECORD": ""}, "boto3"),
    ],
)
def test_the_preload_that_suits(tmp_path: Path, files: dict[str, str], preload: str) -> None:
    tree = extract(make_zip(dict(files)), tmp_path)
    assert packages.detect_preload(tree) == preload


def test_a_link_is_not_read_for_the_preload(tmp_path: Path) -> None:
    tree = extract(zip_of(link("app.py", "nowhere.py"), link("loop.py", "loop.py")), tmp_path)
    assert packages.detect_preload(tree) == "bare"
