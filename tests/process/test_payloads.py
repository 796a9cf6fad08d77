"""Events in, results out: every kind of JSON, every size up to the limits, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, error, result, states

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.model.invocation import StartKind
from samovar_worker.wire import memory

MB = 1024 * 1024
LARGEST_REQUEST = 6 * MB  # AWS: «limit 6291456 bytes»
LARGEST_RESPONSE = 6 * MB + 100  # AWS: «maximum allowed payload size (6291556 bytes)»
# Jackson reads the request at AWS's front; its usual limit.
DEEPEST = 1000


async def refusal(engine: Engine, payload: bytes) -> str:
    """What the caller is told of a payload that is not JSON."""
    with pytest.raises(ClientError) as refused:
        await engine.invoke("f", payload)
    assert refused.value.error is AWS.INVALID_REQUEST_CONTENT
    assert refused.value.error.status == 400
    return refused.value.message


def test_events_arrive_as_they_were_sent(run_engine: RunEngine) -> None:
    events = [
        b"null",
        b"true",
        b"0",
        b"-1.5e3",
        b'""',
        b"[]",
        b'[1, "a", null, {"b": []}]',
        b' \t\r\n{"blanks": "around"} \n',
        '"самовар 🫖"'.encode(),
        rb'"\u0441\ud83e\uded6"',
        b'{"a": 1, "a": 2}',
        b"123456789012345678901234567890",
    ]

    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.echo")
        assert (await engine.invoke("f", b"")).payload == b"{}"
        for event in events:
            outcome = await engine.invoke("f", event)
            assert outcome.function_error is None, event
            assert json.loads(outcome.payload) == json.loads(event), event

    run_engine(scenario)


def test_results_go_out_as_the_runtime_writes_them(run_engine: RunEngine) -> None:
    plain = sys.version_info >= (3, 12)  # from there on AWS does not escape
    unicode = json.dumps("czajnik, самовар 🫖", ensure_ascii=not plain).encode()
    results = {
        "none": b"null",
        "unicode": unicode,
        "raw bytes": b'{"sent":   "as it is"}',
        "no json at all": b"\xff\xfe",
        "empty bytes": b"",
        "nan": b"[NaN, Infinity, -Infinity]",
        "decimals": b'{"a": 1.10, "b": [NaN]}',
        "bytes within": b'{"body": "dGVh"}',
        "named tuple": b'{"point": {"x": 1, "y": [{"x": "a", "y": null}]}, "plain": [1, 2]}',
        "keys": b'{"1": "a", "false": "b", "null": "c", "1.5": "d"}',
    }
    failures = {
        "set": "Object of type set is not JSON serializable",
        "circle": "Circular reference detected",
        "not utf-8 within": "'utf-8' codec can't decode byte 0xff in position 0: invalid start "
        "byte",
    }

    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.produce")
        for _ in range(2):  # a result that fails spoils nothing for the next
            for what, expected in results.items():
                outcome = await engine.invoke("f", what)
                assert (outcome.function_error, outcome.payload) == (None, expected), what
            for what, text in failures.items():
                told = error(await engine.invoke("f", what))
                assert told["errorType"] == "Runtime.MarshalError", what
                assert told["errorMessage"] == f"Unable to marshal response: {text}"
                assert told["stackTrace"] == []
        assert len(states(engine)) == 1

    run_engine(scenario)


def test_a_request_of_six_megabytes_and_not_a_byte_more(run_engine: RunEngine) -> None:
    largest = b'"' + b"a" * (LARGEST_REQUEST - 2) + b'"'

    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.measure", memory_size=512, timeout=30)
        assert await result(engine, largest) == {
            "kind": "str",
            "length": LARGEST_REQUEST,
            "sha256": hashlib.sha256(largest).hexdigest(),
        }
        with pytest.raises(ClientError) as refused:
            await engine.invoke("f", largest + b" ")
        assert refused.value.error is AWS.REQUEST_TOO_LARGE
        assert (refused.value.error.code, refused.value.error.status) == (
            "RequestEntityTooLargeException",
            413,
        )
        assert refused.value.message == (
            "6291457 byte payload is too large for the RequestResponse invocation type "
            "(limit 6291456 bytes)"
        )

    run_engine(scenario)


def test_a_response_of_six_megabytes_and_a_hundred_bytes_and_not_one_more(
    run_engine: RunEngine,
) -> None:
    too_large = (
        b'{"errorMessage":"Response payload size exceeded maximum allowed payload size '
        b'(6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}'
    )

    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.sized", timeout=30)
        for kind in (False, True):
            event = {"size": LARGEST_RESPONSE, "bytes": kind}
            outcome = await engine.invoke("f", event)
            assert outcome.function_error is None
            assert outcome.payload == b'"' + b"a" * (LARGEST_RESPONSE - 2) + b'"'
            outcome = await engine.invoke("f", event | {"size": LARGEST_RESPONSE + 1})
            assert outcome.function_error == "Unhandled"
            assert outcome.error_type == "Function.ResponseSizeTooLarge"
            assert outcome.payload == too_large
        # Bytes count, not characters; and the context is as warm as before.
        outcome = await engine.invoke("f", {"size": LARGEST_REQUEST // 2 + 100, "of": "щ"})
        assert outcome.payload == too_large
        assert len(states(engine)) == 1

    run_engine(scenario)


def test_payloads_around_the_size_that_goes_inline(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.echo")
        for size in range(memory.INLINE_LIMIT - 1, memory.INLINE_LIMIT + 2):
            event = b'"' + size.to_bytes(2).hex().encode() + b"b" * (size - 6) + b'"'
            assert len(event) == size
            assert (await engine.invoke("f", event)).payload == event
        # What a large payload leaves in shared memory never shows in a smaller one.
        for size in (5 * MB, 40_000, 10, 32_769, 3):
            event = b'"' + b"c" * (size - 2) + b'"'
            assert (await engine.invoke("f", event)).payload == event

    run_engine(scenario)


def test_large_payloads_at_once_are_not_mixed_up(run_engine: RunEngine) -> None:
    events = [b'"' + bytes([97 + n]) * (MB + n * 10_007) + b'"' for n in range(6)]

    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.echo", timeout=30)
        for _ in range(3):
            outcomes = await asyncio.gather(*(engine.invoke("f", event) for event in events))
            assert [outcome.payload for outcome in outcomes] == events

    run_engine(scenario)


def test_what_is_not_json_is_refused_before_the_handler_runs(run_engine: RunEngine) -> None:
    tokens = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'"
    unexpected = f": expected a valid value ({tokens})"

    async def scenario(engine: Engine) -> None:
        await create(engine, "gate.wait", timeout=30)
        async with Gate() as gate:
            good = json.dumps(gate.event()).encode()
            reasons = {
                b"\x87": "Invalid UTF-8 start byte 0x87",
                b"\xc2\x99": f"Unexpected character ((CTRL-CHAR, code 153)){unexpected}",
                b"NaN": f"Unrecognized token 'NaN': was expecting ({tokens})",
                b"[Infinity]": f"Unrecognized token 'Infinity': was expecting ({tokens})",
                b" ": "Unexpected end-of-input",
                good[:-1]: "Unexpected end-of-input",
                b" " * 40_000 + good[:-1]: "Unexpected end-of-input",
                good + b"x": f"Unexpected character ('x' (code 120)){unexpected}",
                good.replace(b'"', b"'"): f"Unexpected character (''' (code 39)){unexpected}",
            }
            for payload, reason in reasons.items():
                first, second = (await refusal(engine, payload)).split("\n")
                assert first == (
                    "Could not parse request body into json: Could not parse payload into json: "
                    f"{reason}"
                )
                assert second.startswith(
                    " at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` "
                    "disabled); line: 1, column: "
                )
            assert gate.waiting == 0
            call = gate.invoke(engine)
            await gate.reached(1)
            gate.open()
            assert json.loads((await call).payload)["calls"] == 1
            assert (await call).start is StartKind.WARM

    run_engine(scenario)


def test_how_deep_an_event_may_be(run_engine: RunEngine) -> None:
    too_deep = (
        "Could not parse request body into json: Could not parse payload into json: Document "
        "nesting depth (1001) exceeds the maximum allowed (1000, from "
        "`StreamReadConstraints.getMaxNestingDepth()`)\n at [Source: "
    )

    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.nested")
        await create(engine, "payloads.lower_the_recursion_limit", "low")
        for depth in (1, 499, 500, 501, 900, 990, DEEPEST):
            for name in ("f", "low"):
                assert await result(engine, b"[" * depth + b"]" * depth, name) == depth
        in_text = b'["' + b"[" * 5000 + b'"]'
        assert await result(engine, in_text) == 1
        pids = {context["pid"] for context in engine.contexts()}
        for depth in (DEEPEST + 1, 100_000):
            assert (await refusal(engine, b"[" * depth + b"]" * depth)).startswith(too_deep)
            assert (await refusal(engine, b'{"a":' * depth + b"0" + b"}" * depth)).startswith(
                too_deep
            )
        assert "Unexpected end-of-input" in await refusal(engine, b"[" * (DEEPEST - 1))
        assert {context["pid"] for context in engine.contexts()} == pids

    run_engine(scenario)


def test_how_deep_a_result_may_be(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "payloads.nested")
        assert (await engine.invoke("f", {"make": 500})).payload == b"[" * 500 + b"]" * 500
        told = error(await engine.invoke("f", {"make": 100_000}))
        assert told["errorType"] == "Runtime.MarshalError"
        assert told["errorMessage"].startswith(
            "Unable to marshal response: maximum recursion depth exceeded"
        )
        outcome = await engine.invoke("f", {"make": 100_000, "bytes": True})
        assert outcome.payload == b"[" * 100_000 + b"]" * 100_000
        assert len(states(engine)) == 1

    run_engine(scenario)
