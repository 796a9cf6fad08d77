"""Contexts that are forked ahead of need: handed out, and replaced when they are taken or lost."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from samovar.clock import Clock
from samovar.context.context import ExecutionContext
from samovar.errors import EngineError

_log = logging.getLogger(__name__)
# Spares are replaced when the burst that took them is over: forking them in the middle of it would
# take the time of whoever forks from those who wait.
_REPLENISH_DELAY = 0.02
_AFTER_A_LOSS = 1.0  # seconds until one that was killed from outside is made anew: not at that pace


class Spares:
    """Those of one zygote, or of one template."""

    def __init__(
        self,
        wanted: int,
        clock: Clock,
        fork: Callable[[bool], ExecutionContext],
        *,
        possible: Callable[[], bool],
        whose: str,
        after_a_failure: float = _AFTER_A_LOSS,
    ) -> None:
        """`wanted`: how many there are to be; `fork` (of a spare, or not) raises OSError, and is
        asked for a spare only where `possible()`; `whose` stands in messages; `after_a_failure`:
        seconds until one that never came up is tried again."""
        self._wanted = wanted
        self._clock = clock
        self._fork = fork
        self._possible = possible
        self._whose = whose
        self._after_a_failure = after_a_failure
        self._contexts: deque[ExecutionContext] = deque()
        self._replenishing = False

    def __contains__(self, context: object) -> bool:
        return context in self._contexts

    def obtain(self) -> ExecutionContext:
        """A spare, or a context that is being forked now. Raises EngineError."""
        context = None
        while self._contexts and context is None:
            context = self._contexts.popleft()
            if not context.usable:
                context.discard()
                context = None
        self._replenish_later(_REPLENISH_DELAY)
        return context or self._forked(spare=False)

    def replenish(self) -> None:
        """Fork as many as are missing."""
        self._replenishing = False
        while self._possible() and len(self._contexts) < self._wanted:
            try:
                spare = self._forked(spare=True)
            except EngineError as error:
                _log.warning("no spare %s: %s", self._whose, error)
                return
            spare.spare_lost = partial(self._lost, spare)
            self._contexts.append(spare)

    def discard(self) -> None:
        """Have whoever forked them end them all."""
        while self._contexts:
            self._contexts.popleft().discard()

    def close(self) -> None:
        """Let go of them all: whoever forked them ends, or has ended."""
        while self._contexts:
            self._contexts.popleft().close()

    def _forked(self, *, spare: bool) -> ExecutionContext:
        try:
            return self._fork(spare)
        except OSError as error:
            raise EngineError(f"no context could be made: {error}") from error

    def _replenish_later(self, delay: float) -> None:
        if not self._replenishing and self._wanted:
            self._replenishing = True
            self._clock.call_later(delay, self.replenish)

    def _lost(self, spare: ExecutionContext, was_ready: bool) -> None:
        """Killed from outside, or never come up: another one, but not at the pace of whoever kills,
        and maybe even later where it may be that none can come up."""
        if spare in self._contexts:
            self._contexts.remove(spare)
            spare.discard()
            self._replenish_later(_AFTER_A_LOSS if was_ready else self._after_a_failure)
