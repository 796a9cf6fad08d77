"""Zips for the tests: good ones, and ones that mean harm."""

from __future__ import annotations

import io
import stat
import zipfile

_UNIX = 3


def make_zip(files: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip as `ZipFile.writestr` makes it of names, but for the time: the same at every call."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.compress_type = method
            info.external_attr = (0o40775 if name.endswith("/") else 0o600) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """An entry with a Unix mode."""
    info = zipfile.ZipInfo(name, (2024, 2, 29, 12, 30, 0))
    info.create_system = _UNIX
    info.external_attr = mode << 16
    return info


def zip_of(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    """A zip of entries made by `entry`; duplicates are let through."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return buffer.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    """A symbolic link."""
    return entry(name, stat.S_IFLNK | 0o777), target.encode()


def handler_zip(text: str = "def handler(event, context):\n    return event\n") -> bytes:
    """The smallest package: `app.py`."""
    return make_zip({"app.py": text})
