"""Deployment packages: checking and extracting a zip, and what its code says about preloads.

Nothing in a zip is believed: sizes are counted while reading, names and links are checked before
anything is written. What AWS has a text for gets that text; a cause that AWS lumps together under
«Could not unzip» is named behind it.
"""

from __future__ import annotations

import calendar
import errno
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from samovar.errors import AWS, ClientError
from samovar.model import limits

BARE = "bare"
BOTO3 = "boto3"

_COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again."
_EMPTY = "Uploaded file must be a non-empty zip"  # AWS's words, as its users report them
TOO_LARGE = f"Unzipped size must be smaller than {limits.UNZIPPED_SIZE} bytes"

# Ours, not AWS's: entries cost an inode and half a KB of memory each before a single byte of them
# is counted, and a zip of 50 MB has room for half a million. The largest packages in use (all of
# scipy, pandas and boto3 together) have less than 30,000.
MAX_ENTRIES = 200_000
# An entry of the directory is 46 bytes and its name; 256 covers the names that are in use.
_MAX_DIRECTORY = MAX_ENTRIES * 256

# Ours too: removing a deeper tree again takes a descriptor per level.
_MAX_DEPTH = 100

_CHUNK = 256 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNIX = 3  # ZipInfo.create_system: only then are the upper bits of external_attr a mode
_LINK_LENGTH = 4096  # PATH_MAX

# What a preloaded boto3 would shadow if the package brings its own (boto3 and what it needs).
_VENDORED = frozenset({"boto3", "botocore", "jmespath", "s3transfer", "dateutil", "six", "urllib3"})
_IMPORTS_BOTO3 = re.compile(
    rb"^[ \t]*(?:from[ \t]+(?:boto3|botocore)\b|import[ \t][^#\n]*\b(?:boto3|botocore)\b)",
    re.MULTILINE,
)


def extract(zip_file: BinaryIO, tree: Path) -> None:
    """Write the files of `zip_file` below the empty directory `tree`.

    Executable bits are kept, everything is widened to readable (a zip made by `writestr` says
    0600, and the function runs under another uid). Blocks: call it in a thread. Raises ClientError
    for a package that AWS would refuse or that would write or point out of `tree`.
    """
    if not zip_file.seek(0, os.SEEK_END):
        raise ClientError(AWS.INVALID_PARAMETER, _EMPTY)
    try:
        _demand_small_directory(zip_file)
        with zipfile.ZipFile(zip_file) as archive:
            _extract(archive, _plan(archive), tree)
    except ClientError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,  # NotImplementedError too: what zipfile does not know how to read
        ValueError,  # UnicodeDecodeError too: a name that is not in the encoding it claims
        OverflowError,
    ) as error:
        raise ClientError(AWS.INVALID_PARAMETER, _COULD_NOT) from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            raise _refused(f"{error.filename!r} can't be a file's name here") from error
        raise


@dataclass(frozen=True, slots=True)
class _Entry:
    info: zipfile.ZipInfo
    path: str  # relative, normalised
    kind: int  # S_IFREG, S_IFDIR or S_IFLNK
    executable: bool


def _plan(archive: zipfile.ZipFile) -> list[_Entry]:
    """Every entry checked by name and kind, before anything is written."""
    if not archive.infolist():
        raise ClientError(AWS.INVALID_PARAMETER, _EMPTY)
    entries: dict[str, _Entry] = {}
    for info in archive.infolist():
        entry = _checked(info)
        if entry is None:
            continue
        earlier = entries.get(entry.path)
        if earlier is not None and not (entry.kind == earlier.kind == stat.S_IFDIR):
            raise _refused(f"the name {entry.path!r} occurs twice")
        entries[entry.path] = entry
    for path in entries:
        parent = path.rpartition("/")[0]
        while parent:
            above = entries.get(parent)
            if above is not None and above.kind != stat.S_IFDIR:
                raise _refused(f"{parent!r} is a file or a link, and {path!r} lies below it")
            parent = parent.rpartition("/")[0]
    return list(entries.values())


def _checked(info: zipfile.ZipInfo) -> _Entry | None:
    name = info.filename
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/"):
        raise _refused(f"the name {name!r} is absolute")
    if ".." in parts:
        raise _refused(f"the name {name!r} leads out of the package")
    if not parts:
        return None  # «./», the package's own root
    if len(parts) > _MAX_DEPTH:
        raise _refused(f"{name[:80]!r}… lies more than {_MAX_DEPTH} directories deep")
    if info.flag_bits & 0x1:
        raise _refused(f"{name!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise _refused(f"{name!r} is neither stored nor deflated (method {info.compress_type})")
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind = stat.S_IFMT(mode)
    if name.endswith("/"):
        kind = kind or stat.S_IFDIR
    elif kind == 0:
        kind = stat.S_IFREG
    if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK) or (
        name.endswith("/") and kind != stat.S_IFDIR
    ):
        raise _refused(f"{name!r} is neither a file, a directory nor a symbolic link")
    return _Entry(info, "/".join(parts), kind, bool(mode & 0o111))


