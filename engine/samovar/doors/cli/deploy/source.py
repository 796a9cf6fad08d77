"""What the SOURCE of a deployment is: a directory, a zip, or a module with a handler in it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from samovar.doors.cli.exits import Exit, Failure
from samovar.model import limits


class Kind(Enum):
    """What there is to be packaged."""

    DIRECTORY = "directory"
    ZIP = "zip"
    MODULE = "module"


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be deployed. `path` is that of a directory or a zip, `target` is
    `package.module:function`; `name` is the function's if nobody gives it another."""

    kind: Kind
    name: str
    path: Path = Path()
    target: str = ""


def resolve(text: str) -> Source:
    """The source that `text` names; raises Failure where it names none."""
    path = Path(text)
    if path.is_dir():
        return Source(Kind.DIRECTORY, valid_name(path.resolve().name), path)
    if path.is_file():
        if zipfile.is_zipfile(path):
            return Source(Kind.ZIP, valid_name(path.stem), path)
        if path.suffix == ".py":
            raise _no_source(
                f"{text} is one file: deploy its directory, or name the function in it, like "
                f"{path.stem}:handler"
            )
        raise _no_source(f"{text} is neither a directory nor a zip")
    module, colon, function = text.partition(":")
    if colon and all(part.isidentifier() for part in [*module.split("."), function]):
        # Both parts: two functions of one module are two functions.
        return Source(Kind.MODULE, valid_name(f"{module}-{function}"), target=text)
    raise _no_source(
        f"{text} is not there: SOURCE is a directory, a zip, or package.module:function"
    )


def valid_name(text: str) -> str:
    """`text` as a function's name: what AWS does not allow in one becomes a dash; «» if nothing
    is left of it."""
    name = re.sub("[^a-zA-Z0-9_]+", "-", text).strip("-")
    return name[: limits.FUNCTION_NAME_LENGTH].rstrip("-")


def _no_source(message: str) -> Failure:
    return Failure(Exit.USAGE, message)
