"""The count of a chain of calls in its trace header."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.invocation import lineage
from samovar.invocation.identity import Identities

PREFIX = "arn:aws:lambda:us-east-1:000000000000:function:"
A, B = PREFIX + "a", PREFIX + "b"
ROOT = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"


def chain(trace: str, *arns: str) -> tuple[str, list[int]]:
    counts = []
    for arn in arns:
        trace, count = lineage.follow(trace, arn)
        counts.append(count)
    return trace, counts


def test_a_chain_of_one_function() -> None:
    trace, counts = chain(ROOT, *[A] * 18)
    assert counts == list(range(18))
    assert re.fullmatch(re.escape(ROOT) + r";Lineage=1:[0-9a-f]{8}:17", trace)


def test_a_chain_that_began_here() -> None:
    """The first invocation got its header without being in it."""
    trace, counts = chain(Identities().trace(0.0), *[A] * 3)
    assert counts == [1, 2, 3]
    assert re.fullmatch(r".*;Lineage=1:[0-9a-f]{8}:0,1:[0-9a-f]{8}:3", trace)


def test_functions_are_counted_each_for_itself() -> None:
    assert chain(ROOT, A, B, A, B, B, A)[1] == [0, 1, 1, 2, 3, 2]


def test_calls_side_by_side_do_not_add_up() -> None:
    trace, _ = chain(ROOT, A)
    assert [lineage.follow(trace, B)[1] for _ in range(40)] == [1] * 40


@pytest.mark.parametrize("count", ["", "x", "-1", "٣", "1e3", "9" * 5000])
def test_what_is_no_count_begins_anew(count: str) -> None:
    own = lineage.follow("", A)[0].removesuffix("0")
    assert lineage.follow(own + count, A) == (f"{own}1", 1)


@given(st.text(max_size=60), st.integers(0, 12))
def test_whatever_came_the_chain_is_counted(header: str, more: int) -> None:
    trace, before = lineage.follow(header, A)
    _, counts = chain(trace, *[A] * more)
    assert counts == list(range(before + 1, before + 1 + more))


@given(st.text(max_size=60).filter(lambda text: "Lineage=" not in text))
def test_all_else_in_the_header_stays(header: str) -> None:
    trace, _ = chain(header, A, B, A)
    assert trace.startswith(header + ";Lineage=")
