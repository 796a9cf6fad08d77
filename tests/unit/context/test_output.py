"""One context's output pipe: LogResult's last 4 KB, order, and how much of it is ever kept."""

from __future__ import annotations

import fcntl
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.context.output import TAIL, Output, _Tail
from samovar.logs.journals import SinkJournal
from samovar.logs.stream import Closed, Ended, InitStarted, LogStream, Started
from samovar_worker.wire import records

MEGABYTE = 1 << 20
NOW = 1_769_903_999.5
STREAM = LogStream("/aws/lambda/f", "stream", "f", runtime="r", runtime_arn="a")
INIT_START = b"INIT_START Runtime Version: r\tRuntime Version ARN: a\n"


class Sink:
    """A log sink that keeps what it was given, call by call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes]] = []

    def write(self, function: str, stream: str, data: bytes) -> None:
        self.calls.append((function, stream, data))

    @property
    def text(self) -> bytes:
        return b"".join(data for _, _, data in self.calls)


@dataclass
class Wired:
    """An output whose pipe has a sink or none; `write` is the worker's part."""

    output: Output
    sink: Sink
    worker_end: int

    def write(self, data: bytes) -> None:
        assert os.write(self.worker_end, data) == len(data)


@pytest.fixture(params=["sink", "no sink"])
def wired(request: pytest.FixtureRequest) -> Iterator[Wired]:
    yield from wire(with_sink=request.param == "sink")


@pytest.fixture
def heard() -> Iterator[Wired]:
    yield from wire(with_sink=True)


@pytest.fixture
def unheard() -> Iterator[Wired]:
    yield from wire(with_sink=False)


def wire(*, with_sink: bool) -> Iterator[Wired]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, MEGABYTE)
    sink = Sink()
    output = Output(read, SinkJournal(sink) if with_sink else None, lambda: NOW)
    output.name(STREAM)
    wired = Wired(output, sink, write)
    try:
        yield wired
    finally:
        os.close(read)
        if wired.worker_end >= 0:
            os.close(write)


def test_the_tail_is_the_last_4_kb(wired: Wired) -> None:
    log = b"".join(b"line %05d\n" % number for number in range(2000))
    wired.output.begin(True, "id")
    for start in range(0, len(log), 700):
        wired.output.add(log[start : start + 700])
    assert wired.output.end() == log[-4096:]
    assert TAIL == 4096


@given(st.lists(st.integers(0, 3 * TAIL), max_size=20))
def test_the_tail_is_the_end_of_all_that_was_added(sizes: list[int]) -> None:
    with open(os.devnull, "rb") as nothing:  # no pipe is read here
        output = Output(nothing.fileno(), None, lambda: NOW)
        output.name(STREAM)
        output._tail = _Tail()
        everything = b""
        for number, size in enumerate(sizes):
            data = bytes([number]) * size
            output.add(data)
            everything += data
        assert output.end() == everything[-4096:]


def test_a_short_log_is_its_own_tail(wired: Wired) -> None:
    wired.output.begin(True, "id")
    wired.output.platform(Started("arn"))
    wired.output.add("no newline ü".encode())
    wired.output.platform(Ended(0.001, 128, 5))
    start, text, end, report = wired.output.end().decode().split("\n", 3)
    assert start == "START RequestId: id Version: $LATEST"
    assert text == "no newline üEND RequestId: id"
    assert end.startswith("REPORT RequestId: id\tDuration: 1.00 ms\t")
    assert report == ""


def test_no_tail_unless_asked_for(wired: Wired) -> None:
    wired.output.begin(False, "id")
    wired.output.add(b"line\n")
    assert wired.output.end() == b""


def test_a_tail_is_of_one_invocation_only(wired: Wired) -> None:
    wired.output.begin(True, "id")
    wired.output.add(b"first\n")
    assert wired.output.end() == b"first\n"
    assert wired.output.end() == b""
    wired.output.add(b"between\n")
    wired.write(b"late\n")
    wired.output.begin(True, "id")  # what is in the pipe by now belongs to nobody's tail
    wired.output.add(b"second\n")
    assert wired.output.end() == b"second\n"


