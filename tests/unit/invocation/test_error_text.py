"""A function's error, whatever its payload is."""

from __future__ import annotations

import json
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from samovar.invocation.error_text import MOST, error_of, shortened

texts = st.text(st.characters(exclude_categories=()), max_size=20)  # with halves of surrogate pairs
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(["errorType", "errorMessage", "x"]), values)
deep = st.integers(1, 3000).map(lambda n: b'{"errorMessage":' + b"[" * n + b"]" * n + b"}")


@given(st.binary(max_size=50) | (bodies | values).map(lambda v: json.dumps(v).encode()) | deep)
def test_there_is_always_something_to_say(payload: bytes) -> None:
    for text in error_of(payload, "E"):
        assert len(shortened(text).encode()) <= MOST


def test_types_and_messages() -> None:
    assert error_of(b'{"errorMessage":"m","errorType":"T"}', "E") == ("T", "m")
    assert error_of(b'{"errorMessage":"m"}', "E") == ("E", "m")
    assert error_of(b"text", "E") == ("E", "text")
    assert error_of(b"text", None) == ("", "text")


def test_no_objects_are_made_of_a_giant() -> None:
    payload = b'{"errorMessage":"m","a":[' + b"{}," * 500_000 + b"{}]}"
    tracemalloc.start()
    try:
        assert error_of(payload, "E") == ("E", payload[: MOST + 1].decode())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
