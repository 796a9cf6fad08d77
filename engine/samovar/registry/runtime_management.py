"""Which version of its runtime a function asks for.

One interpreter serves each runtime of an engine, for as long as the engine runs. So there is one
version to be had: with `Auto` and `FunctionUpdate` a function runs on it, whichever it is after the
engine's next start; with `Manual` it runs on the version that it names, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from samovar.errors import AWS, ClientError
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.runtime_version import runtime_version_arn
from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.index import Entry, Index
from samovar.registry.runtimes import Interpreter, Runtimes


class UpdateRuntimeOn(StrEnum):
    """When a function takes a new version of its runtime (AWS's words)."""

    AUTO = "Auto"
    FUNCTION_UPDATE = "FunctionUpdate"
    MANUAL = "Manual"


@dataclass(frozen=True, slots=True)
class RuntimeManagement:
    """`version_arn` is the runtime version that `MANUAL` names; None otherwise."""

    update_on: UpdateRuntimeOn = UpdateRuntimeOn.AUTO
    version_arn: str | None = None

    @classmethod
    def of(cls, document: Any) -> RuntimeManagement:
        """What a record holds; raises ValueError, KeyError or TypeError for anything else."""
        return cls(UpdateRuntimeOn(document["update_on"]), document["version_arn"])


class RuntimeManagements:
    """The runtime management of each function's versions. A published one starts with Auto, however
    $LATEST is managed (unconfirmed); an alias stands for the first version that it points to.

    All methods raise ClientError for what the caller did wrong.
    """

    def __init__(self, index: Index, attaching: Attaching, runtimes: Runtimes, region: str) -> None:
        self._index = index
        self._attaching = attaching
        self._runtimes = runtimes
        self._region = region

    def get(self, name: str, qualifier: str | None) -> RuntimeManagement:
        """How the runtime of a function is managed."""
        return _managed(self._index.entry(name, qualifier), self._resource(name, qualifier))

    async def put(self, name: str, qualifier: str | None, wanted: RuntimeManagement) -> None:
        """Manage it like `wanted`; refused where another version of the runtime is asked for than
        the one that is here."""
        resource = self._resource(name, qualifier)
        if wanted.update_on is not UpdateRuntimeOn.MANUAL and wanted.version_arn is not None:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"RuntimeVersionArn belongs to the update mode Manual, not to {wanted.update_on}; "
                "leave it out.",
            )

        def change(entry: Entry) -> object:
            if wanted.update_on is UpdateRuntimeOn.MANUAL:
                version = entry.bearer(resource)
                assert isinstance(version, FunctionVersion)
                self._demand_served(version, wanted.version_arn)
            return {"update_on": wanted.update_on.value, "version_arn": wanted.version_arn}

        await self._attaching.attach(name, Kind.RUNTIME_MANAGEMENT, resource, change)

    def demand(self, version: FunctionVersion, interpreter: Interpreter) -> None:
        """Raise ClientError if `version` is to run on another version of
        its runtime than `interpreter`."""
        entry = self._index.find(version.name)
        if entry is None or entry.shown.arn != version.arn:
            return  # deleted while it still runs
        resource = version.arn if version.version == LATEST else version.qualified_arn
        pinned = _managed(entry, resource).version_arn
        served = self._arn(interpreter)
        if pinned is not None and pinned != served:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"{version.arn} is to run on the runtime version {pinned} and on no other "
                f"(UpdateRuntimeOn Manual); here {interpreter.runtime} is {served} "
                f"({interpreter.version}). Serve that interpreter again, or manage the runtime "
                "with Auto.",
            )

    def _demand_served(self, function: FunctionVersion, version_arn: str | None) -> None:
        if version_arn is None:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "The update mode Manual needs the RuntimeVersionArn that the function is to run "
                "on; GetFunctionConfiguration tells the present one.",
            )
        interpreter = self._runtimes.require(function.configuration.runtime)
        served = self._arn(interpreter)
        if version_arn != served:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The runtime version {version_arn} is not served here. {interpreter.runtime} is "
                f"{served} ({interpreter.version}); to have another one, start Samovar with that "
                "interpreter.",
            )

    def _arn(self, interpreter: Interpreter) -> str:
        return runtime_version_arn(self._region, interpreter.runtime, interpreter.version)

    def _resource(self, name: str, qualifier: str | None) -> str:
        version = self._index.shown(name, qualifier)
        return version.arn if version.version == LATEST else version.qualified_arn


def demand_runtime_may_change(entry: Entry) -> None:
    """Raise ClientError if the runtime of $LATEST is bound to one version of it."""
    if _managed(entry, entry.shown.arn).update_on is UpdateRuntimeOn.MANUAL:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "The function is bound to one version of its runtime (UpdateRuntimeOn Manual). To give "
            "it another runtime, first manage its runtime with Auto or FunctionUpdate.",
        )


def _managed(entry: Entry, resource: str) -> RuntimeManagement:
    attached = entry.attached.get((Kind.RUNTIME_MANAGEMENT, resource))
    if attached is None:
        return RuntimeManagement()
    return RuntimeManagement.of(attached.document)
