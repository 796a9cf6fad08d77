"""What becomes of an event that was handed to its function: done, again later, given up. Pure.

AWS's rules (developer guide, «Asynchronous invocation»; recorded runs for the look-ahead): a
function's error is tried twice more, after one and two minutes; what is no fault of the function's
(a throttle, an error of the engine) uses up no retry and backs off from 1 s to 5 min; an event
that would be too old by its next attempt is given up at once.

All of it is multiplied by `time_scale`, waits and age limits alike: an event sees as many attempts
on every scale. On the scale 0 there are no waits, and ages are AWS's.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import NamedTuple

from samovar.errors import AWS, ClientError
from samovar.model.event import Condition, EventInvokeConfig, QueuedEvent
from samovar.model.invocation import Outcome

# Seconds before the second and the third attempt, after a function's error.
ERROR_WAITS = (60.0, 120.0)
# Seconds of back-off after a throttle or a system error: the first, doubled each time, to the last.
FIRST_BACKOFF = 1.0
LAST_BACKOFF = 300.0
_LEAST = 0.001  # seconds of back-off on whatever scale: who throttles needs to get on


class Result(Enum):
    """What handing an event to its function came to."""

    SUCCESS = "success"
    FUNCTION_ERROR = "function error"  # a timeout and a process that ended, too
    THROTTLE = "throttle"
    SYSTEM_ERROR = "system error"  # the engine's fault, or the function is not ready yet
    INVALID_EVENT = "invalid event"  # it is no JSON
    GONE = "gone"  # the function, or the qualifier that was invoked

    @classmethod
    def of(cls, came: Outcome | BaseException) -> Result:
        """That of an outcome, or of what was raised in its place."""
        if isinstance(came, Outcome):
            return cls.SUCCESS if came.function_error is None else cls.FUNCTION_ERROR
        if not isinstance(came, ClientError):
            return cls.SYSTEM_ERROR
        if came.error in _RESULTS:
            return _RESULTS[came.error]
        # What is left is SnapStart's: a restore that failed is the function's fault, and goes on
        # failing. A conflict is a function that is not ready.
        unready = came.error.status == AWS.RESOURCE_CONFLICT.status or came.error.status >= 500
        return cls.SYSTEM_ERROR if unready else cls.FUNCTION_ERROR


_RESULTS = {
    AWS.TOO_MANY_REQUESTS: Result.THROTTLE,
    AWS.RESOURCE_NOT_FOUND: Result.GONE,
    AWS.INVALID_REQUEST_CONTENT: Result.INVALID_EVENT,
}
_ENDS = {
    Result.SUCCESS: Condition.SUCCESS,
    Result.INVALID_EVENT: Condition.INVALID_EVENT,
    Result.GONE: Condition.FUNCTION_DELETED,
}


class Retry(NamedTuple):
    """Again in `delay` seconds, as `event`."""

    delay: float
    event: QueuedEvent


class End(NamedTuple):
    """Over; `event` has the counts."""

    condition: Condition
    event: QueuedEvent


def decide(
    event: QueuedEvent,
    config: EventInvokeConfig,
    result: Result,
    *,
    age: float,
    ran: bool,
    time_scale: float = 1.0,
) -> Retry | End:
    """What follows `result`. `age` is seconds since the event was accepted; `ran` is whether its
    function was run with it, or may have been."""
    if ran:
        event = replace(event, invoked=event.invoked + 1)
    condition = _ENDS.get(result)
    if condition is not None:
        return End(condition, event)
    oldest = limit(config, time_scale)
    if result is Result.FUNCTION_ERROR:
        event = replace(event, errors=event.errors + 1, puts_off=0)
        if event.errors > config.retries:
            return End(Condition.RETRIES_EXHAUSTED, event)
        delay = ERROR_WAITS[event.errors - 1] * time_scale
    else:
        delay = backoff(event.puts_off) * time_scale
        event = replace(event, puts_off=event.puts_off + 1)
        # «Until the age limit»: where the next wait would go beyond it, there is a last try one
        # first back-off before it (that is our reading: AWS's last wait is unconfirmed).
        first = FIRST_BACKOFF * time_scale
        delay = max(first, min(delay, oldest - first - age), _LEAST)
    # An attempt at the very limit would find the event too old.
    if age + delay >= oldest:
        return End(Condition.EVENT_AGE_EXCEEDED, event)
    return Retry(delay, event)


def backoff(puts_off: int) -> float:
    """Seconds until the next try of what was put off so many times already."""
    # The exponent is bounded: an event may be put off for six hours.
    return min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(puts_off, 10))


def too_old(config: EventInvokeConfig, *, age: float, time_scale: float = 1.0) -> bool:
    """Whether an event is given up as its turn comes, because that came too late."""
    return age >= limit(config, time_scale)


def limit(config: EventInvokeConfig, time_scale: float) -> float:
    """Seconds at which an event is too old."""
    return config.age * (time_scale or 1.0)
