"""Messages and packets of every kind, and strategies that make more of them."""

from __future__ import annotations

from hypothesis import strategies as st

from samovar_worker.wire.control import (
    Discard,
    Exited,
    Fork,
    Forked,
    Hello,
    Launch,
    Packet,
    Refusal,
    Steward,
)
from samovar_worker.wire.messages import Done, Init, Invoke, LeftOpen, Ready, Refused, Restore

Message = Init | Restore | Invoke | Done | Refused | Ready | LeftOpen

# msgpack has the integers of 64 bits.
ints = st.integers(-(2**63), 2**64 - 1)
texts = st.text(max_size=20)  # no halves of surrogate pairs: they are no UTF-8
maps = st.dictionaries(texts, texts, max_size=3)

# What a field's annotation allows; the message types take theirs from here too.
VALUES: dict[str, st.SearchStrategy[object]] = {
    "int": ints,
    "int | None": st.none() | ints,
    "bool": st.booleans(),
    "str": texts,
    "str | None": st.none() | texts,
    "dict[str, str]": maps,
    "list[str]": st.lists(texts, max_size=3),
    "list[list[str]]": st.lists(st.lists(texts, max_size=3), max_size=3),
    "tuple[str, ...]": st.lists(texts, max_size=3).map(tuple),
}

INIT = Init(
    handler="app.handler",
    task_root="/run/samovar/code/0123",
    environment={"AWS_REGION": "us-east-1", "NAME": "Käthe ☕", "EMPTY": ""},
    import_paths=("/var/python-path/0",),
    tmp_size=512,
    tmp_dir=None,
    revived=False,
    layers=None,
    template=False,
    offline=False,
)
INVOKE = Invoke(
    request_id="8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b",
    deadline_ms=1_767_225_600_123,
    function_arn="arn:aws:lambda:us-east-1:000000000000:function:f",
    trace="Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=0",
    client_context=None,
)
MESSAGES: list[Message] = [
    INIT,
    INIT._replace(import_paths=(), tmp_dir="/data/contexts/7", revived=True, tmp_size=10240),
    INIT._replace(layers="/run/samovar/code/4567"),
    INIT._replace(template=True),
    INIT._replace(offline=True),
    Restore({"AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/31/[1]01"}, None, revived=False),
    Restore({}, "/data/contexts/7", revived=True),
    LeftOpen(("poller", "3 of native libraries"), ("descriptor 9, AF_INET to 10.0.0.1:443",)),
    LeftOpen((), ()),
    INVOKE,
    INVOKE._replace(trace=None, client_context='{"custom":{"k":"v"}}'),
    Done(microseconds=0, peak_kb=0, error_type="", restless=0),
    Done(900_000_000, peak_kb=10_485_760, error_type="Runtime.MarshalError", restless=3),
    Refused("Unexpected character ('x' (code 120)): expected a valid value"),
    Ready("3.12.1", pure_msgpack=True),
]
LAUNCH = Launch(
    isolation="auto",
    executable="/usr/bin/python3.11",
    worker_path="/data/run/worker",
    binds=[["/usr", "/usr"], ["/usr/lib/python3.11", "/var/lang"]],
    links=[["usr/bin", "/bin"]],
    files=[["/etc/passwd", "root:x:0:0:root:/:/bin/sh\n"]],
    preload=["boto3"],
    runtime_paths=["/var/runtime"],
    environment={"LANG": "en_US.UTF-8"},
    first_uid=51_051,
    last_uid=59_999,
    offline=False,
    engine_pid=4_194_304,
    scratch="/data/run/root",
    marker="samovar:0123",
)
PACKETS: list[Packet] = [
    LAUNCH,
    Hello(["mount namespace"], {"pid namespace": "refused"}, "3.13.0", pure_msgpack=False),
    Fork(1, revive=False, spare=True, uid=51_051),
    Discard(2**40),
    Forked(3),
    Refusal(4, "[Errno 11] Resource temporarily unavailable"),
    Exited(5, 0, None, 30_000, tmp_kept=True),
    Exited(6, None, 9, 0, tmp_kept=False),
    Steward(7),
]


def annotations(kind: type) -> dict[str, str]:
    """A message type's fields and what they are annotated with."""
    return {
        name: str(getattr(note, "__forward_arg__", note))
        for name, note in kind.__annotations__.items()
    }


def instances(kind: type) -> st.SearchStrategy[tuple[object, ...]]:
    """Messages of `kind` with any values that its fields may have."""
    return st.tuples(*(VALUES[note] for note in annotations(kind).values())).map(
        lambda values: kind(*values)
    )


# One of each type that msgpack knows; what a field doesn't take has to be refused.
FOREIGN: list[object] = [
    None, True, 0, -1, 2**64 - 1, 1.5, "text", b"bytes",
    [], [1], ["a", 1], [["a"]], [["a", None]], {}, {"a": 1}, {"a": None}, {b"a": "b"},
]  # fmt: skip


def accepts(note: str, value: object) -> bool:
    """Whether a field with this annotation takes what arrives as `value`."""

    def strings(values: object) -> bool:
        return all(type(item) is str for item in values)  # type: ignore[attr-defined]

    match note:
        case "int" | "bool" | "str":
            return type(value).__name__ == note
        case "int | None" | "str | None":
            return value is None or type(value).__name__ == note.partition(" ")[0]
        case "list[str]" | "tuple[str, ...]":
            return isinstance(value, list) and strings(value)
        case "list[list[str]]":
            return isinstance(value, list) and all(
                isinstance(row, list) and strings(row) for row in value
            )
        case "dict[str, str]":
            return isinstance(value, dict) and strings(value) and strings(value.values())
    raise AssertionError(note)
