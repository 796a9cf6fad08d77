"""From a source to the zip that the API takes: the same files give the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import posixpath
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathspec

from samovar.doors.cli.deploy.handlers import find_handler, read_modules
from samovar.doors.cli.deploy.install import REQUIREMENTS, install_requirements
from samovar.doors.cli.deploy.source import Kind, Source
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.screen import say, size_text
from samovar.errors import ClientError
from samovar.model import limits
from samovar.registry import archives

IGNORE_FILE = ".samovarignore"
# Beside what `archives` always leaves out. A virtual environment is known by its pyvenv.cfg, too.
_LEFT_OUT = frozenset({".venv", IGNORE_FILE})


@dataclass(frozen=True, slots=True)
class Package:
    """A deployment package. `handler` and `runtime` are given only by a module."""

    content: bytes
    files: int
    handler: str = ""
    runtime: str = ""

    @property
    def sha256(self) -> str:
        """As the API shows it."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()

    @property
    def code(self) -> Mapping[str, Any]:
        """The API's parameters."""
        return {"ZipFile": self.content}

    def find_handler(self, current: str) -> str:
        """See `handlers.find_handler`; raises Failure."""
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            files = archive.namelist()
            return find_handler(read_modules(files, archive.read), current, files)

    def facts(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is to be told of it."""
        return {
            "CodeSha256": self.sha256,
            "CodeSize": len(self.content),
            "Files": self.files,
        }


def make_package(source: Source, *, install: bool, runtime: str) -> Package:
    """The package of `source`; with `install` what a directory's requirements.txt names is put into
    it, for `runtime`. Raises Failure for what can't be packaged or is larger than the API takes."""
    if install and source.kind is not Kind.DIRECTORY:
        raise Failure(Exit.USAGE, "--install reads the requirements.txt of a directory")
    handler = made_for = ""
    try:
        match source.kind:
            case Kind.DIRECTORY:
                content = _of_directory(source.path, install=install, runtime=runtime)
            case Kind.ZIP:
                content = source.path.read_bytes()
            case Kind.MODULE:
                with _importable_from_here():
                    made = archives.package_module(source.target, compression=zipfile.ZIP_DEFLATED)
                content, handler, made_for = made.content, made.handler, made.runtime
                top = source.target.partition(":")[0].partition(".")[0]
                say(f"only {top} is packaged, and nothing that it imports from elsewhere")
    except ClientError as error:
        raise Failure(Exit.USAGE, error.message) from error
    except OSError as error:
        raise Failure(Exit.USAGE, f"{error.filename}: {error.strerror}") from error
    return Package(content, _check(content), handler, made_for)


def _of_directory(path: Path, *, install: bool, runtime: str) -> bytes:
    ignored = _ignored(path)

    def leave_out(name: str, found: Path) -> bool:
        if found.name in _LEFT_OUT:
            return True
        if not found.is_relative_to(path):
            return False  # what was installed is as its authors made it
        is_directory = found.is_dir() and not found.is_symlink()
        if is_directory and (found / "pyvenv.cfg").exists():
            return True
        return ignored is not None and ignored.match_file(f"{name}/" if is_directory else name)

    def pack(*roots: Path) -> bytes:
        return archives.zip_roots(
            [(root, "") for root in roots], leave_out=leave_out, compression=zipfile.ZIP_DEFLATED
        )

    if not (path / REQUIREMENTS).is_file():
        if install:
            raise Failure(Exit.USAGE, f"there is no {path / REQUIREMENTS} for --install to read")
        return pack(path)
    if not install:
        say(
            f"{path / REQUIREMENTS} is not installed: what it names must be in the directory, or "
            "say --install"
        )
        return pack(path)
    with tempfile.TemporaryDirectory(prefix="samovar-install-") as target:
        install_requirements(path, Path(target), runtime)
        return pack(path, Path(target))  # what the directory has itself wins


def _ignored(path: Path) -> pathspec.GitIgnoreSpec | None:
    try:
        lines = (path / IGNORE_FILE).read_text().splitlines()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise Failure(Exit.USAGE, f"{path / IGNORE_FILE} is not UTF-8") from error
    try:
        return pathspec.GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise Failure(Exit.USAGE, f"{path / IGNORE_FILE}: {error}") from error


@contextmanager
def _importable_from_here() -> Iterator[None]:
    """What `python -m` would find: the current directory counts, too."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _check(content: bytes) -> int:
    """The number of files. Raises Failure for what the API would refuse, before it is sent."""
    if len(content) > limits.ZIPPED_INLINE_SIZE:
        raise Failure(
            Exit.USAGE,
            f"the package has {size_text(len(content))}; the API takes "
            f"{size_text(limits.ZIPPED_INLINE_SIZE)} in a request. Leave files out with a "
            f"{IGNORE_FILE}, or put the zip into S3 and name it in Code.S3Bucket and Code.S3Key",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            unzipped = sum(info.file_size for info in entries)
            for info in entries:
                if stat.S_ISLNK(info.external_attr >> 16):
                    _check_link(info.filename, os.fsdecode(archive.read(info)))
    except zipfile.BadZipFile as error:
        raise Failure(Exit.USAGE, f"the zip can't be read: {error}") from error
    if unzipped > limits.UNZIPPED_SIZE:
        raise Failure(
            Exit.USAGE,
            f"the package has {size_text(unzipped)} unzipped; the API takes "
            f"{size_text(limits.UNZIPPED_SIZE)}. Leave files out with a {IGNORE_FILE}",
        )
    if not entries:
        raise Failure(Exit.USAGE, "there is nothing to deploy: the package would be empty")
    return len(entries)


def _check_link(name: str, target: str) -> None:
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or end == ".." or end.startswith("../"):
        raise Failure(
            Exit.USAGE,
            f"{name} is a link to {target}, which is not in the package: put a copy in its place, "
            f"or leave it out with a {IGNORE_FILE}",
        )
