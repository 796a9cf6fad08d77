"""What becomes of an event after an attempt: pure arithmetic on AWS's rules.

Source: developer guide, «How Lambda handles errors and retries with asynchronous invocation», and
recorded runs for the look-ahead (reference, section 4).
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from samovar.model.event import Condition, EventInvokeConfig, QueuedEvent

# Seconds before the second and the third attempt of a function that failed.
WAITS = (60.0, 120.0)
# Seconds: throttles and system errors wait for the first, then twice as long each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
_DOUBLINGS = 9  # 2 to the power of this is above LONGEST_PAUSE


class Result(StrEnum):
    """How an attempt went; of those that are tried again, the value is the reason that is told."""

    SUCCESS = "success"
    FUNCTION_ERROR = "function error"  # a timeout and a crash, too
    THROTTLE = "throttle"
    SYSTEM_ERROR = "system error"
    STOPPED = "engine stopped"  # before it was over: nobody is to wait for that


class Retry(NamedTuple):
    """Another attempt, `wait` seconds from now; `event` is what is known of it then."""

    event: QueuedEvent
    wait: float


class End(NamedTuple):
    """No other attempt."""

    event: QueuedEvent
    condition: Condition


def after(
    result: Result,
    event: QueuedEvent,
    config: EventInvokeConfig,
    *,
    age: float,
    time_scale: float,
) -> Retry | End:
    """What follows from an attempt's result; `age` is seconds since the event was accepted, and
    `time_scale` multiplies AWS's waits and the age limit alike.

    An event that would be too old by its next attempt is given up at once.
    """
    if result is Result.SUCCESS:
        done = replace(event, invoked=event.invoked + 1, puts_off=0)
        return End(done, Condition.SUCCESS)
    if result is Result.STOPPED:
        return Retry(event, 0.0)
    if result is Result.FUNCTION_ERROR:
        event = replace(event, invoked=event.invoked + 1, errors=event.errors + 1, puts_off=0)
        if event.errors > config.retries:
            return End(event, Condition.RETRIES_EXHAUSTED)
        wait = WAITS[event.errors - 1]
    else:
        event = replace(event, puts_off=event.puts_off + 1)
        wait = pause(event.puts_off)
    if age + wait * time_scale > config.age * time_scale:
        return End(event, Condition.EVENT_AGE_EXCEEDED)
    return Retry(event, wait * time_scale)


def pause(times: int) -> float:
    """Seconds before what has failed `times` times, by no fault of its own, is tried again."""
    doubled: float = 2.0 ** min(times - 1, _DOUBLINGS)
    return min(FIRST_PAUSE * doubled, LONGEST_PAUSE)
