"""Events: a record is one, and so is each line of anything else."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from samovar.logs.split import Splitter
from samovar_worker.wire.records import MAX_RECORD, encode


def framed(record: bytes) -> bytes:
    return b"".join(encode(record, 1))


def test_lines_and_records() -> None:
    splitter = Splitter()
    wire = b"one\ntwo\n\n" + framed(b"[ERROR] three\nTraceback\n") + b"four\nfi"
    assert splitter.feed(wire) == ["one", "two", "", "[ERROR] three\nTraceback", "four"]
    assert splitter.feed(b"ve\nsix") == ["five"]
    assert splitter.flush() == ["six"]
    assert splitter.flush() == []


def test_a_record_within_a_line() -> None:
    splitter = Splitter()
    assert splitter.feed(b"be" + framed(b"record\n") + b"gun\n") == ["record", "begun"]


@given(st.text(), st.lists(st.integers(0, 1000), max_size=5))
def test_however_it_is_cut(text: str, places: list[int]) -> None:
    data = text.encode()
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    splitter = Splitter()
    found = []
    for start, end in itertools.pairwise(bounds):
        found += splitter.feed(data[start:end])
    found += splitter.flush()
    *whole, rest = text.split("\n")
    assert found == whole + ([rest] if rest else [])


def test_what_is_no_utf_8() -> None:
    assert Splitter().feed(b"\xfe\x80ok\n") == ["\ufffd\ufffdok"]


def test_a_line_without_an_end_is_cut() -> None:
    splitter = Splitter()
    found = []
    for _ in range(40):
        found += splitter.feed(b"x" * 65536)
    assert {len(line) for line in found} == {MAX_RECORD}
    assert sum(map(len, found)) + sum(map(len, splitter.flush())) == 40 * 65536


def test_a_line_without_an_end_is_cut_between_characters() -> None:
    for character in ("\u044f", "\u2028", "\U0001fad6"):
        for shift in range(4):
            text = "." * shift + character * (2 * MAX_RECORD // len(character.encode()))
            splitter, data = Splitter(), text.encode()
            found = []
            for start in range(0, len(data), 65536):
                found += splitter.feed(data[start : start + 65536])
            found += splitter.flush()
            assert "".join(found) == text
            assert max(len(line.encode()) for line in found) <= MAX_RECORD


def test_what_is_no_utf_8_at_all_is_cut_anywhere() -> None:
    splitter = Splitter()
    (found,) = splitter.feed(b"\x80" * (MAX_RECORD + 1))
    assert found == "\ufffd" * MAX_RECORD
