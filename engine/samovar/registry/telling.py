"""Who is told of changes in the registry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from samovar.model.alias import Alias
from samovar.model.function import FunctionVersion

_log = logging.getLogger(__name__)


class RegistryListener(Protocol):
    """Told when what invocations of a function run has changed.

    Called on the loop, in the order of the changes, after they are durable and visible; must not
    block or raise. The deletion of a function is told of each of its aliases and versions, and then
    of $LATEST.
    """

    def function_changed(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        """$LATEST has changed. `old` is None for a new function, `new` for a deleted one."""

    def version_published(self, version: FunctionVersion) -> None:
        """A published version has turned Active."""

    def version_deleted(self, version: FunctionVersion) -> None:
        """A published version is gone, which may never have turned Active."""

    def alias_changed(self, function_arn: str, old: Alias | None, new: Alias | None) -> None:
        """`old` is None for a new alias, `new` for a deleted one."""

    def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
        """What a function has reserved from now on; None for nothing, and for one that had some and
        is deleted, which is told next."""

    def provisioned_changed(self, function_arn: str, qualifier: str) -> None:
        """The config of provisioned concurrency of an alias or a version was put, maybe just as it
        was, or deleted; one that goes with its alias, version or function is not told by itself."""


class Listeners:
    """All listeners, told as one: one that fails keeps nothing from the others."""

    def __init__(self) -> None:
        self._listeners: dict[int, RegistryListener] = {}

    def add(self, listener: RegistryListener) -> Callable[[], None]:
        """Tell `listener` from now on; call what is returned to end it."""
        key = id(listener)
        self._listeners[key] = listener

        def end() -> None:
            self._listeners.pop(key, None)

        return end

    def function_changed(self, old: FunctionVersion | None, new: FunctionVersion | None) -> None:
        """Part of RegistryListener."""
        self._tell(lambda listener: listener.function_changed(old, new))

    def version_published(self, version: FunctionVersion) -> None:
        """Part of RegistryListener."""
        self._tell(lambda listener: listener.version_published(version))

    def version_deleted(self, version: FunctionVersion) -> None:
        """Part of RegistryListener."""
        self._tell(lambda listener: listener.version_deleted(version))

    def alias_changed(self, function_arn: str, old: Alias | None, new: Alias | None) -> None:
        """Part of RegistryListener."""
        self._tell(lambda listener: listener.alias_changed(function_arn, old, new))

    def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
        """Part of RegistryListener."""
        self._tell(lambda listener: listener.concurrency_changed(function_arn, reserved))

    def provisioned_changed(self, function_arn: str, qualifier: str) -> None:
        """Part of RegistryListener."""
        self._tell(lambda listener: listener.provisioned_changed(function_arn, qualifier))

    def _tell(self, call: Callable[[RegistryListener], None]) -> None:
        for listener in tuple(self._listeners.values()):
            try:
                call(listener)
            except Exception:
                # The change has happened: the others must hear of it all the same.
                _log.exception("a listener of the registry failed")
