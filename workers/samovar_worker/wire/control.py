"""What engine and zygote say to each other: one msgpack array per packet of a SEQPACKET socket.

Engine to zygote: `Launch` once, then `Fork` (with the context's four descriptors; into fresh
mounts, or into those of a context whose process died) and `Discard`. Zygote to engine: `Hello`
once, then `Forked` (with a pidfd), `Refusal` and `Exited`. `Steward` (with a socket's end) asks a
zygote for a process that is spoken to over that socket in the same words, and that forks contexts
from a template: its first `Fork` makes the template, each later one a context of it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgpack

from samovar_worker.wire.fields import checks, complaint
from samovar_worker.wire.frames import ProtocolError

MAX_PACKET = 64 * 1024
ENDED = "its template has ended"  # the reason of a Refusal that is nobody's fault


class Launch(NamedTuple):
    """How to build the root, and whom to serve.

    `isolation`: «none», or else walls are to be built. `binds`: (source, target) pairs, bound
    read-only; `links`: (text, path) of symbolic links; `files`: (path, text). `preload`: modules
    imported before the first fork. `runtime_paths`: directories for `sys.path` behind the
    function's own. `first_uid` and `last_uid`: the range of those that contexts become, both 0
    where they stay who they are. `offline`: none of the contexts has a network. `engine_pid`: when
    it dies, so does the zygote. `scratch`: an empty directory on which the root is mounted.
    `marker`: an argument of the zygote's command line by which a later engine finds it.
    """

    isolation: str
    executable: str
    worker_path: str
    binds: list[list[str]]
    links: list[list[str]]
    files: list[list[str]]
    preload: list[str]
    runtime_paths: list[str]
    environment: dict[str, str]
    first_uid: int
    last_uid: int
    offline: bool
    engine_pid: int
    scratch: str
    marker: str


class Hello(NamedTuple):
    """The zygote is up: which walls its contexts get, and which they do not, with the reason."""

    walls: list[str]
    missing: dict[str, str]
    python: str
    pure_msgpack: bool


class Fork(NamedTuple):
    """Fork a process. Descriptors: request (read), reply (write), output (write), memory.

    `revive`: into the mounts of this context's last process; `spare`: nobody waits for it yet;
    `uid`: one of the Launch's, which no other context has, 0 where there are none.
    """

    context: int
    revive: bool
    spare: bool
    uid: int


class Discard(NamedTuple):
    """Kill the context's process if it lives; let its mounts go."""

    context: int


class Forked(NamedTuple):
    """A context's process exists; its pidfd comes with the packet."""

    context: int


class Refusal(NamedTuple):
    """The fork failed; `reason` is for people."""

    context: int
    reason: str


class Exited(NamedTuple):
    """The process was reaped and nothing it started is left.

    `code`: the exit status, or None; `signal`: the number that killed it, or None; `peak_kb`: its
    peak resident size; `tmp_kept`: its mounts are held for a revival.
    """

    context: int
    code: int | None
    signal: int | None
    peak_kb: int
    tmp_kept: bool


class Steward(NamedTuple):
    """Fork a steward, known by a context's number; its end of the socket comes with the packet."""

    context: int


Packet = Launch | Hello | Fork | Discard | Forked | Refusal | Exited | Steward

_KINDS: tuple[type[Packet], ...] = (Launch, Hello, Fork, Discard, Forked, Refusal, Exited, Steward)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_FIELDS = tuple(checks(kind) for kind in _KINDS)


def pack(packet: Packet) -> bytes:
    """The bytes of a packet; raises ValueError if it is over MAX_PACKET."""
    data: bytes = msgpack.packb([_NUMBERS[type(packet)], *packet])
    if len(data) > MAX_PACKET:
        raise ValueError(f"{type(packet).__name__} has {len(data)} bytes, at most {MAX_PACKET}")
    return data


def unpack(data: bytes) -> Packet:
    """The packet in `data`; raises ProtocolError for anything else."""
    try:
        values = msgpack.unpackb(data)
    except Exception as error:
        raise ProtocolError(f"control packet: not msgpack: {complaint(error)}") from error
    number = values.pop(0) if type(values) is list and values else None
    if type(number) is not int or not 0 <= number < len(_KINDS):
        raise ProtocolError("control packet: of no kind that there is")
    kind, fields = _KINDS[number], _FIELDS[number]
    if len(values) != len(fields):
        raise ProtocolError(f"{kind.__name__}: not an array of {len(fields)}")
    for name, value, is_one in zip(kind._fields, values, fields, strict=True):
        if not is_one(value):
            raise ProtocolError(f"{kind.__name__}: {name} is of another type")
    packet: Packet = kind(*values)
    return packet
