"""The journal that is kept: batches, order, bounds and the end."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.process.house import eventually

from samovar.logs.files import LogFiles
from samovar.logs.journals import Journals
from samovar.logs.lost import DISK, FILES, STOPPED, TOO_FAST, WRITER, Lost
from samovar.logs.reader import Reader, Wanted
from samovar.logs.stream import Closed, Ended, LogStream, Started
from samovar.logs.writer import BATCH, INTERVAL, LogWriter
from samovar.testing import ManualClock
from samovar_worker.wire.records import encode

STREAM = LogStream("/aws/lambda/f", "s", "f")
OTHER = LogStream("/aws/lambda/f", "t", "f")


def writing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "samovar-logs"]


class Stage:
    def __init__(self, directory: Path, queue: int = 1 << 24) -> None:
        self.clock = ManualClock()
        self.lost = Lost()
        self.directory = directory
        self.files = LogFiles(directory, 1 << 24, 1 << 30, self.lost)
        self.writer = LogWriter(self.clock, self.lost, self.files, queue=queue)

    def say(self, data: bytes, stream: LogStream = STREAM, request_id: str = "id") -> None:
        self.writer.put(stream, self.clock.wall(), request_id, data)

    def has_room(self) -> bool:
        """Whether nothing waits. What is read may be what the queue still counts."""
        return self.writer._put == self.writer._done

    def read(self) -> list[str]:
        return [event.message for event in Reader(self.directory, "f").read(Wanted())]


def play(scenario: Callable[[Stage], Coroutine[Any, Any, None]], stage: Stage) -> None:
    async def main() -> None:
        try:
            await scenario(stage)
        finally:
            await stage.writer.close(10)

    asyncio.run(main())


def test_what_is_put_is_written_in_order_some_moments_later(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def scenario(stage: Stage) -> None:
        stage.writer.put(STREAM, 1.0, "id", Started("arn"))
        stage.say(b"one\ntw")
        stage.say(b"other\n", OTHER)
        stage.say(b"o\n" + b"".join(encode(b"a\nrecord\n", 1)) + b"unfinished")
        stage.writer.put(STREAM, 1.0, "id", Ended(0.001, 128, 5))
        assert not writing()
        assert stage.read() == []
        stage.clock.advance(INTERVAL)
        await eventually(lambda: len(stage.read()) == 8, "it is all written")

    play(scenario, stage)
    assert [text.partition("\t")[0] for text in stage.read()] == [
        "START RequestId: id Version: $LATEST",
        "one",
        "other",
        "two",
        "a\nrecord",
        "unfinished",
        "END RequestId: id",
        "REPORT RequestId: id",
    ]


def test_a_record_that_an_end_comes_into_stays_whole(tmp_path: Path) -> None:
    """A thread's that goes on; one that nobody goes on with is told when its process is gone."""
    stage = Stage(tmp_path)
    first, rest = encode(b"r" * 5000 + b"\n", 1)
    unended, _ = encode(b"u" * 5000, 2)

    async def scenario(stage: Stage) -> None:
        stage.say(first + unended)
        stage.writer.put(STREAM, 1.0, "id", Ended(0.001, 128, 5))
        stage.say(rest, request_id="")
        stage.writer.put(STREAM, 1.0, "", Closed())

    play(scenario, stage)
    end, report, whole, incomplete = stage.read()
    assert (end, report[:6]) == ("END RequestId: id", "REPORT")
    assert whole == "r" * 5000
    assert incomplete == "u" * (4096 - 11)
    assert stage.writer._splitters == {}


def test_a_record_whose_process_ended_comes_before_its_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def scenario(stage: Stage) -> None:
        stage.say(next(encode(b"u" * 5000, 2)))
        ended = Ended(1.0, 128, 5, by_platform=True, status="timeout")
        stage.writer.put(STREAM, 1.0, "id", ended)

    play(scenario, stage)
    assert [text[:3] for text in stage.read()] == ["uuu", "END", "REP"]


