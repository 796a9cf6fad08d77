"""Results: written as AWS's runtime writes them, with simplejson; refused in its words."""

from __future__ import annotations

import collections
import datetime
import enum
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker import marshal
from samovar_worker.handler import Fault
from samovar_worker.marshal import dump_result

ASCII_ONLY = sys.version_info < (3, 12)


class Point(NamedTuple):
    x: Any
    y: Any


class Color(enum.IntEnum):
    RED = 1


class Name(enum.StrEnum):
    KAETHE = "Käthe"


class Raises(dict[str, object]):
    """A mapping that can't be read."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(a=1)
        self.error = error

    def items(self) -> Any:
        raise self.error


class Abort(BaseException):
    """What no `except Exception` sees, like asyncio's CancelledError."""


def refusal(result: object) -> str:
    with pytest.raises(Fault) as caught:
        dump_result(result)
    fault = caught.value
    assert (fault.error_type, fault.stack) == ("Runtime.MarshalError", [])
    assert fault.message.startswith("Unable to marshal response: ")
    return fault.message.removeprefix("Unable to marshal response: ")


def as_aws(result: object) -> bytes:
    """What AWS's runtime would write: simplejson with its defaults, but for Decimals."""

    def default(value: object) -> object:
        if isinstance(value, Decimal):
            return math.nan if value.is_nan() else simplejson.RawJSON(str(value))
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    text: str = simplejson.dumps(
        result, use_decimal=False, allow_nan=True, ensure_ascii=ASCII_ONLY, default=default
    )
    return text.encode()


keys = st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.none()
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
unusual = st.decimals() | st.binary(max_size=3) | st.sampled_from([*Name, *Color])


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(keys, inner, max_size=4)
            | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(collections.OrderedDict)
            | st.builds(Point, inner, inner)
        ),
        max_leaves=15,
    )


@given(nested(plain | unusual))
def test_results_are_written_as_on_aws(result: Any) -> None:
    if isinstance(result, bytes):
        return
    try:
        expected = as_aws(result)
    except Exception as error:
        assert refusal(result) == str(error)
    else:
        assert dump_result(result) == expected


@given(st.binary())
def test_bytes_go_out_unmodified(result: bytes) -> None:
    assert dump_result(result) is result


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, b"null"),
        (True, b"true"),
        ("x", b'"x"'),
        (b"\xff\x00", b"\xff\x00"),
        (b"", b""),
        ({"statusCode": 200, "body": "hello"}, b'{"statusCode": 200, "body": "hello"}'),
        ([1, 2.5, (3,)], b"[1, 2.5, [3]]"),
        ({1: 1, 2.5: 2, False: 3, None: 4}, b'{"1": 1, "2.5": 2, "false": 3, "null": 4}'),
        (10**30, b"1" + b"0" * 30),
        (math.nan, b"NaN"),
        ([math.inf, -math.inf], b"[Infinity, -Infinity]"),
        (Decimal("1.10"), b"1.10"),
        (Decimal("1E+400"), b"1E+400"),
        (Decimal("0.1234567890123456789012345"), b"0.1234567890123456789012345"),
        (Decimal("-NaN"), b"NaN"),
        (Decimal("-Infinity"), b"-Infinity"),
        ({"a": [Decimal("2.50"), {"b": Decimal(7)}]}, b'{"a": [2.50, {"b": 7}]}'),
        ({"a": b"text"}, b'{"a": "text"}'),
        ({b"key": 1}, b'{"key": 1}'),
        (Point(1, "y"), b'{"x": 1, "y": "y"}'),
        ([{"p": (Point(Point(1, 2), None),)}], b'[{"p": [{"x": {"x": 1, "y": 2}, "y": null}]}]'),
        ({"p": Point(Decimal("1.0"), b"b")}, b'{"p": {"x": 1.0, "y": "b"}}'),
        (Color.RED, b"1"),
        ({Color.RED: Color.RED}, b'{"1": 1}'),
        (collections.OrderedDict(b=1, a=2), b'{"b": 1, "a": 2}'),
        (collections.defaultdict(list, a=[1]), b'{"a": [1]}'),
        (collections.Counter("aab"), b'{"a": 2, "b": 1}'),
    ],
    ids=repr,
)
def test_what_a_result_becomes(result: object, text: bytes) -> None:
    assert dump_result(result) == text


@pytest.mark.parametrize("result", ["Käthe ☕ 𝄞", Name.KAETHE, {"Käthe": ["☕"]}, Point("☕", 1)])
def test_text_beyond_ascii(result: object) -> None:
    """As it is on python3.12 and newer, escaped before."""
    text = dump_result(result)
    assert text == as_aws(result)
    assert text.isascii() is ASCII_ONLY


