"""Making packages: from a directory, or from an importable module.

The same content always gives the same bytes, and so the same hash: entries are sorted, times
fixed, and nothing is compressed unless it is asked for (zlib's output differs between builds, and
a package that never leaves the machine gains nothing by being small).
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import os
import stat
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.registry.packages import TOO_LARGE

SKIPPED = frozenset({"__pycache__", ".git"})

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can tell
_UNIX = 3

# Whether a file or a directory is to be left out, by its name in the package and its path.
LeaveOut = Callable[[str, Path], bool]


@dataclass(frozen=True, slots=True)
class PackagedModule:
    """A package made of an importable module.

    `handler` is in AWS's form (`pkg.mod.func`); `runtime` is the running interpreter's;
    `import_paths` are the directories of `sys.path` that the function may import from after its
    own code: what the module's neighbours and dependencies are found in.
    """

    content: bytes
    handler: str
    runtime: str
    import_paths: tuple[str, ...]


def zip_directory(path: Path) -> bytes:
    """The zip of a directory's content; leaves out `__pycache__` and `.git`.

    Symbolic links stay links. Blocks: call it in a thread. Raises ClientError if `path` is no
    readable directory, is larger than a package may be, or has something else than files,
    directories and links in it.
    """
    if not path.is_dir():
        raise _bad(f"{str(path)!r} is not a directory; name the one that holds the handler's file")
    return zip_roots([(path, "")])


def _keep_all(name: str, path: Path) -> bool:
    return False


def zip_roots(
    roots: list[tuple[Path, str]],
    *,
    leave_out: LeaveOut = _keep_all,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """The zip of files and directories, each under its name in the package; where two have the same
    name, the first one's. `compression` is one of zipfile's. Blocks, and raises as
    `zip_directory` does."""
    buffer = io.BytesIO()
    size = 0
    try:
        files: dict[str, Path] = {}
        for root, prefix in roots:
            for name, path in _files(root, prefix, leave_out):
                files.setdefault(name, path)
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, path in sorted(files.items()):
                info, content = _entry(name, path, limits.UNZIPPED_SIZE - size)
                archive.writestr(info, content, compression)
                size += len(content)
    except OSError as error:
        raise _bad(f"{error.filename!r} can't be packaged: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise _bad(f"the file name {error.object!r} is not UTF-8") from error
    return buffer.getvalue()


def _files(root: Path, name: str, leave_out: LeaveOut) -> Iterator[tuple[str, Path]]:
    # An explicit walk and not os.walk, which passes over what it can't read.
    if name and (root.name in SKIPPED or leave_out(name, root)):
        return
    if root.is_symlink() and name:
        yield name, root
    elif root.is_dir():
        for child in os.scandir(root):
            inner = f"{name}/{child.name}" if name else child.name
            yield from _files(Path(child.path), inner, leave_out)
    else:
        yield name, root


def _entry(name: str, path: Path, room: int) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = _UNIX
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        content = os.fsencode(path.readlink())
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
    elif stat.S_ISREG(status.st_mode):
        with path.open("rb") as stream:
            content = stream.read(room + 1)
        mode = 0o755 if status.st_mode & 0o111 else 0o644
        info.external_attr = (stat.S_IFREG | mode) << 16
    else:
        raise _bad(f"{str(path)!r} is neither a file, a directory nor a symbolic link")
    if len(content) > room:
        raise ClientError(AWS.INVALID_PARAMETER, TOO_LARGE)
    return info, content


def package_module(target: str, *, compression: int = zipfile.ZIP_STORED) -> PackagedModule:
    """Package `package.module:function` for the running interpreter.

    The top-level package or module is found as an import statement would find it, but it is not
    imported, and all of it is packaged. Blocks: call it in a thread. Raises ClientError for a
    malformed target, a module that isn't found or has no source of its own to package.
    """
    module, _, function = target.partition(":")
    parts = module.split(".")
    if not function.isidentifier() or not all(part.isidentifier() for part in parts):
        raise _bad(f"{target!r} must have the form package.module:function")
    top = parts[0]
    if top == "__main__":
        raise _bad(
            f"{target!r}: __main__ is another module in the function's process; move the handler "
            "into a module that can be imported by name"
        )
    if top in sys.stdlib_module_names:
        raise _bad(f"{target!r}: {top} belongs to Python itself, there is nothing to package")
    roots = _sources(target, top)
    if not any(_holds(path, parts[1:]) for path, _ in roots):
        raise _bad(f"{target!r}: {top} has no module {module}")
    return PackagedModule(
        content=zip_roots(roots, compression=compression),
        handler=f"{module}.{function}",
        runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        import_paths=_import_paths(),
    )


def _sources(target: str, top: str) -> list[tuple[Path, str]]:
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module without a spec, made by hand
        spec = None
    if spec is None:
        raise _bad(f"{target!r}: no module {top} can be imported from here (see sys.path)")
    if spec.submodule_search_locations is not None:
        # Several only for a namespace package; the first portion that has a file wins.
        places = [Path(place) for place in spec.submodule_search_locations]
        roots = [(place.resolve(), top) for place in places if place.is_dir()]
    else:
        origin = Path(spec.origin or "")
        found = spec.has_location and origin.is_file()
        roots = [(origin.resolve(), origin.name)] if found else []
    if not roots:
        raise _bad(f"{target!r}: {top} has no files of its own (a zip, or made at run time)")
    return roots


def _holds(root: Path, inner: list[str]) -> bool:
    """Whether the module `inner`, relative to the top-level one at `root`, is there."""
    if not inner:
        return True
    if not root.is_dir():
        return False
    place = root.joinpath(*inner)
    return place.is_dir() or any(
        place.with_name(place.name + suffix).is_file()
        for suffix in importlib.machinery.all_suffixes()
    )


def _import_paths() -> tuple[str, ...]:
    own = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    own |= {os.path.join(path, "lib-dynload") for path in own}  # noqa: PTH118 - pure text
    paths: dict[str, None] = {}
    for entry in sys.path:
        path = os.path.realpath(entry or ".")  # «» is the current directory
        if path not in own and Path(path).is_dir():
            paths[path] = None
    return tuple(paths)


def _bad(message: str) -> ClientError:
    return ClientError(AWS.INVALID_PARAMETER, message)
