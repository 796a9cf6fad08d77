"""How the queue keeps what is known of an event."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest

from samovar.model.event import Channel, Delivery, QueuedEvent

EVENT = QueuedEvent("f", "arn:f:live", "live", "Root=1", 3, 2, 1, "Success", "E", "m")
DELIVERY = Delivery(
    "id",
    "arn:f",
    Channel.DEAD_LETTER,
    "arn:q",
    "arn:r",
    "Success",
    failures=3,
    ended=7.5,
    prefix="p",
    mapping="m",
    records=4,
)


def test_what_was_packed_is_unpacked() -> None:
    assert QueuedEvent.unpack(EVENT.pack()) == EVENT
    assert Delivery.unpack(DELIVERY.pack()) == DELIVERY


def test_a_delivery_that_was_kept_before_its_end_was_is_read() -> None:
    fields = msgpack.unpackb(DELIVERY.pack())
    before_mappings = replace(DELIVERY, mapping="", records=0)
    assert Delivery.unpack(msgpack.packb(fields[:-2])) == before_mappings
    before_ends = replace(before_mappings, ended=0.0, prefix="")
    assert Delivery.unpack(msgpack.packb(fields[:-4])) == before_ends


def test_a_new_event_is_packed_as_any_other() -> None:
    new = QueuedEvent("f", "arn:f:live", "live", "Root=1")
    assert QueuedEvent.pack_new("f", "arn:f:live", "live", "Root=1") == new.pack()
    assert EVENT.again() == new


@pytest.mark.parametrize("head", [msgpack.packb([2, "f"]), msgpack.packb({}), msgpack.packb(1)])
def test_another_format_is_refused(head: bytes) -> None:
    for kind in (QueuedEvent, Delivery):
        with pytest.raises(ValueError, match="another format"):
            kind.unpack(head)
