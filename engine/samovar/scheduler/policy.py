"""The numbers that decide, apart from the state they decide about."""

from __future__ import annotations

from dataclasses import dataclass

# A context that can't even be started is our fault, not the function's: worth a second and a third
# try (a zygote may just have been killed and respawned), not an endless loop.
START_ATTEMPTS = 3
# Inits that fail in a row before a provisioned concurrency config turns FAILED (AWS: about six).
PROVISION_ATTEMPTS = 6
# Provisioned contexts of one version that initialise at the same time: a thousand at once would
# leave the processors to nobody else.
PROVISION_AT_ONCE = 8
# The same of all versions together: after a restart all configs want theirs at once, and inits
# that invocations wait for have ten seconds. Twice as many, so that one version whose inits hang
# does not hold up all others.
PROVISION_IN_ALL = 16
# A provisioned context that ends by itself within so many seconds after its init, before anything
# was run on it, is another init that failed: else a module that ends its own process a moment later
# would be started again for ever.
EARLY = 10.0
# The scaling rate is per ten seconds (AWS, «Lambda scaling behavior»).
SCALING_SECONDS = 10.0
# What a context is taken to need before one of its version was ever measured, MB: more than a bare
# one (2.3, measured) and less than one with a client of AWS's (30). Too much of it would refuse a
# first burst on a small host; what is too little shows within a tenth of a second.
FOOTPRINT = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """What the scheduler's state decides by; 0 stands for «no limit» where it says so.

    `idle_timeout`: seconds an idle context is kept; `max_contexts`: how many may exist;
    `max_waiting`: how many invocations may wait for one of them once they all exist and are busy
    (0: none, they are throttled, as on AWS); `account_concurrency`: invocations in flight, of all
    functions together; `scaling_rate`: contexts that a function may start on demand in ten seconds
    (0: no limit); `request_rate`: invocations of a function per second for each unit of its
    concurrency (0: no limit; AWS: 10).
    """

    idle_timeout: float
    max_contexts: int
    max_waiting: int = 0
    account_concurrency: int = 1000
    scaling_rate: int = 0
    request_rate: int = 0