def test_text_beyond_ascii_is_the_same_with_decimals() -> None:
    assert dump_result({"ä": Decimal("1.5")}) == dump_result({"ä": 1.5})


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({1, 2}, "Object of type set is not JSON serializable"),
        ({"a": [object()]}, "Object of type object is not JSON serializable"),
        (datetime.datetime(2026, 1, 1), "Object of type datetime is not JSON serializable"),  # noqa: DTZ001
        ({"a": {1, 2}, "b": Decimal(1)}, "Object of type set is not JSON serializable"),
        ([Decimal(1), {1}], "Object of type set is not JSON serializable"),
        (Point(1, {2}), "Object of type set is not JSON serializable"),
        (bytearray(b"x"), "Object of type bytearray is not JSON serializable"),
        (iter([1]), "Object of type list_iterator is not JSON serializable"),
        (len, "Object of type builtin_function_or_method is not JSON serializable"),
        (1j, "Object of type complex is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str, int, float, bool or None, not tuple"),
        ({Decimal("1.5"): 1}, "keys must be str, int, float, bool or None, not Decimal"),
        ([b"\xff"], "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (Raises(ValueError("not today")), "not today"),
        ([Raises(KeyError("k"))], "'k'"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_no_json(result: object, text: str) -> None:
    assert refusal(result) == text


def test_cycles() -> None:
    array: list[object] = []
    array.append(array)
    mapping: dict[str, object] = {}
    mapping["a"] = [Point(1, mapping)]
    for result in (array, mapping):
        assert refusal(result) == "Circular reference detected"


def test_the_same_thing_twice_is_no_cycle() -> None:
    twice = {"a": 1}
    for _ in range(2):
        assert dump_result([twice, [twice]]) == b'[{"a": 1}, [{"a": 1}]]'


def test_depth_without_end_is_refused() -> None:
    result: object = None
    for _ in range(200_000):
        result = [result]
    assert "recursion" in refusal(result)
    while result:  # else it would be taken apart by recursion, too
        (result,) = result  # type: ignore[misc]


def test_half_of_a_surrogate_pair() -> None:
    """Escaped where that is how text goes out; there is no UTF-8 of it."""
    if ASCII_ONLY:
        assert dump_result("\ud800") == b'"\\ud800"'
    else:
        assert refusal("\ud800").startswith("'utf-8' codec can't encode character '\\ud800'")


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker's boot does."""
    assert simplejson.__file__ is not None
    directory = str(Path(simplejson.__file__).parents[1])
    monkeypatch.setattr(marshal, "runtime_paths", [directory])


@contextmanager
def without_simplejson() -> Iterator[None]:
    """What is written in here has not needed it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marshal, "runtime_paths", [])
        patch.setattr(marshal, "_loaded", [])
        with pytest.raises(Fault, match="simplejson is missing from the runtime"):
            dump_result(Decimal(1))
        yield


def test_usual_results_are_not_left_to_simplejson() -> None:
    """It has no C extension for most interpreters, and its import costs a context time."""
    usual = [
        None, "x", {"statusCode": 200, "headers": {"a": "b"}, "body": "hello"}, [1, 2.5, (3, None)],
        [math.nan, math.inf], collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]),
        {1: {2.5: True}}, Color.RED, [Name.KAETHE], 10**30,
    ]  # fmt: skip
    with without_simplejson():
        written = [dump_result(result) for result in usual]
    assert written == [as_aws(result) for result in usual]


SPOILERS: list[Any] = [
    {1, 2}, [object()], Decimal(1), {"a": Decimal(1)}, b"x", [b"x"], {(1,): 1}, Point(1, {2}),
    Raises(ValueError("no")),
]  # fmt: skip


def test_a_failure_does_not_spoil_the_next_result() -> None:
    """The encoder's guard against cycles remembers where it was when it failed."""
    for inner in SPOILERS:
        array: list[object] = [inner]
        result = {"outer": {"array": array}}
        try:
            dump_result(result)
        except Fault:
            pass
        array[0] = 1
        with without_simplejson():
            for _ in range(2):
                assert dump_result(result) == b'{"outer": {"array": [1]}}'
    cycle: dict[str, object] = {"a": 1}
    cycle["self"] = cycle
    refusal(cycle)
    del cycle["self"]
    with without_simplejson():
        assert dump_result(cycle) == b'{"a": 1}'


@pytest.mark.parametrize("error", [Abort(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_ends_the_process_comes_through_and_spoils_nothing(error: BaseException) -> None:
    array: list[object] = [Raises(error)]
    result = {"array": array}
    with pytest.raises(type(error)) as caught:
        dump_result(result)
    assert caught.value is error
    array[0] = 1
    with without_simplejson():
        assert dump_result(result) == b'{"array": [1]}'


def test_a_mapping_with_ways_of_its_own() -> None:
    class Doubled(dict[str, int]):
        def items(self) -> Any:
            return [(key, 2 * value) for key, value in super().items()]

    assert dump_result({"a": Doubled(b=1)}) == b'{"a": {"b": 2}}'
