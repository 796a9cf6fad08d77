"""What the engine tells whoever watches it.

Every hook is called on the loop's thread, some of them on every invocation: an implementation
must not block, take locks or raise, and should stay under a microsecond. Hooks get plain values,
so that a watcher needs to know nothing of the engine's own objects.
"""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """The hooks. All durations are seconds; all names are the ones that users know.

    `qualifier` is how a function was invoked: an alias, a version, or `$LATEST`, also where none
    was given; `version` is what that came to.
    """

    def invocation_finished(  # noqa: PLR0917 - keywords would cost every invocation
        self,
        function: str,
        qualifier: str,
        version: str,
        start: str,
        duration: float,
        overhead: float,
        error_type: str,
    ) -> None:
        """An invocation ran to an outcome, good or bad.

        `start` is a StartKind's value; `duration` runs from acceptance to the outcome, waiting and
        cold start included: what the caller waited for the engine; `overhead` is the engine's own
        part of it, from acceptance to the handler's start without waiting and cold start;
        `error_type` is AWS's error type, or empty where the function returned.
        """

    def invocation_throttled(
        self, function: str, qualifier: str, version: str, reason: str
    ) -> None:
        """An invocation was refused before anything ran; `reason` is one of a few fixed words."""

    def invocation_failed(self, function: str, kind: str) -> None:
        """The engine could not answer an invocation by its own fault; `kind` is a fixed word."""

    def cold_start(
        self,
        function: str,
        version: str,
        kind: str,
        *,
        environment: float,
        package: float,
        init: float,
    ) -> None:
        """A context became ready for its first invocation; the phases are those of ColdStart, and
        `kind` is what its function finds in AWS_LAMBDA_INITIALIZATION_TYPE."""

    def invocation_spilled_over(self, function: str, qualifier: str, version: str) -> None:
        """An invocation of a version with provisioned concurrency ran on demand, because none of
        that was free, or none is there yet; `invocation_finished` comes as well."""

    def unsigned_deployment(self, function: str) -> None:
        """A function got a package whose signature nobody could verify, and a code signing config
        let it through with a warning."""

    def event_received(self, function: str) -> None:
        """An event was accepted for asynchronous invocation, and is durable."""

    def event_started(self, function: str, age: float) -> None:
        """An event is handed to its function, `age` seconds after it was accepted."""

    def event_retried(self, function: str, reason: str) -> None:
        """An event waits for another attempt; `reason` is one of a few fixed words."""

    def event_dropped(self, function: str, condition: str) -> None:
        """An event was given up; `condition` is a Condition's value."""

    def recursion_stopped(self, function: str) -> None:
        """An invocation was stopped because its chain of calls is a loop."""

    def delivered(self, function: str, channel: str, service: str) -> None:
        """What became of an event was sent; `channel` is a Channel's value, `service` that of
        the target."""

    def delivery_retried(self, function: str, channel: str, service: str) -> None:
        """It could not be sent, and will be tried again."""

    def delivery_failed(self, function: str, channel: str, service: str) -> None:
        """It could not be sent, and is given up."""

    def records_delivered(self, mapping: str, records: int) -> None:
        """So many records that were given up for an event source mapping (its UUID) have been told
        of at its on-failure destination; `delivered` comes as well."""

    def records_not_delivered(self, mapping: str, service: str) -> None:
        """That could not be, this time; `service` is that of the target. What comes of it is told
        as of any other delivery."""

    def zygote_started(self, interpreter: str, preload: str) -> None:
        """A zygote answers; `interpreter` is the runtime's name, e.g. `python3.12`."""

    def zygote_died(self, interpreter: str, preload: str, expected: bool) -> None:
        """A zygote that had started is gone; `expected` where the engine ended it itself."""

    def wall(self, name: str, held: bool) -> None:
        """Whether the host allows one of the walls around contexts; said once, at start."""

    def function_removed(self, function: str) -> None:
        """The function was deleted: what is kept under its name may be let go."""

    def version_removed(self, function: str, version: str) -> None:
        """A published version was deleted, and nothing runs it any more."""

    def alias_changed(self, function: str, alias: str, versions: frozenset[str]) -> None:
        """From now on the alias leads to `versions` and no others; none where it was deleted."""


class SilentObserver:
    """Watches nothing: what an engine has by default, and a base for a watcher of a few hooks."""

    __slots__ = ()

    def invocation_finished(  # noqa: PLR0917 - keywords would cost every invocation
        self,
        function: str,
        qualifier: str,
        version: str,
        start: str,
        duration: float,
        overhead: float,
        error_type: str,
    ) -> None:
        pass

    def invocation_throttled(
        self, function: str, qualifier: str, version: str, reason: str
    ) -> None:
        pass

    def invocation_failed(self, function: str, kind: str) -> None:
        pass

    def cold_start(
        self,
        function: str,
        version: str,
        kind: str,
        *,
        environment: float,
        package: float,
        init: float,
    ) -> None:
        pass

    def invocation_spilled_over(self, function: str, qualifier: str, version: str) -> None:
        pass

    def unsigned_deployment(self, function: str) -> None:
        pass

    def event_received(self, function: str) -> None:
        pass

    def event_started(self, function: str, age: float) -> None:
        pass

    def event_retried(self, function: str, reason: str) -> None:
        pass

    def event_dropped(self, function: str, condition: str) -> None:
        pass

    def recursion_stopped(self, function: str) -> None:
        pass

    def delivered(self, function: str, channel: str, service: str) -> None:
        pass

    def delivery_retried(self, function: str, channel: str, service: str) -> None:
        pass

    def delivery_failed(self, function: str, channel: str, service: str) -> None:
        pass

    def records_delivered(self, mapping: str, records: int) -> None:
        pass

    def records_not_delivered(self, mapping: str, service: str) -> None:
        pass

    def zygote_started(self, interpreter: str, preload: str) -> None:
        pass

    def zygote_died(self, interpreter: str, preload: str, expected: bool) -> None:
        pass

    def wall(self, name: str, held: bool) -> None:
        pass

    def function_removed(self, function: str) -> None:
        pass

    def version_removed(self, function: str, version: str) -> None:
        pass

    def alias_changed(self, function: str, alias: str, versions: frozenset[str]) -> None:
        pass