def test_what_came_late_still_reaches_the_sink(heard: Wired) -> None:
    heard.write(b"late\n")
    heard.output.begin(True, "id")
    heard.output.platform(Started("arn"))
    assert heard.sink.text == b"late\nSTART RequestId: id Version: $LATEST\n"


def test_the_sink_is_called_in_order_with_the_functions_name(heard: Wired) -> None:
    heard.output.platform(InitStarted())
    heard.write(b"from the init\n")
    heard.output.drain()
    heard.output.begin(False, "id")
    heard.output.platform(Started("arn"))
    heard.write(b"one\n")
    assert heard.output.on_readable()
    heard.write(b"two\n")
    heard.output.drain()
    heard.output.platform(Closed())
    assert heard.sink.calls == [
        ("f", "stream", INIT_START),
        ("f", "stream", b"from the init\n"),
        ("f", "stream", b"START RequestId: id Version: $LATEST\n"),
        ("f", "stream", b"one\n"),
        ("f", "stream", b"two\n"),
    ]


def test_a_drain_reads_all_that_is_there_in_order(heard: Wired) -> None:
    log = b"".join(b"%07d\n" % number for number in range(MEGABYTE // 8))
    heard.write(log)  # as much as the pipe can hold
    heard.output.drain()
    assert heard.sink.text == log
    assert max(len(data) for _, _, data in heard.sink.calls) <= 65536
    heard.output.drain()  # nothing there: nothing waits
    assert heard.sink.text == log


class Endless(Sink):
    """Puts as much back into the pipe as it takes out: a function that never stops writing."""

    def __init__(self, worker_end: int) -> None:
        super().__init__()
        self._worker_end = worker_end

    def write(self, function: str, stream: str, data: bytes) -> None:
        os.write(self._worker_end, data)
        super().write(function, stream, b"" if len(self.calls) < 1000 else b"far too much")
        assert len(self.calls) < 1000


def test_a_drain_ends_though_somebody_still_writes(unheard: Wired) -> None:
    read = os.dup(unheard.output._fd)
    sink = Endless(unheard.worker_end)
    output = Output(read, SinkJournal(sink), lambda: NOW)
    output.name(STREAM)
    unheard.write(b"x" * 65536)
    output.drain()
    assert len(sink.calls) == 16
    os.close(read)


def test_the_end_of_the_pipe_is_told(wired: Wired) -> None:
    wired.write(b"last words\n")
    os.close(wired.worker_end)
    wired.worker_end = -1
    wired.output.begin(False, "id")
    assert wired.output.on_readable()
    assert not wired.output.on_readable()
    wired.output.drain()


def test_a_wake_up_for_nothing_is_not_the_end(wired: Wired) -> None:
    assert wired.output.on_readable()


def test_megabytes_take_no_memory(unheard: Wired) -> None:
    chunk = b"x" * 65536
    unheard.output.begin(True, "id")
    tracemalloc.start()
    try:
        for _ in range(256):  # 16 MB
            unheard.output.add(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(chunk)
    assert unheard.output.end() == chunk[:4096]


def test_somebody_listens_when_there_is_a_sink_or_a_tail(heard: Wired, unheard: Wired) -> None:
    assert heard.output.listening
    assert not unheard.output.listening
    unheard.output.begin(False, "id")
    assert not unheard.output.listening
    unheard.output.begin(True, "id")
    assert unheard.output.listening
    unheard.output.end()
    assert not unheard.output.listening


def test_records_come_out_whole_and_without_their_headers(wired: Wired) -> None:
    wired.output.begin(True, "id")
    for piece in records.encode(b"a\nrecord\n", 1):
        wired.write(piece)
    wired.write(b"raw\n")
    wired.output.drain()
    assert wired.output.end() == b"a\nrecord\nraw\n"
    if wired.output.listening:
        assert [data for _, _, data in wired.sink.calls] == [b"a\nrecord\n", b"raw\n"]


def test_what_is_unread_when_the_process_ends_is_taken(heard: Wired) -> None:
    heard.write(b"last words")
    heard.output.close()
    assert heard.sink.text == b"last words"
