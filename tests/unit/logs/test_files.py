"""Log files: whole lines, rotation, caps, torn ends and disks that refuse."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from samovar.logs.files import LogFiles, entry, segments
from samovar.logs.lost import DISK, FILES, Lost
from samovar.logs.reader import Kept, Reader, Wanted
from samovar.logs.stream import LogStream

NOW = 1_769_903_999.123
STREAM = LogStream("/aws/lambda/f", "2026/01/31/[$LATEST]00", "f")


def made(directory: Path, limit: int = 1 << 20, total: int = 1 << 30) -> tuple[LogFiles, Lost]:
    lost = Lost()
    return LogFiles(directory, limit, total, lost), lost


def append(files: LogFiles, *messages: str, stream: LogStream = STREAM) -> None:
    files.append(stream, NOW, entry(stream, NOW, "id", list(messages)), len(messages))


def kept(directory: Path, function: str = "f") -> list[Kept]:
    return list(Reader(directory, function).read(Wanted()))


def messages(directory: Path, function: str = "f") -> list[str]:
    return [event.message for event in kept(directory, function)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files, lost = made(tmp_path)
    strange = ["", "two\nlines", 'q"\\\t\x00\x1b', "самовар \U0001fad6\u2028", "x" * 100_000]
    append(files, *strange)
    append(files, "last")
    assert messages(tmp_path) == [*strange, "last"]
    assert kept(tmp_path)[0] == Kept(
        1_769_903_999_123, "f", "/aws/lambda/f", "2026/01/31/[$LATEST]00", "id", ""
    )
    assert lost.counts() == {}


def test_a_group_of_its_own_is_in_every_line(tmp_path: Path) -> None:
    files, _ = made(tmp_path)
    shared = LogStream("/shared", "s", "f")
    append(files, "mine", stream=shared)
    line = json.loads(segments(tmp_path / "f")[0].read_text())
    assert list(line) == ["time", "stream", "logGroup", "requestId", "message"]
    assert kept(tmp_path)[0].group == "/shared"


def test_an_odd_request_id_breaks_no_line(tmp_path: Path) -> None:
    files, _ = made(tmp_path)
    files.append(STREAM, NOW, entry(STREAM, NOW, 'a"\nb', ["m"]), 1)
    assert kept(tmp_path)[0].request_id == 'a"\nb'


def size(directory: Path, function: str = "*") -> int:
    return sum(path.stat().st_size for path in directory.glob(f"{function}/*.jsonl"))


def test_a_log_stays_below_its_cap_and_keeps_its_end(tmp_path: Path) -> None:
    files, _ = made(tmp_path, limit=160_000)
    for number in range(3000):
        append(files, f"message {number:06d}")
        assert size(tmp_path) <= 160_000
    found = messages(tmp_path)
    assert found == [f"message {number:06d}" for number in range(3000 - len(found), 3000)]
    assert size(tmp_path) > 160_000 * 3 // 4
    assert len(segments(tmp_path / "f")) > 4


def test_what_comes_in_a_flood_does_not_burst_a_small_cap(tmp_path: Path) -> None:
    files, lost = made(tmp_path, limit=65_536)
    for flood in range(3):
        append(files, *[f"{flood} {number:04d} {'x' * 900}" for number in range(1000)])
        assert size(tmp_path) <= 65_536
    found = [text[:6] for text in messages(tmp_path)]
    assert found == [f"2 {number:04d}" for number in range(1000 - len(found), 1000)]
    append(files, "x" * 30_000, "last")  # an event is never cut
    assert [len(text) for text in messages(tmp_path)][-2:] == [30_000, 4]
    assert size(tmp_path) <= 65_536
    assert lost.counts() == {}


def test_all_logs_together_stay_below_the_total(tmp_path: Path) -> None:
    files, _ = made(tmp_path, limit=160_000, total=400_000)
    for number in range(12):
        stream = LogStream("g", "s", f"f{number}")
        for turn in range(30):
            append(files, f"{number} {turn} {'x' * 5000}", stream=stream)
            assert size(tmp_path) <= 400_000
    assert messages(tmp_path, "f11")[-1].startswith("11 29 ")
    assert messages(tmp_path, "f0") == []
    append(files, "back again", stream=LogStream("g", "s", "f0"))
    assert messages(tmp_path, "f0") == ["back again"]


def test_many_functions_whose_logs_have_one_segment_each_stay_below_the_total(
    tmp_path: Path,
) -> None:
    files, _ = made(tmp_path, limit=1 << 20, total=400_000)
    for turn in range(10):
        for number in range(20):
            stream = LogStream("g", "s", f"f{number}")
            append(files, f"{number} {turn} {'x' * 5000}", stream=stream)
            assert size(tmp_path) <= 400_000
    assert size(tmp_path) > 300_000
    assert messages(tmp_path, "f19")[-1].startswith("19 9 ")
    files, _ = made(tmp_path, limit=1 << 20, total=200_000)  # another engine, with less room
    append(files, "last", stream=LogStream("g", "s", "f19"))
    assert size(tmp_path) <= 200_000
    assert messages(tmp_path, "f19")[-1] == "last"


def test_what_somebody_deletes_makes_room(tmp_path: Path) -> None:
    files, _ = made(tmp_path, limit=160_000, total=200_000)
    for function in ("f", "g", "h"):
        for number in range(3):
            append(files, f"{number} {'x' * 19_000}", stream=LogStream("g", "s", function))
        if function == "g":
            shutil.rmtree(tmp_path / "f")
    assert len(messages(tmp_path, "g")) == len(messages(tmp_path, "h")) == 3
    append(files, "a" * 18_000, stream=LogStream("g", "s", "g"))
    append(files, "b" * 18_000, stream=LogStream("g", "s", "g"))
    assert len(messages(tmp_path, "g")) == 5


def test_another_engine_goes_on_where_the_last_one_was_killed(tmp_path: Path) -> None:
    append(made(tmp_path)[0], "one", "two")
    (path,) = segments(tmp_path / "f")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])  # in the middle of the last line
    append(made(tmp_path)[0], "three")
    assert messages(tmp_path) == ["one", "three"]
    assert segments(tmp_path / "f") == [path]


def test_a_disk_that_refuses_is_told_once_and_what_was_lost_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, lost = made(tmp_path / "logs")
    (tmp_path / "logs").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        append(files, "a")
        append(files, "b", "c")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert lost.counts() == {(FILES, DISK): 3}
    (tmp_path / "logs").unlink()
    append(files, "d")
    assert "written again" in caplog.text
    told, last = messages(tmp_path / "logs")
    assert told.startswith("LOGS_DROPPED Records: 3\tBytes: ")
    assert last == "d"
    assert lost.counts() == {(FILES, DISK): 3}


def test_a_function_is_known_before_it_logs(tmp_path: Path) -> None:
    files, _ = made(tmp_path)
    files.expect("f")
    assert (tmp_path / "f").is_dir()
    assert messages(tmp_path) == []


def test_what_somebody_deletes_or_empties_while_it_is_written_to_begins_anew(
    tmp_path: Path,
) -> None:
    files, lost = made(tmp_path)
    reader = Reader(tmp_path, "f")

    def told() -> list[str]:
        return [event.message for event in reader.read(Wanted())]

    append(files, "first", "second")
    assert told() == ["first", "second"]
    shutil.rmtree(tmp_path / "f")
    append(files, "3")
    assert told() == ["3"]
    segments(tmp_path / "f")[0].unlink()
    append(files, "4", "5")
    assert told() == ["4", "5"]
    os.truncate(segments(tmp_path / "f")[0], 0)
    append(files, "6")
    assert told() == ["6"]
    assert lost.counts() == {}
    assert [
        path.stat().st_mode & 0o777 for path in (tmp_path / "f", *segments(tmp_path / "f"))
    ] == [
        0o700,
        0o600,
    ]


def test_a_disk_that_takes_only_the_first_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was whole may have been read: it stays, and only the rest is counted as lost."""
    files, lost = made(tmp_path)
    append(files, "0")
    reader = Reader(tmp_path, "f")
    line = len(entry(STREAM, NOW, "id", ["1"]))
    write, seen = os.write, []

    def full(fd: int, data: bytes) -> int:
        if len(data) == 4 * line:
            return write(fd, data[: 2 * line + 5])
        seen.extend(event.message for event in reader.read(Wanted()))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        append(files, "1", "2", "3", "4")
        append(files, "5")
    assert lost.counts() == {(FILES, DISK): 3}
    append(files, "6")
    seen.extend(event.message for event in reader.read(Wanted()))
    assert seen[:3] == ["0", "1", "2"]
    assert seen[3].startswith(f"LOGS_DROPPED Records: 3\tBytes: {3 * line}\t")
    assert seen[4:] == ["6"]


def test_numbers_are_not_used_twice_and_a_clock_that_goes_back_deletes_nothing_new(
    tmp_path: Path,
) -> None:
    files, _ = made(tmp_path, limit=160_000, total=100_000)
    for number in range(3):
        append(files, f"{number} {'x' * 18_000}")
    for age, path in enumerate(segments(tmp_path / "f")):
        os.utime(path, (1000 - age, 1000 - age))  # the clock went back
    other = LogStream("g", "s", "g")
    for number in range(3):
        append(files, f"{number} {'x' * 18_000}", stream=other)
    assert [text[0] for text in messages(tmp_path, "f")] == ["1", "2"]
    shutil.rmtree(tmp_path / "f")
    append(files, "3 x")
    assert [path.name for path in segments(tmp_path / "f")] == ["00000004.jsonl"]
