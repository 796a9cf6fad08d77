"""Records on the output pipe: pieces that the kernel keeps whole, among whatever else comes."""

from __future__ import annotations

import itertools
import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker.wire.records import HEADER, MARKER, MAX_RECORD, PIECE, Deframer, encode

# Garbage that looks much like the real thing, too.
garbage = st.binary(max_size=40) | st.sampled_from(
    [MARKER, MARKER[:2], MARKER + b"\0" * 7, b"\xff", HEADER.pack(MARKER, 1, PIECE + 1, 0)]
)


def framed(record: bytes, origin: int = 1) -> bytes:
    return b"".join(encode(record, origin))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in parts, as reads may find it."""
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def joined(parts: list[tuple[bool, bytes]]) -> list[tuple[bool, bytes]]:
    """Raw output in one piece wherever nothing came in between."""
    found: list[tuple[bool, bytes]] = []
    for is_record, data in parts:
        if not data:
            continue
        if found and not is_record and not found[-1][0]:
            found[-1] = (False, found[-1][1] + data)
        else:
            found.append((is_record, data))
    return found


@given(
    st.lists(st.tuples(st.booleans(), st.text(min_size=1, max_size=50)), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_text_and_records_come_out_as_they_went_in(
    written: list[tuple[bool, str]], places: list[int]
) -> None:
    expected = joined([(is_record, text.encode()) for is_record, text in written])
    wire = b"".join(framed(data) if is_record else data for is_record, data in expected)
    frames = Deframer()
    found = [part for data in cut(wire, places) for part in frames.feed(data)]
    assert joined(found) == expected
    assert frames.flush() == []


@given(st.lists(garbage, max_size=10), st.lists(st.integers(0, 1000), max_size=8))
def test_garbage_is_taken_and_costs_nobody_else_his_record(
    parts: list[bytes], places: list[int]
) -> None:
    """A false header may swallow no more than a piece; what comes behind that is read again."""
    frames = Deframer()
    for data in cut(b"".join(parts), places):
        frames.feed(data)
    frames.feed(b"\n" * (PIECE + HEADER.size))
    assert joined(frames.feed(framed(b"mine", origin=7)))[-1] == (True, b"mine")


@given(st.lists(garbage, max_size=10), st.lists(st.integers(0, 1000), max_size=8))
def test_however_it_is_cut_the_same_comes_out(parts: list[bytes], places: list[int]) -> None:
    wire = b"".join(parts)
    at_once, cut_up = Deframer(), Deframer()
    whole = at_once.feed(wire) + at_once.flush()
    found = [part for data in cut(wire, places) for part in cut_up.feed(data)] + cut_up.flush()
    assert joined(found) == joined(whole)


@given(st.binary(max_size=200).filter(lambda data: MARKER not in data))
def test_nothing_of_raw_output_is_lost(data: bytes) -> None:
    frames = Deframer()
    assert b"".join(part for _, part in frames.feed(data) + frames.flush()) == data


def test_a_piece_is_written_whole() -> None:
    """What PIPE_BUF is for: see pipe(7)."""
    pieces = list(encode(b"x" * 3 * PIECE, 1))
    assert [len(piece) for piece in pieces] == [select.PIPE_BUF] * 3


def test_long_records_of_two_processes_and_raw_output_in_between() -> None:
    a, b = b"a" * (2 * PIECE + 5), b"b" * (PIECE + 1)
    first, second, third = encode(a, 1)
    other, last = encode(b, 2)
    frames = Deframer()
    found = frames.feed(b"x" + first + other + b"raw\n" + second + last + b"y" + third)
    assert joined(found) == [(False, b"xraw\n"), (True, b), (False, b"y"), (True, a)]


def test_a_record_that_is_never_ended_is_told_at_the_flush() -> None:
    first, _ = encode(b"z" * (PIECE + 9), 1)
    frames = Deframer()
    assert frames.feed(first + b"raw") == [(False, b"raw")]
    assert frames.flush() == [(True, b"z" * PIECE)]
    assert frames.feed(framed(b"next")) == [(True, b"next")]


@pytest.mark.parametrize("origins", [[1], range(1000)], ids=["one", "a thousand"])
def test_no_more_than_a_record_is_kept(origins: list[int]) -> None:
    frames = Deframer()
    piece = HEADER.pack(MARKER, 0, PIECE, 1)[:4]
    kept = 0
    for number in range(2 * MAX_RECORD // PIECE):
        origin = origins[number % len(origins)]
        told = frames.feed(piece + HEADER.pack(MARKER, origin, PIECE, 1)[4:] + bytes(PIECE))
        kept += PIECE - sum(len(data) for _, data in told)
        assert kept <= MAX_RECORD + PIECE


def test_no_more_than_some_writers_are_remembered() -> None:
    """Each of a million false origins would take more than its byte."""
    frames = Deframer()
    for origin in range(10_000):
        frames.feed(HEADER.pack(MARKER, origin, 1, 1) + b"x")
    assert len(frames._open) < 1000
    assert len(frames.flush()) < 1000


def test_a_long_record_becomes_several() -> None:
    frames = Deframer()
    found = frames.feed(framed(b"r" * (2 * MAX_RECORD + 1)))
    assert len(found) == 3
    assert sum(len(data) for _, data in found) == 2 * MAX_RECORD + 1


def test_false_headers_do_not_cut_output_to_pieces() -> None:
    """Each piece costs whoever reads on: 16,000 of them in 64 KB would stop a log's writer."""
    frames = Deframer()
    for false in (MARKER * 1000, HEADER.pack(MARKER, 1, PIECE + 1, 0) * 1000):
        assert len(frames.feed(false + b"\n" * 20)) == 1


def test_a_record_that_is_too_long_is_cut_between_characters() -> None:
    for character in ("\u044f", "\u2028", "\U0001fad6"):
        for shift in range(4):
            text = "." * shift + character * (2 * MAX_RECORD // len(character.encode()))
            frames = Deframer()
            found = frames.feed(framed(text.encode())) + frames.flush()
            assert {is_record for is_record, _ in found} == {True}
            assert len(found) <= 4
            assert "".join(data.decode() for _, data in found) == text
