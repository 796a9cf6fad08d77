"""The contexts of one version, and the invocations that wait for one."""

from __future__ import annotations

from collections import deque

from samovar.context.lifecycle import Lifecycle
from samovar.scheduler.events import Ticket
from samovar.scheduler.ledger import Share
from samovar.scheduler.policy import FOOTPRINT


def function_of(pool: str) -> str:
    """The function's ARN in a pool's key, `arn:version#generation`."""
    return pool.rpartition(":")[0] or pool


class Pool:
    """Idle contexts are a stack: the right end is hot and reused, the left end is cold and expires.
    `ready` is another one, of idle provisioned contexts, which never expire.

    Either may hold contexts that died since; they are skipped when met (their state is not IDLE).
    """

    __slots__ = (
        "early_deaths",
        "ending",
        "failed",
        "failures",
        "footprint",
        "idle",
        "initialized",
        "key",
        "members",
        "provision_failures",
        "provisioned",
        "provisioning",
        "ranked",
        "ready",
        "retired",
        "share",
        "starting",
        "target",
        "waiting",
        "wave",
    )

    def __init__(self, key: str, share: Share) -> None:
        self.key = key
        self.share = share
        self.idle: deque[Lifecycle] = deque()
        self.ready: deque[Lifecycle] = deque()
        self.waiting: deque[Ticket] = deque()
        self.members: dict[int, Lifecycle] = {}
        self.starting = 0  # on demand
        self.ending = 0  # members that are STOPPING
        self.failures = 0  # starts on demand that failed in a row
        self.retired = False
        self.ranked = False  # stands in the order by which idle contexts go
        self.footprint = FOOTPRINT  # MB that one more context is taken to need
        self.target = 0  # provisioned contexts that are wanted
        self.provisioned = 0  # provisioned contexts that start, or are initialised and not STOPPING
        self.provisioning = 0  # of these, those that start
        self.initialized = 0  # and the others
        self.provision_failures = 0  # provisioned starts that failed in a row
        self.early_deaths = 0  # provisioned contexts that ended soon after their init, in a row
        self.wave = 0  # the latest context there was when one was last lost in its start
        self.failed = False  # too many failures: nothing is tried any more

    def end_flight(self, context: Lifecycle) -> None:
        """The place that an invocation has taken on `context` is free again."""
        if context.provisioned:
            self.share.busy -= 1
        else:
            self.share.allowance.left += 1

    def lose_provisioned(self) -> None:
        """One of its initialised provisioned contexts goes, and gives its place back."""
        self.provisioned -= 1
        self.initialized -= 1
        self.share.provisioned -= 1
        self.share.allowance.left += 1

    @property
    def is_short(self) -> bool:
        """Whether it is to have more provisioned contexts than it has, or has coming."""
        return self.provisioned < self.target and not self.failed

    @property
    def empty(self) -> bool:
        return not self.members and not self.waiting and not self.target
