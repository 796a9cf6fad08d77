"""The contexts of one version, and the invocations that wait for one."""

from __future__ import annotations

from collections import deque

from samovar.context.lifecycle import Lifecycle
from samovar.scheduler.events import Ticket


class Pool:
    """Idle contexts are a stack: the right end is hot and reused, the left end is cold and expires.

    `idle` may hold contexts that died since; they are skipped when met (their state is not IDLE).
    """

    __slots__ = ("ending", "failures", "idle", "key", "members", "retired", "starting", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.idle: deque[Lifecycle] = deque()
        self.waiting: deque[Ticket] = deque()
        self.members: dict[int, Lifecycle] = {}
        self.starting = 0
        self.ending = 0  # members that are STOPPING
        self.failures = 0  # starts that failed in a row
        self.retired = False

    @property
    def empty(self) -> bool:
        return not self.members and not self.waiting
