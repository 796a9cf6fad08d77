"""The seam between the scheduler and what it schedules: a context, and whoever makes one.

`ExecutionContext` and `Provisioner` are the real ones; `samovar.testing.FakeLauncher` stands in for
both, without processes. `tests/contract/test_launcher.py` holds the two to the same behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from samovar.context.lifecycle import Lifecycle
from samovar.context.run import Run
from samovar.logs.stream import LogStream
from samovar.model.function import FunctionVersion


@dataclass(frozen=True, slots=True)
class Placement:
    """Whose code a context runs: all that `start` needs.

    `task_root`, `import_paths` and `layers` (None without any) are as the zygote sees them;
    `tmp_dir` only without namespaces. `provisioned`: it is initialised ahead of need, for which an
    init has `init_timeout` seconds (else what the engine gives all others); it is over when its
    process is. `offline`: it has no network; what is restored has its template's.
    """

    version: FunctionVersion
    task_root: str
    environment: dict[str, str] = field(repr=False)
    import_paths: tuple[str, ...]
    tmp_dir: str | None
    log: LogStream
    layers: str | None = None
    provisioned: bool = False
    init_timeout: float | None = None
    offline: bool = False

    @property
    def initialization(self) -> str:
        """An Initialization's value: the log says it, too."""
        return self.log.initialization


def long_init_timeout(version: FunctionVersion) -> float:
    """Seconds for an init that no invocation waits for (AWS, «Lambda runtime environment»)."""
    return float(max(130, version.configuration.timeout))


class Context(Protocol):
    """One execution context. `lifecycle` is moved by the context up to INITIALIZING, then by its
    listener; `init_began` is monotonic, `init_seconds` None after an init that failed; `lost` is
    true if it was given up, or its zygote went or could not fork it: no fault of its function's.
    """

    lifecycle: Lifecycle | None
    placement: Placement | None
    invocations: int
    memory_used: int
    init_began: float
    init_seconds: float | None
    lost: bool

    @property
    def pid(self) -> int:
        """The worker's pid; 0 while there is no process."""

    @property
    def frozen(self) -> bool:
        """Whether its processes are stopped, until it is given a run."""

    @property
    def current(self) -> Run | None:
        """The run that it is in."""

    def start(self, lifecycle: Lifecycle, placement: Placement, listener: ContextListener) -> None:
        """Run the init of a version; `listener.context_ready` follows, or `context_gone`."""

    def run(self, run: Run) -> None:
        """Run an invocation; `run.finished` and `listener.context_free` follow, in either order,
        or `context_gone` in the place of `context_free`."""

    def stop(self, reason: str) -> None:
        """Kill the process and let the mounts go; `listener.context_gone` follows, and nothing else
        does, even in the middle of an init."""

    def abandon(self, reason: str) -> None:
        """Give up on process and mounts at once; a run fails by `reason`."""


class ContextListener(Protocol):
    """Whom a context tells how it fares."""

    def context_ready(self, context: Context) -> None:
        """The first init is over: done, or failed and to be tried again within an invocation."""

    def context_free(self, context: Context) -> None:
        """The run is over; another may come."""

    def context_gone(self, context: Context, reason: str) -> None:
        """Its process is reaped, its mounts are let go; nothing more will come."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A forked context and what it is to run; `package`: seconds spent on fetch and extract."""

    context: Context
    placement: Placement
    package: float


class Launcher(Protocol):
    """Makes contexts for the scheduler, and is told of each that is gone."""

    async def prepare(self, version: FunctionVersion, provisioned: bool = False) -> Prepared:
        """A context, forked or being forked, and its placement; `provisioned`: ahead of need.
        Raises SamovarError, OSError."""

    def release(self, context: Context) -> None:
        """Let go of what a context leaves behind."""
