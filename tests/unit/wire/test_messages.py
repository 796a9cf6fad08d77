"""Messages arrive as they were sent, and nothing else arrives as one."""

from __future__ import annotations

from itertools import product

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.wire import samples
from tests.unit.wire.samples import FOREIGN, MESSAGES, Message, accepts, annotations, instances

from samovar_worker.wire import frames, messages
from samovar_worker.wire.frames import ProtocolError
from samovar_worker.wire.messages import (
    Done,
    Init,
    Invoke,
    LeftOpen,
    Ready,
    Refused,
    Restore,
    unpack,
    unpack_done,
)

KINDS: list[type[Message]] = [Init, Restore, Invoke, Done, Refused, Ready, LeftOpen]
any_message = st.one_of(*(instances(kind) for kind in KINDS))


def test_each_message_arrives() -> None:
    for message in MESSAGES:
        assert unpack(type(message), messages.pack(message)) == message


@given(any_message)
def test_any_values_arrive(message: Message) -> None:
    arrived = unpack(type(message), messages.pack(message))
    assert arrived == message
    assert list(map(type, arrived)) == list(map(type, message))


def test_a_message_is_an_array_in_the_order_of_its_fields() -> None:
    assert messages.pack(Done(1, 2, "x", 3)) == b"\x94\x01\x02\xa1x\x03"
    assert messages.pack((1, 2, "x", 3)) == messages.pack(Done(1, 2, "x", 3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_another_type_is_refused(kind: type[Message]) -> None:
    example = next(message for message in MESSAGES if type(message) is kind)
    for position, (field, note) in enumerate(annotations(kind).items()):
        for value in FOREIGN:
            fields: list[object] = [*example]
            fields[position] = value
            data = msgpack.packb(fields)
            if accepts(note, value):
                unpack(kind, data)
                continue
            with pytest.raises(ProtocolError) as caught:
                unpack(kind, data)
            assert str(caught.value) == f"{kind.__name__}: {field} is of another type"


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_and_too_many_fields(kind: type[Message]) -> None:
    good = list(next(message for message in MESSAGES if type(message) is kind))
    for wrong in (good[:-1], [*good, None], []):
        with pytest.raises(ProtocolError, match=f"^{kind.__name__}: not an array of {len(good)}"):
            unpack(kind, msgpack.packb(wrong))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_array(kind: type[Message]) -> None:
    for value in FOREIGN:
        if isinstance(value, list):
            continue
        with pytest.raises(ProtocolError, match=rf"^{kind.__name__}: not an array of \d+$"):
            unpack(kind, msgpack.packb(value))


def test_cut_short_or_continued() -> None:
    for message in MESSAGES:
        data = messages.pack(message)
        cut = [data[:length] for length in range(len(data))]
        for wrong in (*cut, data + b"\x00", data + data):
            with pytest.raises(ProtocolError):
                unpack(type(message), wrong)


GARBAGE = [
    b"",
    b"\xc1",  # never used by msgpack
    b"\xdd\xff\xff\xff\xff",  # an array of 2^32 - 1 that isn't there
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\x91" * 100_000,  # as deep
    b"\x94\x01\x02\xa1\xff\x00",  # no UTF-8
    b"\x94\x01\x02\xa3\xed\xa0\x80\x00",  # half of a surrogate pair
    b"\x94\x01\x02\xd4\x05x\x00",  # an extension
    b"\x94\x01\x02\xd6\xff\x00\x00\x00\x00\x00",  # a time
    b"\x84\x01\x02\x03\x04\x05\x06\x07\x08",  # a map whose keys would do
    b"\xc4\x03\x01\x02x",  # three bytes
]


def test_garbage() -> None:
    for data in GARBAGE:
        for kind in KINDS:
            with pytest.raises(ProtocolError):
                unpack(kind, data)
        with pytest.raises(ProtocolError):
            unpack_done(data)


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    for kind in KINDS:
        try:
            unpack(kind, data)
        except ProtocolError:
            pass


@given(any_message, st.data())
def test_a_message_with_a_wrong_byte(message: Message, data: st.DataObject) -> None:
    packed = bytearray(messages.pack(message))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        arrived = unpack(type(message), bytes(packed))
    except ProtocolError:
        return
    for note, value in zip(annotations(type(message)).values(), arrived, strict=True):
        assert accepts(note, list(value) if isinstance(value, tuple) else value)


def outcome_of(read: object, data: bytes) -> tuple[int, int, str, int] | None:
    try:
        done = read(data)  # type: ignore[operator]
    except ProtocolError:
        return None
    assert isinstance(done, tuple)
    return done


anything = st.recursive(
    st.none() | st.booleans() | samples.ints | st.floats() | samples.texts | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(samples.texts, inner, max_size=3),
    max_leaves=8,
)


@given(
    instances(Done).map(messages.pack)
    | st.tuples(samples.ints, samples.ints, anything, anything).map(msgpack.packb)
    | st.lists(anything, min_size=3, max_size=5).map(msgpack.packb)
    | anything.map(msgpack.packb)
    | st.binary(max_size=20)
)
def test_the_quick_way_to_read_done_agrees(data: bytes) -> None:
    quick = outcome_of(unpack_done, data)
    assert quick == outcome_of(lambda data: unpack(Done, data), data)
    assert quick is None or list(map(type, quick)) == [int, int, str, int]


def test_the_quick_way_refuses_the_same_types() -> None:
    for field, value in product(range(4), FOREIGN):
        fields: list[object] = [1, 2, "x", 3]
        fields[field] = value
        data = msgpack.packb(fields)
        assert outcome_of(unpack_done, data) == outcome_of(lambda data: unpack(Done, data), data)


@given(instances(Init))
def test_the_quick_way_to_read_an_init_agrees(init: Init) -> None:
    data = messages.pack(init)
    assert messages.trusted_init(data) == unpack(Init, data)


def test_a_message_that_cant_be_packed_spoils_nothing() -> None:
    for wrong in (Refused("half \ud800"), Done(2**64, 0, "", 0), (object(),)):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            messages.pack(wrong)
        assert messages.pack(Done(1, 2, "x", 3)) == b"\x94\x01\x02\xa1x\x03"


def test_the_largest_init_fits_a_frame() -> None:
    """An environment of AWS's 4 KB with the longest paths is far from the bound on metadata."""
    init = samples.INIT._replace(
        environment={f"K{n}": "v" * 1000 for n in range(5)},
        import_paths=tuple("/" + "p" * 4095 for _ in range(10)),
        task_root="/" + "t" * 4095,
    )
    assert len(messages.pack(init)) < frames.MAX_METADATA / 4
