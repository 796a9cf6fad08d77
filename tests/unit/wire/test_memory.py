"""The shared memory of large payloads, on a real sealed memfd."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.model import limits
from samovar_worker.wire import frames, memory

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@pytest.fixture
def memfd() -> Iterator[int]:
    """As a context makes one; that a worker can do nothing to a real one is a process test."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, memory.SIZE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    yield fd
    os.close(fd)


def test_the_halves_hold_awss_largest_payloads() -> None:
    assert memory.MAX_REQUEST == limits.SYNC_PAYLOAD_SIZE == 6291456
    assert memory.MAX_RESPONSE == limits.RESPONSE_PAYLOAD_SIZE == 6291556
    assert memory.RESPONSE_OFFSET >= memory.MAX_REQUEST
    assert memory.SIZE == memory.RESPONSE_OFFSET + memory.MAX_RESPONSE
    assert memory.INLINE_LIMIT <= frames.MAX_INLINE_PAYLOAD


def test_the_largest_payloads_lie_side_by_side(memfd: int) -> None:
    request = os.urandom(1024) * (memory.MAX_REQUEST // 1024)
    response = os.urandom(memory.MAX_RESPONSE)
    memory.write_all(memfd, request, 0)
    memory.write_all(memfd, response, memory.RESPONSE_OFFSET)
    assert memory.read_exactly(memfd, len(request), 0) == request
    assert memory.read_exactly(memfd, len(response), memory.RESPONSE_OFFSET) == response


def test_the_position_of_the_descriptor_does_not_matter(memfd: int) -> None:
    """Both sides share it: it is never used."""
    os.lseek(memfd, 12345, os.SEEK_SET)
    memory.write_all(memfd, b"event", 0)
    assert memory.read_exactly(memfd, 5, 0) == b"event"
    assert os.lseek(memfd, 0, os.SEEK_CUR) == 12345


def test_nothing_is_written_past_the_end(memfd: int) -> None:
    for data, offset in ((bytes(2), memory.SIZE - 1), (b"x", memory.SIZE)):
        with pytest.raises(OSError) as caught:
            memory.write_all(memfd, data, offset)
        assert caught.value.errno == errno.EPERM
    assert os.fstat(memfd).st_size == memory.SIZE


def test_the_size_is_sealed(memfd: int) -> None:
    for size in (0, memory.SIZE - 1, memory.SIZE + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(memfd, size)
    with pytest.raises(PermissionError):  # nor can anybody seal what the other has to write
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    memory.write_all(memfd, b"still", 0)


def test_a_short_file_is_named() -> None:
    fd = os.memfd_create("test")
    try:
        os.write(fd, b"12345")
        assert memory.read_exactly(fd, 5, 0) == b"12345"
        with pytest.raises(EOFError, match=r"^5 of 6 bytes$"):
            memory.read_exactly(fd, 6, 0)
        with pytest.raises(EOFError, match=r"^2 of 3 bytes$"):
            memory.read_exactly(fd, 3, 3)
        with pytest.raises(EOFError, match=r"^0 of 1 bytes$"):
            memory.read_exactly(fd, 1, 100)
        assert memory.read_exactly(fd, 0, 100) == b""
    finally:
        os.close(fd)


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_what_is_written_is_read(data: bytes, offset: int) -> None:
    fd = os.memfd_create("test")
    try:
        memory.write_all(fd, data, offset)
        assert memory.read_exactly(fd, len(data), offset) == data
    finally:
        os.close(fd)
