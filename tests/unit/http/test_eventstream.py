"""The event stream's writer, read by botocore's reader."""

from __future__ import annotations

import struct

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from samovar.doors.http import eventstream

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80).filter(
    lambda text: len(text.encode()) <= 255
)
VALUES = st.text(st.characters(codec="utf-8"), max_size=300)
MESSAGES = st.tuples(st.dictionaries(NAMES, VALUES, max_size=6), st.binary(max_size=2000))


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 50))
def test_what_is_written_is_read(messages: list[tuple[dict[str, str], bytes]], piece: int) -> None:
    written = b"".join(eventstream.message(headers, payload) for headers, payload in messages)
    reader = EventStreamBuffer()
    found = []
    for start in range(0, len(written), piece):  # in pieces, as a network delivers it
        reader.add_data(written[start : start + piece])
        found += [(message.headers, message.payload) for message in reader]
    assert found == messages


@given(MESSAGES, st.data())
def test_a_changed_byte_is_noticed(
    message: tuple[dict[str, str], bytes], data: st.DataObject
) -> None:
    """Of the payload and the checksums: a changed length may only make the reader wait."""
    headers, payload = message
    written = bytearray(eventstream.message(headers, payload))
    (head,) = struct.unpack_from("!I", written, 4)
    at = data.draw(st.integers(12 + head, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    reader = EventStreamBuffer()
    reader.add_data(bytes(written))
    with pytest.raises(ChecksumMismatch):
        list(reader)


def test_the_smallest_message() -> None:
    """The form of the specification: 16 bytes, with CRCs that can be looked up."""
    assert eventstream.message({}, b"").hex() == "000000100000000005c248eb7d98c8ff"


def test_an_event() -> None:
    reader = EventStreamBuffer()
    reader.add_data(eventstream.event("PayloadChunk", "application/octet-stream", b"{}"))
    (found,) = reader
    assert found.headers == {
        ":event-type": "PayloadChunk",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    assert found.payload == b"{}"


def test_what_has_no_room() -> None:
    largest = eventstream.message({"n" * 255: "v" * 32767}, b"")
    reader = EventStreamBuffer()
    reader.add_data(largest)
    assert next(reader).headers == {"n" * 255: "v" * 32767}
    for headers in ({"": "v"}, {"n" * 256: "v"}, {"n": "v" * 32768}, {"ü" * 128: "v"}):
        with pytest.raises(ValueError, match="no room"):
            eventstream.message(headers, b"")
    with pytest.raises(ValueError, match="is more than"):
        eventstream.message({}, bytes(eventstream.MAX_PAYLOAD + 1))
