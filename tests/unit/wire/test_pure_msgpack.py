"""Without msgpack's C extension, and under every interpreter here, the wire is the same.

An engine packs with the extension what a worker of another version reads without it.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import msgpack
import pytest
from tests.unit import interpreters
from tests.unit.wire.samples import INIT, INVOKE, LAUNCH, MESSAGES, PACKETS

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter
from samovar_worker.wire import control, frames, messages
from samovar_worker.wire.control import Exited, Fork, Packet, Refusal
from samovar_worker.wire.frames import ProtocolError
from samovar_worker.wire.messages import Done, Refused

# Where msgpack changes the form of a number, a string, an array, a map.
NUMBERS = [
    0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1,
    -1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63),
]  # fmt: skip
LENGTHS = [0, 1, 31, 32, 255, 256, 65535, 65536]
COUNTS = [0, 1, 15, 16, 255, 256]

EDGES = [
    *(Done(number, -1, "x" * 256, 0) for number in NUMBERS),
    *(Refused("x" * length) for length in LENGTHS),
    *(Refused("ü☕𝄞" * (length // 9)) for length in LENGTHS),
    *(INIT._replace(environment={f"K{n}": str(n) for n in range(count)}) for count in COUNTS),
    *(INIT._replace(import_paths=tuple(map(str, range(count)))) for count in COUNTS),
    *(INVOKE._replace(deadline_ms=number) for number in NUMBERS),
]
PACKET_EDGES: list[Packet] = [
    *(Fork(number, revive=True, spare=False, uid=0) for number in NUMBERS),
    *(Exited(number, number, None, number, tmp_kept=False) for number in NUMBERS),
    *(Refusal(1, "x" * min(length, 60_000)) for length in LENGTHS),
    *(LAUNCH._replace(binds=[["/a", "/b"]] * count) for count in COUNTS),
]
ALL_MESSAGES = [*MESSAGES, *EDGES]
ALL_PACKETS = [*PACKETS, *PACKET_EDGES]

SCRIPT = """
import msgpack
from samovar_worker.wire import control, frames, messages
facts["extension"] = "msgpack._cmsgpack" in sys.modules
made = [(getattr(messages, kind), values) for kind, values in given["messages"]]
packed = [messages.pack(kind(*values)) for kind, values in made]
facts["messages"] = [data.hex() for data in packed]
facts["same"] = [
    list(messages.unpack(kind, data)) == [
        tuple(value) if isinstance(value, list) else value for value in values]
    for (kind, values), data in zip(made, packed)
]
packets = [getattr(control, kind)(*values) for kind, values in given["packets"]]
facts["packets"] = [control.pack(packet).hex() for packet in packets]
facts["same packets"] = [control.unpack(control.pack(packet)) == packet for packet in packets]
facts["frame"] = frames.encode(20, 2**64 - 1, b"meta", b"payload").hex()

def tell(read, *arguments):
    try:
        return repr(tuple(read(*arguments)))
    except frames.ProtocolError:
        return "refused"

wrong = [bytes.fromhex(data) for data in given["wrong"]]
facts["done"] = [tell(messages.unpack_done, data) for data in wrong]
facts["unpacked"] = [tell(messages.unpack, messages.Done, data) for data in wrong]
facts["control"] = [tell(control.unpack, data) for data in wrong]
"""


def damaged() -> list[bytes]:
    """Packed messages with a byte changed or cut off, the same ones each time."""
    random_ = random.Random(1)
    made = []
    for packed in [*map(messages.pack, ALL_MESSAGES), *map(control.pack, ALL_PACKETS)]:
        data = bytearray(packed[:200])
        data[random_.randrange(min(len(data), 12))] = random_.randrange(256)
        made += [bytes(data), packed[: random_.randrange(len(packed))][:200]]
    return [
        *made,
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 3000,
        b"\x94\x01\x02\xa1\xff\x00",
    ]


def tell(read: Any, *arguments: Any) -> str:
    try:
        return repr(tuple(read(*arguments)))
    except ProtocolError:
        return "refused"


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    return {
        "messages": [(type(message).__name__, message) for message in ALL_MESSAGES],
        "packets": [(type(packet).__name__, packet) for packet in ALL_PACKETS],
        "wrong": [data.hex() for data in damaged()],
    }


def check(facts: dict[str, Any]) -> None:
    assert facts["messages"] == [messages.pack(message).hex() for message in ALL_MESSAGES]
    assert facts["packets"] == [control.pack(packet).hex() for packet in ALL_PACKETS]
    assert facts["frame"] == frames.encode(20, 2**64 - 1, b"meta", b"payload").hex()
    assert all(facts["same"])
    assert all(facts["same packets"])
    wrong = damaged()
    assert facts["done"] == [tell(messages.unpack_done, data) for data in wrong]
    assert facts["unpacked"] == facts["done"]
    assert facts["control"] == [tell(control.unpack, data) for data in wrong]
    assert len(set(facts["control"])) > 5  # some of it is still a packet


def test_here_msgpack_has_its_extension() -> None:
    """Else the tests below would compare the fallback with itself."""
    assert msgpack.Packer.__module__ == "msgpack._cmsgpack"


def test_without_the_extension(premises: Premises, given: dict[str, Any]) -> None:
    with_it = interpreters.run(sys.executable, premises, SCRIPT, given)
    pure = {"MSGPACK_PUREPYTHON": "1"}
    without = interpreters.run(sys.executable, premises, SCRIPT, given, pure)
    assert (with_it.pop("extension"), without.pop("extension")) == (True, False)
    assert with_it == without
    check(without)


def test_under_every_interpreter(
    premises: Premises, given: dict[str, Any], interpreters_found: tuple[Interpreter, ...]
) -> None:
    for interpreter in interpreters_found:
        facts = interpreters.run(interpreter.executable, premises, SCRIPT, given)
        same_version = interpreter.runtime == "python{}.{}".format(*sys.version_info)
        assert facts["extension"] is same_version, interpreter
        check(facts)