def _extract(archive: zipfile.ZipFile, entries: list[_Entry], tree: Path) -> None:
    budget = _Budget()
    made = {tree}
    for entry in entries:
        if entry.kind == stat.S_IFDIR:
            _make_directories(tree / entry.path, made)
        elif entry.kind == stat.S_IFREG:
            path = tree / entry.path
            _make_directories(path.parent, made)
            _write_file(path, entry, budget.read(archive, entry.info))
    # Links come last: nothing can be written through one.
    links = [entry for entry in entries if entry.kind == stat.S_IFLNK]
    for entry in links:
        path = tree / entry.path
        _make_directories(path.parent, made)
        # One chunk is far more than a target may have, and all of it if it is not.
        path.symlink_to(_link_target(entry, next(budget.read(archive, entry.info), b"")))
    # A link can lead out by way of another one, so what counts is where each one ends.
    root = os.path.realpath(tree)
    for entry in links:
        end = os.path.realpath(tree / entry.path)
        if end != root and not end.startswith(root + "/"):
            raise _refused(f"the link {entry.path!r} leads out of the package")


class _Budget:
    """Counts what comes out of the zip, whatever its headers say."""

    def __init__(self) -> None:
        self._left = limits.UNZIPPED_SIZE

    def read(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                self._left -= len(chunk)
                if self._left < 0:
                    raise ClientError(AWS.INVALID_PARAMETER, TOO_LARGE)
                yield chunk


def _make_directories(path: Path, made: set[Path]) -> None:
    if path in made:
        return
    _make_directories(path.parent, made)
    path.mkdir()
    path.chmod(0o755)  # mkdir's mode goes through the umask
    made.add(path)


def _write_file(path: Path, entry: _Entry, chunks: Iterator[bytes]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as stream:  # noqa: PTH123 - a descriptor
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        os.fchmod(fd, 0o755 if entry.executable else 0o644)
        # The zip's own time (AWS runs in UTC), so that .pyc files that came along stay valid.
        try:
            time = calendar.timegm((*entry.info.date_time, 0, 0, 0))
        except (ValueError, OverflowError):
            time = 0
        os.utime(fd, (time, time))


def _link_target(entry: _Entry, content: bytes) -> str:
    target = os.fsdecode(content)
    if not target or "\0" in target or len(content) >= _LINK_LENGTH:
        raise _refused(f"the link {entry.path!r} has no usable target")
    end = os.path.normpath(os.path.join(os.path.dirname(entry.path), target))  # noqa: PTH118, PTH120
    if target.startswith("/") or end == ".." or end.startswith("../"):
        raise _refused(f"the link {entry.path!r} leads out of the package, to {target!r}")
    return target


def _demand_small_directory(stream: BinaryIO) -> None:
    """Refuse a zip with an endless directory before `zipfile` reads all of it into memory."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 65557 - 20))  # end record, longest comment, locator of zip64
    tail = stream.read()
    end = tail.rfind(b"PK\x05\x06")
    if end >= 0:
        directory = int.from_bytes(tail[end + 12 : end + 16], "little")
        if end >= 20 and tail[end - 20 : end - 16] == b"PK\x06\x07":
            stream.seek(min(size, int.from_bytes(tail[end - 12 : end - 4], "little")))
            directory = int.from_bytes(stream.read(56)[40:48], "little")
        if directory > _MAX_DIRECTORY:
            raise _refused(f"it has more than {MAX_ENTRIES} entries")
    stream.seek(0)


def _refused(reason: str) -> ClientError:
    return ClientError(AWS.INVALID_PARAMETER, f"{_COULD_NOT} Reason: {reason}.")


def brings_boto3(top_level: Iterable[str]) -> bool:
    """Whether one of these names at the top of a package is something that a preloaded boto3 would
    shadow."""
    return any(name.partition(".")[0] in _VENDORED for name in top_level)


def imports_boto3(module: bytes) -> bool:
    """Whether this source of a module imports boto3 or botocore."""
    return _IMPORTS_BOTO3.search(module) is not None


def detect_preload(tree: Path) -> str:
    """Which zygote family suits the package: BOTO3 if its code imports boto3 or botocore and it
    brings along nothing that a preloaded boto3 would shadow, else BARE.

    A guess by reading, not by importing; a wrong one costs time and never changes what runs.
    """
    if _brings_boto3(tree):
        return BARE
    for directory, _, names in os.walk(tree):
        for name in names:
            if not name.endswith(".py"):
                continue
            path = Path(directory, name)
            if not path.is_symlink() and imports_boto3(path.read_bytes()):
                return BOTO3
    return BARE


def brings_own_boto3(tree: Path) -> bool:
    """Whether a layer brings along, where functions import from, something that a preloaded boto3
    would shadow; for whichever of the Python runtimes."""
    python = tree / "python"
    return any(map(_brings_boto3, [python, *python.glob("lib/python3.*/site-packages")]))


def extensions(tree: Path) -> tuple[str, ...]:
    """The files of a layer that AWS would start beside the runtime, as `extensions/<name>`."""
    place = tree / "extensions"
    if not place.is_dir():
        return ()
    return tuple(sorted(f"extensions/{path.name}" for path in place.iterdir() if not path.is_dir()))


def _brings_boto3(directory: Path) -> bool:
    try:
        return brings_boto3(entry.name for entry in os.scandir(directory))
    except OSError:  # not there, or no directory
        return False
