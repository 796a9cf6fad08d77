"""The scheduler's state, asked directly: for examples that are about single commands."""

from __future__ import annotations

from samovar.context.lifecycle import ContextState
from samovar.scheduler.commands import Command, Dispatch, StartContext
from samovar.scheduler.events import (
    ContextDied,
    ContextReady,
    InvocationEnded,
    InvokeRequested,
    ProvisionRequested,
)
from samovar.scheduler.policy import Policy
from samovar.scheduler.state import SchedulerState

A, B = "arn:f:1#1", "arn:f:2#2"


class Play:
    """A state, and what is asked of it."""

    def __init__(
        self,
        max_contexts: int = 100,
        account: int = 100,
        max_waiting: int = 0,
        scaling_rate: int = 0,
    ) -> None:
        self.state = SchedulerState(Policy(10.0, max_contexts, max_waiting, account, scaling_rate))
        self.now = 0.0

    def provision(self, count: int, pool: str = A) -> list[Command]:
        return self.state.handle(ProvisionRequested(pool, count))

    def starts(self, commands: list[Command]) -> list[int]:
        return [item.lifecycle.context for item in commands if isinstance(item, StartContext)]

    def ready(self, context: int) -> list[Command]:
        self.state.contexts[context].move(ContextState.INITIALIZING)
        commands = self.state.handle(ContextReady(context, self.now))
        self.run(commands)
        return commands

    def run(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Dispatch):
                self.state.contexts[command.context].move(ContextState.BUSY)

    def invoke(self, ticket: str, pool: str = A) -> list[Command]:
        commands = self.state.handle(InvokeRequested(pool, ticket, self.now))
        self.run(commands)
        return commands

    def end(self, context: int) -> list[Command]:
        commands = self.state.handle(InvocationEnded(context, self.now))
        self.run(commands)
        return commands

    def die(self, context: int, *, lost: bool = False) -> list[Command]:
        commands = self.state.handle(ContextDied(context, "killed", self.now, lost))
        self.run(commands)
        return commands

    def provisioned(self, count: int, pool: str = A) -> list[int]:
        """So many that are initialised."""
        contexts = self.starts(self.provision(count, pool))
        for context in contexts:
            self.ready(context)
        return contexts


def idle(play: Play, pool: str) -> int:
    """A context of `pool` that is idle from now on."""
    (context,) = play.starts(play.invoke("ticket", pool))
    play.ready(context)
    play.end(context)
    return context
