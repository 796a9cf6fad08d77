"""Batches as events, and what functions say of them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.event_sources.batching import RECORDS, Encoded, failed_keys, portions


def records(*texts: str) -> list[Encoded]:
    return [Encoded(f"r{at}", json.dumps(text).encode()) for at, text in enumerate(texts)]


def test_an_event_has_the_records_as_they_are() -> None:
    assert json.loads(RECORDS.event(records("a", "b"))) == {"Records": ["a", "b"]}


@given(st.lists(st.text(max_size=30)), st.integers(20, 80), st.integers(1, 5))
def test_portions_hold_every_record_once_in_its_order_and_fit(
    texts: list[str], limit: int, most: int
) -> None:
    given_records = records(*texts)
    found = list(portions(given_records, limit, most=most))
    assert [record for portion in found for record in portion] == given_records
    for portion in found:
        assert len(RECORDS.event(portion)) <= limit or len(portion) == 1
        assert len(portion) <= most
    for portion, following in pairwise(found):
        larger = [*portion, following[0]]
        assert len(RECORDS.event(larger)) > limit or len(larger) > most, "no more than it takes"


KEYS = ("a", "b", "c")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        '""',
        "{}",
        "[]",
        '{"batchItemFailures": []}',
        '{"batchItemFailures": null}',
        '{"something": "else"}',
    ],
)
def test_an_empty_answer_is_success(answer: str) -> None:
    assert failed_keys(answer.encode(), KEYS) == frozenset()


def test_what_is_named_failed_and_nothing_else() -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}
    assert failed_keys(json.dumps(answer).encode(), KEYS) == {"b"}


@pytest.mark.parametrize(
    "answer",
    [
        '{"batchItemFailures": [{"itemIdentifier": "z"}]}',
        '{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "z"}]}',
        '{"batchItemFailures": [{"itemIdentifier": ""}]}',
        '{"batchItemFailures": [{"itemIdentifier": null}]}',
        '{"batchItemFailures": [{"itemIdentifier": 1}]}',
        '{"batchItemFailures": [{"foo": "a"}]}',
        '{"batchItemFailures": ["a"]}',
        '{"batchItemFailures": "a"}',
        '{"batchItemFailures": {"itemIdentifier": "a"}}',
        '"all is well"',
        "17",
        "[1]",
        "tea",
        "[" * 100_000,
    ],
)
def test_an_answer_that_nobody_can_follow_means_that_all_failed(answer: str) -> None:
    assert failed_keys(answer.encode(), KEYS) == set(KEYS)
