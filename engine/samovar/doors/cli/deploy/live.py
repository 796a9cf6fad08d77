"""Deploying a directory that the engine follows: it takes what is saved there, without a zip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samovar.doors.cli.deploy.handlers import find_handler, read_modules
from samovar.doors.cli.deploy.install import REQUIREMENTS
from samovar.doors.cli.deploy.package import IGNORE_FILE
from samovar.doors.cli.deploy.source import Kind, Source
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.screen import say
from samovar.model.function import HOT_RELOAD


@dataclass(frozen=True, slots=True)
class LiveDirectory:
    """A directory as code: its real path, absolute."""

    path: Path
    # What only the engine knows, or only a module says; see Package.
    sha256 = handler = runtime = ""

    @property
    def code(self) -> Mapping[str, Any]:
        """The API's parameters."""
        return {"S3Bucket": HOT_RELOAD, "S3Key": str(self.path)}

    def find_handler(self, current: str) -> str:
        """See `handlers.find_handler`; raises Failure."""
        files = (item.name for item in self.path.iterdir() if item.is_file())
        modules = read_modules(files, lambda name: (self.path / name).read_bytes())
        return find_handler(modules, current, _Below(self.path))

    def facts(self, now: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the engine made of it, given the function's configuration (empty before it is)."""
        return {name: now.get(name) for name in ("CodeSha256", "CodeSize")}


@dataclass(frozen=True, slots=True)
class _Below:
    """The names of all files in a directory, none of which is looked for before it is asked for."""

    root: Path

    def __contains__(self, name: object) -> bool:
        return (self.root / str(name)).is_file()


def live_directory(source: Source, *, install: bool) -> LiveDirectory:
    """The directory that `source` names; raises Failure where it is none, or can't be read."""
    if source.kind is not Kind.DIRECTORY:
        raise Failure(Exit.USAGE, "--watch follows a directory: there is nothing to save in a zip")
    path = source.path.resolve()
    by_hand = f"pip install --requirement {REQUIREMENTS} --target . in {path}"
    if install:
        raise Failure(
            Exit.USAGE,
            "--watch runs the directory as it is, and --install does not write into it: do it "
            f"yourself ({by_hand}), or make a layer of what is installed (--layer)",
        )
    if (path / REQUIREMENTS).is_file():
        say(f"{path / REQUIREMENTS} is not installed; if it has to be: {by_hand}")
    if (path / IGNORE_FILE).is_file():
        say(f"{path / IGNORE_FILE} does not count with --watch: docs/hot-reload.md has what does")
    return LiveDirectory(path)
