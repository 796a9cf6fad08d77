"""Frames: however a pipe cuts the bytes, whole frames come out, and nothing else does."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker.wire import frames, memory
from samovar_worker.wire.frames import HEADER, IN_MEMORY, VERSION, Decoder, Frame, ProtocolError
from samovar_worker.wire.messages import Kind

MEMORY_SIZE = memory.MAX_RESPONSE

kinds = st.integers(0, 255)
numbers = st.integers(0, 2**64 - 1)
inline = st.builds(
    lambda kind, number, metadata, payload: Frame(
        kind, 0, number, metadata, payload, len(payload)
    ),
    kinds, numbers, st.binary(max_size=200), st.binary(max_size=200),
)  # fmt: skip
in_memory = st.builds(
    lambda kind, number, metadata, length: Frame(kind, IN_MEMORY, number, metadata, b"", length),
    kinds, numbers, st.binary(max_size=200), st.integers(1, MEMORY_SIZE),
)  # fmt: skip
sequences = st.lists(inline | in_memory, max_size=8)


def encode(frame: Frame) -> bytes:
    length = frame.payload_length if frame.flags else 0
    return frames.encode(frame.kind, frame.invocation, frame.metadata, frame.payload, length)


def decode(*pieces: bytes) -> list[Frame]:
    decoder = Decoder(MEMORY_SIZE)
    return [frame for piece in pieces for frame in decoder.feed(piece)]


def header(
    *, kind: int = Kind.RESULT, flags: int = 0, version: int = VERSION, metadata: int = 0,
    payload: int = 0,
) -> bytes:  # fmt: skip
    return HEADER.pack(kind, flags, version, metadata, payload, 1)


def test_the_bytes_of_a_frame() -> None:
    data = frames.encode(Kind.INVOKE, 7, b"meta", b"payload!")
    assert data == (
        b"\x02"  # kind
        b"\x00"  # flags
        b"\x01\x00"  # version
        b"\x04\x00\x00\x00"  # length of the metadata
        b"\x08\x00\x00\x00"  # length of the payload
        b"\x07\x00\x00\x00\x00\x00\x00\x00"  # invocation
        b"metapayload!"
    )
    assert HEADER.size == 20


def test_a_payload_in_memory_is_not_behind_the_metadata() -> None:
    data = frames.encode(Kind.RESULT, 7, b"meta", in_memory=6_000_000)
    assert data[:2] == b"\x13\x01"
    assert len(data) == HEADER.size + 4
    assert decode(data) == [Frame(Kind.RESULT, IN_MEMORY, 7, b"meta", b"", 6_000_000)]


@given(sequences, st.data())
def test_frames_cut_anywhere_come_out_whole(sequence: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sequence))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    edges = [0, *sorted(cuts), len(stream)]
    assert decode(*(stream[start:end] for start, end in pairwise(edges))) == sequence


@given(sequences)
def test_frames_byte_by_byte(sequence: list[Frame]) -> None:
    stream = b"".join(map(encode, sequence))
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == sequence


@given(inline | in_memory)
def test_the_short_way_and_the_long_way_agree(frame: Frame) -> None:
    data = encode(frame)
    assert decode(data) == decode(data[:-1], data[-1:]) == [frame]
    assert decode(data + data) == [frame, frame]


@given(inline, st.binary(max_size=30))
def test_a_frame_comes_as_soon_as_it_is_whole(frame: Frame, rest: bytes) -> None:
    data = encode(frame)
    decoder = Decoder(MEMORY_SIZE)
    assert decoder.feed(data[:-1]) == []
    begun = frames.encode(Kind.READY, 0, b"m" * 40 + rest)[:-1]  # the next one, but for a byte
    assert decoder.feed(data[-1:] + begun) == [frame]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (header(version=0), "frame version 0, expected 1"),
        (header(version=2), "frame version 2, expected 1"),
        (header(flags=2), "frame flags 0x02: not known here"),
        (header(flags=0x81), "frame flags 0x81: not known here"),
        (
            header(metadata=frames.MAX_METADATA + 1),
            "262145 bytes of metadata, at most 262144",
        ),
        (
            header(payload=frames.MAX_INLINE_PAYLOAD + 1),
            "65537 bytes of payload, at most 65536",
        ),
        (
            header(flags=IN_MEMORY, payload=MEMORY_SIZE + 1),
            "6291557 bytes of payload, at most 6291556",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "frame version 8276, expected 1"),
        (b"\0" * 20, "frame version 0, expected 1"),
        (b"\xff" * 20, "frame version 65535, expected 1"),
    ],
)
def test_what_is_no_frame(data: bytes, complaint: str) -> None:
    for pieces in ([data], [data[:7], data[7:]], [encode_one() + data]):
        with pytest.raises(ProtocolError) as caught:
            decode(*pieces)
        assert str(caught.value) == complaint


def encode_one() -> bytes:
    return frames.encode(Kind.READY, 0, b"m", b"p")


def test_over_long_in_one_piece() -> None:
    """The short way must not let through what the long way refuses."""
    for data in (
        header(metadata=frames.MAX_METADATA + 1) + bytes(frames.MAX_METADATA + 1),
        header(payload=frames.MAX_INLINE_PAYLOAD + 1) + bytes(frames.MAX_INLINE_PAYLOAD + 1),
        header(version=2, metadata=3) + b"abc",
        header(flags=4, payload=3) + b"abc",
    ):
        with pytest.raises(ProtocolError):
            decode(data)


def test_the_longest_that_fits() -> None:
    data = frames.encode(
        Kind.RESULT, 1, b"m" * frames.MAX_METADATA, b"p" * frames.MAX_INLINE_PAYLOAD
    )
    for pieces in ([data], [data[:50_000], data[50_000:]]):
        (frame,) = decode(*pieces)
        assert frame.metadata == b"m" * frames.MAX_METADATA
        assert frame.payload == b"p" * frames.MAX_INLINE_PAYLOAD
    (frame,) = decode(frames.encode(Kind.RESULT, 1, b"", in_memory=MEMORY_SIZE))
    assert frame.payload_length == MEMORY_SIZE


@given(st.binary(max_size=400), st.integers(1, 50))
def test_garbage_is_refused_or_waited_for(data: bytes, step: int) -> None:
    """Nothing but ProtocolError comes out, and what is taken as frames is what was written."""
    decoder = Decoder(MEMORY_SIZE)
    taken: list[Frame] = []
    try:
        for start in range(0, len(data), step):
            taken += decoder.feed(data[start : start + step])
    except ProtocolError:
        pass
    written = b"".join(map(encode, taken))
    # Flags of a frame whose payload lies in memory stand for no bytes.
    assert data.startswith(written)


@given(sequences.filter(bool), st.data())
def test_a_stream_with_a_wrong_byte(sequence: list[Frame], data: st.DataObject) -> None:
    """Refused or misread, but never anything but frames and ProtocolError."""
    stream = bytearray(b"".join(map(encode, sequence)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        taken = decode(bytes(stream[:30]), bytes(stream[30:]))
    except ProtocolError:
        return
    assert all(len(frame.payload) in (0, frame.payload_length) for frame in taken)
    assert sum(len(frame.metadata) + len(frame.payload) for frame in taken) < len(stream)


def test_memory_held_is_bounded() -> None:
    """A peer that promises a long frame and dribbles makes the decoder hold that frame, no more."""
    frame = header(metadata=frames.MAX_METADATA, payload=frames.MAX_INLINE_PAYLOAD)
    frame += bytes(frames.MAX_METADATA + frames.MAX_INLINE_PAYLOAD)
    piece, count = 8191, 0
    decoder = Decoder(MEMORY_SIZE)
    stream = memoryview(frame * 40)
    tracemalloc.start()
    try:
        for start in range(0, len(stream), piece):
            count += len(decoder.feed(bytes(stream[start : start + piece])))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 40
    assert held < 2 * piece
    # While a frame is put together: what is held, held and new bytes in one, and the frame's parts.
    assert peak < 4 * len(frame)


def test_an_empty_read_changes_nothing() -> None:
    data = encode_one()
    assert decode(b"", data[:5], b"", data[5:], b"") == decode(data)
