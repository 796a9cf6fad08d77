"""One copy of a directory, and how it catches up with its source.

The source belongs to somebody who writes in it meanwhile, and who may be another user than the
engine: no symbolic link in it is ever followed, every step goes through a descriptor of the
directory above. A copy holds regular files of its own (never links to the source's: those are
written in place), readable for the functions' user whatever the source's modes are. Files are
replaced and never rewritten, because copies share them among each other by hard links.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samovar.errors import SamovarError
from samovar.model import limits
from samovar.registry import packages
from samovar.registry.live.names import is_ignored

Visit = Callable[[str, int], None]
# Called with a directory (its path within the source, «» for the source itself, and a descriptor)
# before its content is read, so that whoever watches it misses nothing.

_MAX_DEPTH = 100  # a descriptor per level; as in packages
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe in a file's place must not block.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MODULO = 2**256


class LiveFault(SamovarError):
    """The directory can't be copied as it is now; the message says why."""


class DirectoryGone(LiveFault):
    """The directory is not there."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A file, link or directory of a copy. `signature` tells whether the source's has changed;
    `digest` covers path, kind and content."""

    kind: int
    signature: tuple[int, ...]
    size: int
    digest: int
    imports_boto3: bool = False


class Tree:
    """A copy. Everything blocks: call it in a thread, and one call at a time.

    `stale` are the paths that may differ from the source's («» is everything). `digest` is that of
    the content: the same files always give the same, in whatever order they came.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stale: set[str] = {""}
        self._items: dict[str, _Item] = {}
        self._size = 0
        self._digest = 0
        self._importing = 0  # modules that import boto3
        path.mkdir(mode=0o755)
        path.chmod(0o755)  # mkdir's mode goes through the umask

    @property
    def sha256(self) -> str:
        """A digest of the content, as long as a SHA-256, in hex."""
        # The sum of the digests of all entries: what one change costs depends on that change alone.
        return f"{self._digest:064x}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._size

    @property
    def preload(self) -> str:
        """The zygote family that suits the code; see `packages.detect_preload`."""
        if self._importing and not packages.brings_boto3(os.listdir(self.path)):  # noqa: PTH208
            return packages.BOTO3
        return packages.BARE

    def clone(self, path: Path) -> Tree:
        """Another copy of the same, by hard links."""
        twin = Tree(path)
        _link_all(self.path, path)
        twin._items = dict(self._items)
        twin._size, twin._digest, twin._importing = self._size, self._digest, self._importing
        twin.stale = set(self.stale)
        return twin

    def catch_up(self, root: int, visit: Visit) -> None:
        """Copy anew what is stale from the source, an open directory.

        Raises LiveFault and OSError; what was not copied then stays stale.
        """
        # The shorter path first: what lies below a directory that comes along anyway is done then.
        for path in sorted(self.stale):
            if path in self.stale:
                self._refresh(root, path, visit)
                self.stale.discard(path)

    def remove(self) -> None:
        """Delete the copy from the disk."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _refresh(self, root: int, path: str, visit: Visit) -> None:
        *parents, name = path.split("/")
        descriptors = [os.dup(root)]
        try:
            above = ""
            for parent in parents:
                above = f"{above}/{parent}" if above else parent
                item = self._items.get(above)
                if item is None or item.kind != stat.S_IFDIR:
                    # It came, or became a directory, unheard: through what stands there in the
                    # copy, maybe a link, nothing may be written.
                    self._take(descriptors[-1], parent, above, visit)
                    return
                try:
                    descriptors.append(os.open(parent, _DIRECTORY, dir_fd=descriptors[-1]))
                except OSError:
                    self._take(descriptors[-1], parent, above, visit)
                    return
            if path:
                self._take(descriptors[-1], name, path, visit, told=True)
            else:
                self._take_content(root, "", visit, 0)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _take(  # noqa: PLR0917 - where, what, and for whom
        self, above: int, name: str, path: str, visit: Visit, told: bool = False, depth: int = 0
    ) -> None:
        """Bring one entry up to date. `told`: it was named as changed, so that the same signature
        proves nothing (the kernel's time goes by ticks of some milliseconds)."""
        try:
            found = os.stat(name, dir_fd=above, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            self._drop(path)
            return
        kind = stat.S_IFMT(found.st_mode)
        item = self._items.get(path)
        if item is not None and item.kind != kind:
            self._drop(path)
            item = None
        if kind == stat.S_IFDIR:
            self._take_directory(above, name, path, visit, depth)
        elif kind not in (stat.S_IFREG, stat.S_IFLNK):
            self._drop(path)  # sockets, pipes and devices are no code
        elif item is None or told or item.signature != _signature(found):
            self._make_room(item)
            try:
                if kind == stat.S_IFREG:
                    self._take_file(above, name, path)
                else:
                    self._take_link(above, name, path, found)
            except FileNotFoundError:
                self._drop(path)  # gone since
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):
                    self._drop(path)  # a link or a socket since
                elif error.errno in (errno.EACCES, errno.EPERM) and error.filename == name:
                    raise _unreadable(path) from error
                else:
                    raise

    def _take_directory(self, above: int, name: str, path: str, visit: Visit, depth: int) -> None:
        if depth >= _MAX_DEPTH:
            raise LiveFault(f"{path[:80]!r}… lies more than {_MAX_DEPTH} directories deep")
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        except (FileNotFoundError, NotADirectoryError):
            self._drop(path)
            return
        except PermissionError as error:
            raise _unreadable(path) from error
        try:
            if path not in self._items:
                self._make_room(None)
                self._drop(path)
                target = self.path / path
                target.mkdir(mode=0o755)
                target.chmod(0o755)
                self._note(path, _Item(stat.S_IFDIR, (), 0, _digest(path, b"directory")))
            self._take_content(descriptor, path, visit, depth)
        finally:
            os.close(descriptor)

    def _take_content(self, descriptor: int, path: str, visit: Visit, depth: int) -> None:
        visit(path, descriptor)
        prefix = f"{path}/" if path else ""
        names = {name for name in os.listdir(descriptor) if not is_ignored(name)}
        for name in os.listdir(self.path / path):  # noqa: PTH208
            if name not in names:
                self._drop(prefix + name)
        for name in sorted(names):
            told = prefix + name in self.stale
            self._take(descriptor, name, prefix + name, visit, told, depth + 1)
            self.stale.discard(prefix + name)

    def _take_file(self, above: int, name: str, path: str) -> None:
        room = limits.UNZIPPED_SIZE - self._size + self._size_of(path)
        with open(os.open(name, _FILE, dir_fd=above), "rb") as stream:  # noqa: PTH123
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise FileNotFoundError(name)
            content = stream.read(room + 1)
        if len(content) > room:
            raise LiveFault(packages.TOO_LARGE)
        executable = bool(found.st_mode & 0o111)
        self._drop(path)
        target = self.path / path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(target, flags, 0o600), "wb") as stream:  # noqa: PTH123
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o755 if executable else 0o644)
            os.utime(stream.fileno(), ns=(found.st_mtime_ns, found.st_mtime_ns))
        digest = _digest(path, b"program" if executable else b"file", content)
        importing = name.endswith(".py") and packages.imports_boto3(content)
        item = _Item(stat.S_IFREG, _signature(found), len(content), digest, importing)
        self._note(path, item)

    def _take_link(self, above: int, name: str, path: str, found: os.stat_result) -> None:
        # As it is, wherever it leads: nothing here follows it, and for the function it leads
        # nowhere but in its own root.
        end = os.readlink(name, dir_fd=above)
        self._drop(path)
        (self.path / path).symlink_to(end)
        digest = _digest(path, b"link", os.fsencode(end))
        self._note(path, _Item(stat.S_IFLNK, _signature(found), 0, digest))

    def _drop(self, path: str) -> None:
        item = self._items.get(path)
        if item is not None:
            if item.kind == stat.S_IFDIR:
                within = f"{path}/"
                for below in [other for other in self._items if other.startswith(within)]:
                    self._forget(below)
            self._forget(path)
        # Without walls a function may have written what is not ours.
        target = self.path / path
        try:
            target.unlink()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except IsADirectoryError:
            shutil.rmtree(target)

    def _note(self, path: str, item: _Item) -> None:
        self._items[path] = item
        self._size += item.size
        self._digest = (self._digest + item.digest) % _MODULO
        self._importing += item.imports_boto3

    def _forget(self, path: str) -> None:
        item = self._items.pop(path)
        self._size -= item.size
        self._digest = (self._digest - item.digest) % _MODULO
        self._importing -= item.imports_boto3

    def _size_of(self, path: str) -> int:
        item = self._items.get(path)
        return 0 if item is None else item.size

    def _make_room(self, item: _Item | None) -> None:
        if item is None and len(self._items) >= packages.MAX_ENTRIES:
            raise LiveFault(f"it has more than {packages.MAX_ENTRIES} files and directories")


def _unreadable(path: str) -> LiveFault:
    return LiveFault(f"the engine's user may not read {path!r}")


def _signature(found: os.stat_result) -> tuple[int, ...]:
    # The change time tells more than the modification time, which a tool may set back.
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)


def _digest(path: str, kind: bytes, content: bytes = b"") -> int:
    whole = hashlib.sha256(kind + b"\0" + os.fsencode(path) + b"\0")
    whole.update(content)
    return int.from_bytes(whole.digest(), "big")


def _link_all(source: Path, target: Path) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            twin = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                twin.mkdir(mode=0o755)
                twin.chmod(0o755)
                _link_all(Path(entry.path), twin)
            else:
                os.link(entry.path, twin, follow_symlinks=False)
