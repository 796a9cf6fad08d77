"""Events: every JSON document arrives, and what is none is refused in AWS's words."""

from __future__ import annotations

import json
import math
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker.wire.event_json import InvalidEvent, load_event

# Reference 1.1. The engine puts «Could not parse request body into json: Could not parse payload
# into json: » before it.
SOURCE = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
TOKENS = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def refusal(payload: bytes) -> str:
    with pytest.raises(InvalidEvent) as caught:
        load_event(payload)
    return str(caught.value)


def unexpected(character: str, line: int, column: int) -> str:
    return (
        f"Unexpected character ({character}): expected a valid value {TOKENS}{SOURCE}"
        f"line: {line}, column: {column}]"
    )


@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_every_value_arrives(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    payload = text.encode(errors="surrogatepass")
    if not ascii_only and any(0xD800 <= ord(character) < 0xE000 for character in text):
        refusal(payload)  # halves of pairs as they are: no UTF-8
        return
    arrived = load_event(payload)
    expected = json.loads(text)
    assert arrived == expected == value
    assert json.dumps(arrived) == json.dumps(expected)  # 1 is not 1.0 and not true


@given(values, st.text(" \t\r\n", max_size=5), st.text(" \t\r\n", max_size=5))
def test_blanks_around_do_not_matter(value: Any, before: str, behind: str) -> None:
    text = json.dumps(value)
    assert load_event(f"{before}{text}{behind}".encode()) == value


@given(
    st.binary(max_size=60) | st.text('[]{}",:\\untrfals0123.eE+- \n', max_size=30).map(str.encode)
)
def test_what_python_takes_is_taken_and_all_else_refused(payload: bytes) -> None:
    try:
        expected = json.loads(payload.decode())
    except ValueError:
        expected = None
        refused = payload != b""
    else:
        refused = False
    try:
        arrived = load_event(payload)
    except InvalidEvent:
        assert refused or "NaN" in repr(expected) or "inf" in repr(expected)
    else:
        assert not refused
        if payload:
            assert repr(arrived) == repr(expected)


def test_no_payload_is_an_empty_object() -> None:
    assert load_event(b"") == {}


def test_scalars_are_events() -> None:
    assert [load_event(text) for text in (b"null", b"true", b"1", b"-0.5e3", b'"x"', b"[]")] == [
        None, True, 1, -500.0, "x", [],
    ]  # fmt: skip


def test_of_two_equal_keys_the_last_counts() -> None:
    assert load_event(b'{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}


def test_a_lone_half_of_a_pair_is_legal_when_escaped() -> None:
    assert load_event(b'"\\ud800"') == "\ud800"
    assert load_event(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_numbers_beyond_floats_are_infinite_as_for_python() -> None:
    assert load_event(b"1E400") == math.inf


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_javascripts_numbers_are_no_json(name: str) -> None:
    expected = f"Unrecognized token '{name}': was expecting {TOKENS}{SOURCE}line: 1, column: 1]"
    for text in (name, f"[{name}]", f'{{"a": {name}}}', f" {name}", "[" + " " * 2000 + f"{name}]"):
        assert refusal(text.encode()) == expected


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        # The two examples that are recorded from AWS; the recorded column is 3.
        (
            b'"\x87',
            "Invalid UTF-8 start byte 0x87" + SOURCE + "line: 1, column: 3]",
        ),
        (b"\xc2\x99", unexpected("(CTRL-CHAR, code 153)", 1, 3)),
        (b"\x99", "Invalid UTF-8 start byte 0x99" + SOURCE + "line: 1, column: 2]"),
        (b"x", unexpected("'x' (code 120)", 1, 2)),
        (b"{'a': 1}", unexpected("''' (code 39)", 1, 3)),
        (b"{a: 1}", unexpected("'a' (code 97)", 1, 3)),
        (b"[1,]", unexpected("']' (code 93)", 1, 5)),
        (b"[1 2]", unexpected("'2' (code 50)", 1, 5)),
        (b"{} {}", unexpected("'{' (code 123)", 1, 5)),
        (b'{\n "a": 1,\n "b": x}', unexpected("'x' (code 120)", 3, 8)),
        (b'"a\nb"', unexpected("(CTRL-CHAR, code 10)", 1, 4)),
        (b"\x00", unexpected("(CTRL-CHAR, code 0)", 1, 2)),
        (b"\x7f", unexpected("(CTRL-CHAR, code 127)", 1, 2)),
        ("ÿ".encode(), unexpected("'\xff' (code 255)", 1, 3)),
        # The first thing that is wrong is told.
        (b'[x, "\x87"]', unexpected("'x' (code 120)", 1, 3)),
        ("“a”".encode(), unexpected("'“' (code 8220 / 0x201c)", 1, 4)),
        (b"[\x99, \"\x87\"]", "Invalid UTF-8 start byte 0x99" + SOURCE + "line: 1, column: 3]"),
        (b'["\x87", x]', "Invalid UTF-8 start byte 0x87" + SOURCE + "line: 1, column: 4]"),
        (b'{"a":\n"\xe2(x"}', "Invalid UTF-8 middle byte 0x28" + SOURCE + "line: 2, column: 4]"),
        (b'"\xe2\x82', "Unexpected end-of-input" + SOURCE + "line: 1, column: 4]"),
        (b" ", "Unexpected end-of-input" + SOURCE + "line: 1, column: 2]"),
        (b"[", "Unexpected end-of-input" + SOURCE + "line: 1, column: 2]"),
        (b'{"a"', "Unexpected end-of-input" + SOURCE + "line: 1, column: 5]"),
        (b'["ab\n', unexpected("(CTRL-CHAR, code 10)", 1, 6)),
        (b'["ab', "Unexpected end-of-input" + SOURCE + "line: 1, column: 5]"),
    ],
)  # fmt: skip
def test_what_is_no_json(payload: bytes, text: str) -> None:
    assert refusal(payload) == text
    # Longer than what the short way looks at.
    blanks = b" " * 2000
    column = int(text.rpartition(" ")[2][:-1])
    if "line: 1," in text:
        shifted = text.replace(f"column: {column}]", f"column: {column + 2000}]")
        assert refusal(blanks + payload) == shifted


def depth_of(value: Any) -> int:
    """How often the first thing of the first thing is a list or an object."""
    depth = 0
    while isinstance(value, list | dict):
        depth += 1
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return depth


def test_depth_that_aws_takes() -> None:
    """Jackson's limit; python3.11's own is lower, and counts the calls around it."""
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(700)  # as a function might
        for depth in (500, 980, 999, 1000):
            assert depth_of(load_event(b"[" * depth + b"]" * depth)) == depth
            assert depth_of(load_event(b'{"a":' * depth + b"1" + b"}" * depth)) == depth
            wide = b"[" * depth + b"]" * (depth - 1) + b",[]" * 2000 + b"]"
            assert depth_of(load_event(wide)) == depth
            # As short as possible: refused, and nothing worse.
            assert refusal(b"[" * depth).startswith("Unexpected end-of-input")
        assert sys.getrecursionlimit() == 700
    finally:
        sys.setrecursionlimit(before)


def test_width_is_no_depth() -> None:
    for payload in (
        b"[" + b"[]," * 5000 + b"[]]",
        b'["' + b"[{" * 5000 + b'"]',
        b'["\\"' + b"[{" * 5000 + b'\\\\"]',
        b'{"a": "' + b"[{" * 5000 + b'", "b": {}}',
    ):
        assert load_event(payload) == json.loads(payload)


@pytest.mark.parametrize("depth", [1001, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_that_aws_refuses(depth: int, opening: bytes, closing: bytes) -> None:
    expected = (
        "Document nesting depth (1001) exceeds the maximum allowed (1000, from "
        "`StreamReadConstraints.getMaxNestingDepth()`)" + SOURCE + "line: 1, column: 1]"
    )
    assert refusal(opening * depth + b"1" + closing * depth) == expected
    assert refusal(opening * depth) == expected
    assert refusal(b'["a\\"b", ' + opening * depth) == expected


def test_depth_deep_down_the_stack() -> None:
    """The handler of another invocation may have left little room: a signal handler, a hook."""

    def call(levels: int) -> object:
        return call(levels - 1) if levels else load_event(b"[" * 1000 + b"]" * 1000)

    assert call(sys.getrecursionlimit() // 2)


def test_an_integer_longer_than_python_reads() -> None:
    assert refusal(b"9" * 5000).startswith("Exceeds the limit")
    assert load_event(b"9" * 4300) == 10**4300 - 1


def test_the_search_for_depth_takes_no_memory() -> None:
    """One long string and many brackets once took 120 times the event's size."""
    payload = b'["' + b"a" * 1_000_000 + b'\\n"' + b",[]" * 2000 + b"]"
    tracemalloc.start()
    try:
        load_event(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(payload)


def test_a_refusal_spoils_nothing() -> None:
    for payload in (b"x", b"[" * 2000, b'"\x87'):
        refusal(payload)
        assert load_event(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