def test_a_large_batch_does_not_wait(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(BATCH // 65536):
            stage.say(b"x" * 65535 + b"\n")
        await eventually(lambda: len(stage.read()) == BATCH // 65536, "it is written")

    play(scenario, Stage(tmp_path))


def test_the_end_writes_what_is_left(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def scenario(stage: Stage) -> None:
        stage.say(b"last\n")
        stage.say(b"words")
        stage.writer.put(STREAM, 1.0, "", Closed())

    play(scenario, stage)
    assert stage.read() == ["last", "words"]
    assert stage.lost.counts() == {}


def test_nothing_is_started_for_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "logs")

    async def scenario(stage: Stage) -> None:
        assert not writing()

    play(scenario, stage)
    assert not (tmp_path / "logs").exists()


def test_beyond_its_bound_it_drops_counts_and_says_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path, queue=10_000)

    async def scenario(stage: Stage) -> None:
        for number in range(100):
            stage.say(b"%03d %s\n" % (number, b"x" * 500))
        stage.clock.advance(INTERVAL)
        await eventually(stage.has_room, "what was kept is written")
        stage.say(b"after\n")

    play(scenario, stage)
    *kept, dropped, after = stage.read()
    assert [int(text.split()[0]) for text in kept] == list(range(len(kept)))
    lost = 100 - len(kept)
    assert 0 < lost < 100
    assert dropped == (
        f"LOGS_DROPPED Records: {lost}\tBytes: {lost * 505}\t"
        "Reason: written faster than they can be kept\t"
    )
    assert after == "after"
    assert stage.lost.counts() == {(WRITER, TOO_FAST): lost}


def test_a_bound_that_was_reached_is_free_again_once_it_is_written(tmp_path: Path) -> None:
    stage = Stage(tmp_path, queue=2000)

    async def scenario(stage: Stage) -> None:
        for number in range(20):
            stage.say(b"%d\n" % number)
            stage.clock.advance(INTERVAL)
            await eventually(lambda number=number: len(stage.read()) == number + 1, "written")

    play(scenario, stage)
    assert stage.read() == [str(number) for number in range(20)]


def test_a_disk_that_refuses_does_not_end_the_thread(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    stage = Stage(tmp_path / "logs")

    async def scenario(stage: Stage) -> None:
        stage.say(b"lost\n")
        stage.clock.advance(INTERVAL)
        await eventually(stage.lost.counts, "it is counted")
        (tmp_path / "logs").unlink()
        stage.say(b"kept\n")

    play(scenario, stage)
    assert stage.read()[1:] == ["kept"]
    assert stage.lost.counts() == {(FILES, DISK): 1}


def test_a_function_that_floods_its_log_costs_the_others_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, queue=1_000_000)

    async def scenario(stage: Stage) -> None:
        for _ in range(100):
            stage.say(b"x" * 65_535 + b"\n")
        for number in range(100):
            stage.say(b"quiet %d\n" % number, OTHER)
            stage.writer.put(OTHER, 1.0, "id", Ended(0.001, 128, 5))

    play(scenario, stage)
    found = [text for text in stage.read() if text.startswith("quiet")]
    assert found == [f"quiet {number}" for number in range(100)]
    assert stage.lost.counts() == {(WRITER, TOO_FAST): 100 - 750_000 // (65_536 + 256)}


def test_what_fails_unexpectedly_leaves_room_for_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, queue=2000)
    append = stage.files.append

    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario(stage: Stage) -> None:
        stage.files.append = fail  # type: ignore[method-assign]
        for number in range(1, 11):
            stage.say(b"lost\n")
            stage.clock.advance(INTERVAL)
            await eventually(lambda number=number: len(caplog.records) == number, "it is told")
        stage.files.append = append  # type: ignore[method-assign]
        stage.say(b"kept\n")

    play(scenario, stage)
    assert stage.read() == ["kept"]


def test_a_disk_that_hangs_does_not_hang_the_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    gate = threading.Event()

    async def main() -> None:
        stage.writer._give(lambda: gate.wait(60) and None)  # a write that does not return
        stage.say(b"lost\n")
        await stage.writer.close(0.01)
        assert stage.lost.counts()[WRITER, STOPPED] >= 1

    try:
        asyncio.run(main())
    finally:
        gate.set()
        for thread in writing():
            thread.join(10)


def test_several_journals_get_the_same() -> None:
    class Kept:
        def __init__(self) -> None:
            self.put_here: list[Any] = []

        def put(self, *entry: Any) -> None:
            self.put_here.append(entry)

    first, second = Kept(), Kept()
    Journals([first, second]).put(STREAM, 1.0, "id", b"data")
    assert first.put_here == second.put_here == [(STREAM, 1.0, "id", b"data")]


@pytest.mark.parametrize("stream", [STREAM, OTHER], ids=["one", "other"])
def test_a_context_that_is_gone_leaves_nothing_behind(tmp_path: Path, stream: LogStream) -> None:
    stage = Stage(tmp_path)

    async def scenario(stage: Stage) -> None:
        stage.say(b"begun", stream)
        stage.writer.put(stream, 1.0, "", Closed())

    play(scenario, stage)
    assert stage.writer._splitters == {}
    assert stage.read() == ["begun"]


def test_a_flood_of_short_lines_takes_little_memory(tmp_path: Path) -> None:
    """A line of a byte becomes some hundred in the file: they are not made of all that waits, and
    of what is kept there is as much less."""
    stage = Stage(tmp_path)
    chunk = b"\n" * 65536

    async def scenario(stage: Stage) -> None:
        stage.say(b"first\n")
        stage.clock.advance(INTERVAL)
        await eventually(stage.read, "the thread is there")
        tracemalloc.start()
        try:
            for _ in range(48):
                stage.say(chunk)
            stage.clock.advance(INTERVAL)
            await eventually(
                lambda: stage.writer._done == stage.writer._put, "all is written", within=60
            )
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 24 << 20

    play(scenario, stage)
