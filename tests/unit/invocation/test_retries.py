"""AWS's rules of retries, played through from the first attempt to the end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.errors import AWS, ClientError, EngineError
from samovar.invocation.retries import End, Result, Retry, decide, too_old
from samovar.model.event import MAX_EVENT_AGE, Condition, EventInvokeConfig, QueuedEvent
from samovar.model.invocation import Outcome, StartKind

EVENT = QueuedEvent("f", "arn:aws:lambda:us-east-1:000000000000:function:f")
ERROR, THROTTLE, SYSTEM = Result.FUNCTION_ERROR, Result.THROTTLE, Result.SYSTEM_ERROR
RUN = 0.01  # seconds that an attempt takes


def play(
    results: Iterator[Result], config: EventInvokeConfig, scale: float = 1.0
) -> tuple[list[float], End, float]:
    """The waits until the event ends, how, and at which age, all on AWS's scale."""
    waits, age, event = [], 0.0, EVENT
    for result in results:
        if too_old(config, age=age * scale, time_scale=scale):
            return waits, End(Condition.EVENT_AGE_EXCEEDED, event), age
        age += RUN
        ran = result in (Result.SUCCESS, ERROR)
        came = decide(event, config, result, age=age * scale, ran=ran, time_scale=scale)
        if isinstance(came, End):
            return waits, came, age
        event = came.event
        waits.append(came.delay / scale)
        age += came.delay / scale
    raise AssertionError("the event never ended")


def always(result: Result) -> Iterator[Result]:
    while True:
        yield result


@pytest.mark.parametrize(
    ("retries", "waits"), [(None, [60, 120]), (2, [60, 120]), (1, [60]), (0, [])]
)
def test_a_function_that_fails_is_run_again_after_one_and_two_minutes(
    retries: int | None, waits: list[float]
) -> None:
    waited, end, _ = play(always(ERROR), EventInvokeConfig(max_retry_attempts=retries))
    assert waited == waits
    assert end.condition is Condition.RETRIES_EXHAUSTED
    assert end.event.invoked == len(waits) + 1


@pytest.mark.parametrize(
    ("max_age", "attempts", "condition"),
    [
        (60, 1, Condition.EVENT_AGE_EXCEEDED),  # recorded
        (90, 2, Condition.EVENT_AGE_EXCEEDED),  # recorded
        (180, 2, Condition.EVENT_AGE_EXCEEDED),
        (181, 3, Condition.RETRIES_EXHAUSTED),
        (21600, 3, Condition.RETRIES_EXHAUSTED),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 0.001, 3.0])
def test_what_would_be_too_old_by_its_next_attempt_ends_at_once(
    max_age: int, attempts: int, condition: Condition, scale: float
) -> None:
    waits, end, age = play(always(ERROR), EventInvokeConfig(max_event_age=max_age), scale)
    assert (end.event.invoked, end.condition) == (attempts, condition)
    assert age == pytest.approx(sum(waits) + attempts * RUN), "nothing was waited for at the end"


