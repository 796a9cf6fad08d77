"""Messages: what the metadata of each frame says; msgpack arrays in field order.

Named tuples, not dataclasses: `dataclasses` pulls `inspect` into every zygote (1.5 MB that each
fork copies), and a tuple packs as it is. Arrays, not maps, because two of these travel with every
invocation and without msgpack's C extension every key costs a microsecond.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeVar

import msgpack

from samovar_worker.wire.fields import checks, complaint
from samovar_worker.wire.frames import ProtocolError

THREADS, CHILDREN = 1, 2  # of a Done's `restless`


class Kind(IntEnum):
    """What a frame is."""

    # engine -> worker
    INIT = 1
    INVOKE = 2
    RESTORE = 3  # to a process that was forked from a template, in the place of INIT
    # worker -> engine
    READY = 16  # forked and waiting; nobody's code has run
    INIT_DONE = 17  # payload of a template's: a LeftOpen
    INIT_FAILED = 18  # payload: the error's JSON; the process exits 1 after it
    RESULT = 19  # payload: the result's JSON
    ERROR = 20  # payload: the error's JSON
    REFUSED = 21  # the event is not JSON: the handler was not called


class Init(NamedTuple):
    """Whose code to run, and how. Sent once to a process.

    `task_root`: the directory of the code as the zygote sees it; `import_paths`: more directories
    for `sys.path`; `tmp_size`: MB; `tmp_dir`: where /tmp is when there is no namespace to make one
    (else None); `revived`: the mounts of an earlier process of this context are still there;
    `layers`: the directory of the merged layers as the zygote sees it, None without any;
    `template`: be what contexts are forked from, once the init is over; `offline`: have no network,
    or don't run.
    """

    handler: str
    task_root: str
    environment: dict[str, str]
    import_paths: tuple[str, ...]
    tmp_size: int
    tmp_dir: str | None
    revived: bool
    layers: str | None
    template: bool
    offline: bool

    def __repr__(self) -> str:
        return f"Init({self.handler!r}, {self.task_root!r})"  # variables are secrets


class Restore(NamedTuple):
    """Whose context a process that was forked from a template is.

    `environment`: the variables that are not as the template has them; `tmp_dir`: where /tmp is
    when there is no namespace to make one (else None); `revived`: an earlier process had it.
    """

    environment: dict[str, str]
    tmp_dir: str | None
    revived: bool

    def __repr__(self) -> str:
        return f"Restore(tmp_dir={self.tmp_dir!r}, revived={self.revived})"  # as of an Init


class LeftOpen(NamedTuple):
    """What a template's init left that a fork can't take along or make anew: threads, by name, and
    sockets, by what they are connected to. The payload of its INIT_DONE."""

    threads: tuple[str, ...]
    sockets: tuple[str, ...]


class Invoke(NamedTuple):
    """One invocation; its event is the payload.

    `deadline_ms`: epoch milliseconds; `client_context`: JSON text.
    """

    request_id: str
    deadline_ms: int
    function_arn: str
    trace: str | None
    client_context: str | None


class Done(NamedTuple):
    """Behind RESULT, ERROR, INIT_DONE and INIT_FAILED.

    `microseconds` in the handler (or the init, or what follows a RESTORE); `peak_kb`: what the
    kernel says of this process's peak resident size; `error_type`: AWS's name when it failed, else
    «»; `restless`: what may run on behind it, a sum of THREADS and CHILDREN.
    """

    microseconds: int
    peak_kb: int
    error_type: str
    restless: int


class Refused(NamedTuple):
    """Behind REFUSED: why the event is not JSON."""

    reason: str


class Ready(NamedTuple):
    """Behind READY: the interpreter's version, and whether msgpack runs without its C extension."""

    python: str
    pure_msgpack: bool


_FIELDS = {kind: checks(kind) for kind in (Init, Restore, Invoke, Done, Refused, Ready, LeftOpen)}

MessageT = TypeVar("MessageT", Init, Restore, Invoke, Done, Refused, Ready, LeftOpen)

_packb = msgpack.Packer().pack
_unpackb = msgpack.unpackb


def pack(message: tuple[object, ...]) -> bytes:
    """The metadata bytes of a message."""
    packed: bytes = _packb(message)
    return packed


def unpack_done(data: bytes) -> tuple[int, int, str, int]:
    """As `unpack(Done, data)`, at a third of its cost: one comes with every reply."""
    try:
        microseconds, peak_kb, error_type, restless = _unpackb(data)
    except Exception as error:
        raise ProtocolError(f"Done: not an array of 4: {complaint(error)}") from error
    if type(microseconds) is not int or type(peak_kb) is not int or type(error_type) is not str:
        raise ProtocolError("Done: a field of another type")
    if type(restless) is not int:
        raise ProtocolError("Done: a field of another type")
    return microseconds, peak_kb, error_type, restless


def trusted_init(data: bytes) -> Init:
    """As `unpack(Init, data)` for the worker, which need not doubt the engine."""
    return Init(*_unpackb(data, use_list=False))


def trusted_restore(data: bytes) -> Restore:
    """As `unpack(Restore, data)`, for the worker."""
    return Restore(*_unpackb(data, use_list=False))


def unpack(kind: type[MessageT], data: bytes) -> MessageT:
    """The message of `kind` in `data`; raises ProtocolError unless each field has its type."""
    try:
        values = _unpackb(data, use_list=False)
    except Exception as error:
        raise ProtocolError(f"{kind.__name__}: not msgpack: {complaint(error)}") from error
    fields = _FIELDS[kind]
    if type(values) is not tuple or len(values) != len(fields):
        raise ProtocolError(f"{kind.__name__}: not an array of {len(fields)}")
    for name, value, is_one in zip(kind._fields, values, fields, strict=True):
        if not is_one(value):
            raise ProtocolError(f"{kind.__name__}: {name} is of another type")
    return kind(*values)
