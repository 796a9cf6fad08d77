"""Reading logs back: on and on, over rotations, and only what is wanted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from samovar.logs.files import LogFiles, entry
from samovar.logs.lost import Lost
from samovar.logs.reader import Reader, Wanted, functions, moment
from samovar.logs.stream import LogStream

STREAM = LogStream("/aws/lambda/f", "s", "f")


def append(files: LogFiles, message: str, now: float = 1.0, request_id: str = "") -> None:
    files.append(STREAM, now, entry(STREAM, now, request_id, [message]), 1)


def read(reader: Reader, wanted: Wanted | None = None) -> list[str]:
    return [event.message for event in reader.read(wanted or Wanted())]


def test_each_event_once_over_rotations(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, 1 << 17, 1 << 30, Lost())
    reader = Reader(tmp_path, "f")
    seen = []
    for number in range(2000):
        append(files, f"{number} {'x' * 50}")
        if number % 7 == 0:
            seen += read(reader)
    seen += read(reader)
    assert [int(text.split()[0]) for text in seen] == list(range(2000))
    assert len(list((tmp_path / "f").iterdir())) > 2


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, 1 << 20, 1 << 30, Lost())
    append(files, "one")
    (path,) = (tmp_path / "f").iterdir()
    line = path.read_bytes()
    reader = Reader(tmp_path, "f")
    path.write_bytes(line + line[:20])
    assert read(reader) == ["one"]
    path.write_bytes(line + line)
    assert read(reader) == ["one"]
    assert read(reader) == []


def test_a_log_that_was_deleted_begins_anew(tmp_path: Path) -> None:
    """Under the same names, and before anybody has seen that they were gone."""
    reader = Reader(tmp_path, "f")
    files = LogFiles(tmp_path, 1 << 20, 1 << 30, Lost())
    append(files, "one")
    append(files, "two")
    assert read(reader) == ["one", "two"]
    shutil.rmtree(tmp_path / "f")
    append(LogFiles(tmp_path, 1 << 20, 1 << 30, Lost()), "three")
    assert read(reader) == ["three"]


def test_what_is_no_event_is_passed_over(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, 1 << 20, 1 << 30, Lost())
    append(files, "one")
    (path,) = (tmp_path / "f").iterdir()
    path.write_bytes(b'{"time":12,"st\n[]\n{"time":1}\n\xff\n' + path.read_bytes())
    assert read(Reader(tmp_path, "f")) == ["one"]


def test_what_is_wanted(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, 1 << 20, 1 << 30, Lost())
    for now, request_id, message in ((1, "", "init"), (2, "a", "tea"), (3, "b", "green tea")):
        append(files, message, now, request_id)
    assert read(Reader(tmp_path, "f"), Wanted(since=2000)) == ["tea", "green tea"]
    assert read(Reader(tmp_path, "f"), Wanted(request_id="a")) == ["tea"]
    assert read(Reader(tmp_path, "f"), Wanted(text="green")) == ["green tea"]
    assert read(Reader(tmp_path, "f"), Wanted(since=2500, request_id="a")) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 1_769_903_969),
        ("10m", 1_769_903_399),
        ("2h", 1_769_896_799),
        ("1d", 1_769_817_599),
        ("1w", 1_769_299_199),
        ("2026-01-31T23:59:58Z", 1_769_903_998),
        ("2026-01-31T23:59:58", 1_769_903_998),
        ("2026-02-01T00:59:58+01:00", 1_769_903_998),
        ("2026-01-31", 1_769_817_600),
    ],
)
def test_moments(text: str, seconds: int) -> None:
    assert moment(text, 1_769_903_999.0) == seconds * 1000


@pytest.mark.parametrize("text", ["", "10", "m", "10 min", "-5m", "yesterday", "2026-13-01"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"[Ii]nvalid|month"):
        moment(text, 0)


def test_the_functions_that_there_are(tmp_path: Path) -> None:
    assert functions(tmp_path / "none") == []
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    assert functions(tmp_path) == ["a", "b"]