@pytest.mark.parametrize("result", [THROTTLE, SYSTEM], ids=lambda one: one.value)
def test_what_is_not_the_functions_fault_backs_off_until_the_event_is_too_old(
    result: Result,
) -> None:
    waits, end, age = play(always(result), EventInvokeConfig())
    assert waits[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert set(waits[11:-1]) == {300}
    assert (end.condition, end.event.invoked) == (Condition.EVENT_AGE_EXCEEDED, 0)
    assert 21600 - 1.1 <= age < 21600, "there was a last try, just before the limit"


def test_throttles_use_up_no_retries_and_errors_end_the_back_off() -> None:
    results = iter([THROTTLE, THROTTLE, ERROR, THROTTLE, SYSTEM, ERROR, THROTTLE, ERROR])
    waits, end, _ = play(results, EventInvokeConfig())
    assert waits == [1, 2, 60, 1, 2, 120, 1]
    assert (end.condition, end.event.invoked) == (Condition.RETRIES_EXHAUSTED, 3)


def test_a_run_that_was_lost_counts_as_a_run_and_not_as_a_retry() -> None:
    came = decide(EVENT, EventInvokeConfig(max_retry_attempts=0), SYSTEM, age=1.0, ran=True)
    assert isinstance(came, Retry)
    assert (came.event.invoked, came.event.errors, came.event.puts_off) == (1, 0, 1)


@pytest.mark.parametrize(
    ("result", "condition"),
    [
        (Result.SUCCESS, Condition.SUCCESS),
        (Result.INVALID_EVENT, Condition.INVALID_EVENT),
        (Result.GONE, Condition.FUNCTION_DELETED),
    ],
    ids=lambda one: one.value,
)
def test_these_end_an_event_however_old_it_is(result: Result, condition: Condition) -> None:
    came = decide(EVENT, EventInvokeConfig(max_event_age=60), result, age=1e6, ran=True)
    assert isinstance(came, End)
    assert came.condition is condition


HISTORIES = [
    history
    for length in range(1, 7)
    for history in product([ERROR, THROTTLE, SYSTEM], repeat=length)
]


def test_on_the_scale_0_nothing_is_waited_for_and_nothing_too_old() -> None:
    config = EventInvokeConfig(max_event_age=60)
    assert not too_old(config, age=1.0, time_scale=0.0)
    failed = decide(EVENT, config, ERROR, age=1.0, ran=True, time_scale=0.0)
    assert isinstance(failed, Retry)
    assert failed.delay == 0
    throttled = decide(EVENT, config, THROTTLE, age=1.0, ran=False, time_scale=0.0)
    assert isinstance(throttled, Retry)
    assert throttled.delay > 0, "no loop that keeps the processor busy"


@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("max_age", [60, 90, 300, 21600])
def test_every_short_history_is_counted_right(retries: int, max_age: int) -> None:
    """All 1,092 of up to six failures: against a count of what was said, not of what is kept."""
    config = EventInvokeConfig(max_retry_attempts=retries, max_event_age=max_age)
    for history in HISTORIES:
        event, age, errors, in_row = EVENT, 0.0, 0, 0
        for result in history:
            came = decide(event, config, result, age=age, ran=result is ERROR)
            errors += result is ERROR
            in_row = 0 if result is ERROR else in_row + 1
            wait = 60.0 * errors if result is ERROR else min(300.0, 2.0 ** (in_row - 1))
            if result is ERROR and errors > retries:
                assert came[0] is Condition.RETRIES_EXHAUSTED, history
                break
            if isinstance(came, End):
                assert came.condition is Condition.EVENT_AGE_EXCEEDED
                assert age + (wait if result is ERROR else 1.0) >= max_age, history
                break
            assert came.delay == wait or (result is not ERROR and age + came.delay == max_age - 1)
            event, age = came.event, age + came.delay
            assert age < max_age
            assert (event.invoked, event.errors, event.puts_off) == (errors, errors, in_row)


@given(
    results=st.lists(st.sampled_from([ERROR, THROTTLE, SYSTEM]), min_size=1, max_size=40),
    retries=st.integers(0, 2),
    max_age=st.integers(*MAX_EVENT_AGE),
    scale=st.sampled_from([1.0, 0.5, 0.001, 2.0]),
)
def test_an_events_history_is_the_same_on_every_scale(
    results: list[Result], retries: int, max_age: int, scale: float
) -> None:
    config = EventInvokeConfig(max_retry_attempts=retries, max_event_age=max_age)

    def history() -> Iterator[Result]:
        yield from results
        yield from always(THROTTLE)

    waits, end, age = play(history(), config)
    scaled, scaled_end, scaled_age = play(history(), config, scale)
    assert scaled == pytest.approx(waits)
    assert (scaled_end, scaled_age) == (end, pytest.approx(age))
    assert age <= max_age
    assert end.event.invoked <= retries + 1


def outcome(error: str | None) -> Outcome:
    return Outcome("id", b"{}", "$LATEST", "1", StartKind.WARM, 0.1, 0.0, 1, error)


@pytest.mark.parametrize(
    ("came", "result"),
    [
        (outcome(None), Result.SUCCESS),
        (outcome("Unhandled"), ERROR),
        (ClientError(AWS.TOO_MANY_REQUESTS, "x"), THROTTLE),
        (ClientError(AWS.RESOURCE_CONFLICT, "x"), SYSTEM),
        (ClientError(AWS.SNAP_START_NOT_READY, "x"), SYSTEM),
        (ClientError(AWS.SNAP_START, "x"), ERROR),
        (ClientError(AWS.SNAP_START_TIMEOUT, "x"), ERROR),
        (ClientError(AWS.NOT_CARRIED_OUT, "x"), SYSTEM),
        (ClientError(AWS.RESOURCE_NOT_FOUND, "x"), Result.GONE),
        (ClientError(AWS.INVALID_REQUEST_CONTENT, "x"), Result.INVALID_EVENT),
        (EngineError("x"), SYSTEM),
        (RuntimeError("a bug of ours"), SYSTEM),
    ],
    ids=lambda one: getattr(getattr(one, "error", None), "code", type(one).__name__),
)
def test_what_kind_of_result_it_is(came: Outcome | BaseException, result: Result) -> None:
    assert Result.of(came) is result
