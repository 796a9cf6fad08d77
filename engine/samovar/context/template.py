"""One version's template, and the contexts that are forked from it ahead of need."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from samovar.context.context import ExecutionContext
from samovar.context.launcher import Context, Placement
from samovar.context.lifecycle import ContextState, Lifecycle
from samovar.context.opening import Failure, Role, broken
from samovar.context.spares import Spares
from samovar.context.steward import Steward
from samovar.context.surroundings import Surroundings
from samovar.context.zygote import Zygote
from samovar.errors import EngineError
from samovar.model.function import FunctionVersion
from samovar_worker.wire import messages
from samovar_worker.wire.control import ENDED

_log = logging.getLogger(__name__)


class Template:
    """A process that has run one version's init, seen from the engine. Make one with `start`.

    Is its own context's listener. `ended` is called once, when there was a template and it is no
    more; contexts that were forked from it live on.
    """

    def __init__(
        self,
        zygote: Zygote,
        numbers: itertools.count[int],
        surroundings: Surroundings,
        spares: int,
        release: Callable[[Context], None],
    ) -> None:
        """Raises EngineError when descriptors run out."""
        self.alive = False
        self.ended: Callable[[str], None] = lambda reason: None
        # Called with the reason when it fails to fork, or is found out not to be one; before
        # `ended`, if that follows.
        self.failed: Callable[[str], None] = lambda reason: None
        self._numbers = numbers
        self._surroundings = surroundings
        self._spares = Spares(
            spares,
            surroundings.clock,
            lambda spare: self._fork(Role.RESTORED, spare),
            possible=lambda: self.alive,
            whose="of a template",
        )
        self._retired = False
        self._asked = False
        self._begun: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        try:
            self.steward = Steward.start(zygote, next(numbers))
        except OSError as error:
            raise EngineError(f"no template could be made: {error}") from error
        try:
            self._context = self._fork(Role.TEMPLATE)
        except OSError as error:
            self.steward.close()
            raise EngineError(f"no template could be made: {error}") from error
        self.number = self._context.number
        # Contexts copy the template's /tmp as they are restored, which may be after its end.
        self.steward.on_death = lambda _: release(self._context)
        self.steward.refused = self._refused

    async def start(self, version: FunctionVersion, placement: Placement) -> Failure | None:
        """Run the init; why there is no template, or None."""
        lifecycle = Lifecycle(self.number, version.pool)
        self._context.start(lifecycle, placement, self)
        failure = await self._begun
        if failure is None:
            self._spares.replenish()
        return failure

    @property
    def pid(self) -> int:
        """The template's own; 0 when it is gone."""
        return self._context.pid

    @property
    def left_open(self) -> messages.LeftOpen | None:
        """What its init left that contexts share or do not have."""
        return self._context.left_open

    @property
    def barren(self) -> bool:
        """Whether it was asked for contexts, and never made one."""
        return self._asked and self.steward.forks < 2

    @property
    def deserted(self) -> bool:
        """Whether no context that came from it is anybody's."""
        return all(
            number == self.number or other in self._spares
            for number, other in self.steward.contexts()
        )

    def obtain(self) -> ExecutionContext:
        """A context that waits to be restored, or is being forked. Raises EngineError."""
        return self._spares.obtain()

    def retire(self) -> None:
        """No more contexts: end it; those that there are live on."""
        self._retired = True
        self.alive = False
        self._spares.discard()
        self.steward.discard(self.number)
        self.steward.close_when_empty()

    def close(self) -> None:
        """End it and all of its contexts; they are told."""
        self._retired = True
        self.alive = False
        self._spares.close()
        self.steward.close()
        self._context.close()

    # -- what the template's own context says

    def context_ready(self, context: Context) -> None:
        assert context.lifecycle is not None
        context.lifecycle.move(ContextState.IDLE)
        self.alive = not self._retired
        if not self._begun.done():
            self._begun.set_result(None)

    def context_free(self, context: Context) -> None:
        """It is never given an invocation."""

    def context_gone(self, context: Context, reason: str) -> None:
        was, self.alive = self.alive, False
        if not self._begun.done():
            failure = self._context.failure or broken(reason)
            self._begun.set_result(failure)
        for number, other in self.steward.contexts():
            if number != self.number and isinstance(other, ExecutionContext):
                other.bereft(ENDED)
        self.steward.close_when_empty()
        if was:
            self.ended(reason)

    def _refused(self, context: int, reason: str) -> None:
        # Those that wait while it ends are refused, too: that is no fault of a template's that was
        # killed. One that is to blame is so under its own number.
        if self.alive and (context == self.number or reason != ENDED):
            self.failed(reason)

    def _fork(self, role: Role, spare: bool = False) -> ExecutionContext:
        number = next(self._numbers)
        self._asked = role is Role.RESTORED
        return ExecutionContext(number, self.steward, self._surroundings, spare, role)
