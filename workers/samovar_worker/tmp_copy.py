"""What a template has in /tmp, in the /tmp of what is forked from it."""

from __future__ import annotations

import os
import stat
from fcntl import F_GETFL, fcntl

_COPY = 1 << 20  # bytes at once


def files_below(directory: str) -> list[tuple[int, str]]:
    """Open regular files below `directory`, with their paths."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except OSError:
            continue  # the listing's own
        if regular and path.startswith(f"{directory}/"):
            found.append((fd, path))
    return found


def open_again(fd: int, path: str) -> None:
    """The context's own copy in the place of the template's file; one without a name stays."""
    try:
        flags = fcntl(fd, F_GETFL) & (os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK)
        new = os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return
    os.lseek(new, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET)
    os.dup2(new, fd, os.get_inheritable(fd))
    os.close(new)


def copy_directory(source: str, target: str) -> None:
    """Copy what is in one directory to another, which is empty."""
    fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    copy(fd, target)
    os.close(fd)


def copy(source: int, target: str) -> None:
    """All that is in the directory `source` (a descriptor) but for sockets, pipes and devices."""
    with os.scandir(source) as entries:
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            path = f"{target}/{entry.name}"
            if stat.S_ISLNK(info.st_mode):
                os.symlink(os.readlink(entry.name, dir_fd=source), path)
                continue
            if stat.S_ISDIR(info.st_mode):
                os.mkdir(path)
                fd = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=source)
                copy(fd, path)
            elif stat.S_ISREG(info.st_mode):
                fd = os.open(entry.name, os.O_RDONLY, dir_fd=source)
                _copy_file(fd, path)
            else:
                continue
            os.close(fd)
            os.chmod(path, stat.S_IMODE(info.st_mode))
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def _copy_file(source: int, path: str) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while os.sendfile(target, source, None, _COPY):
        pass
    os.close(target)
