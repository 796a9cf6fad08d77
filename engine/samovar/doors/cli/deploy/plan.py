"""What has to change so that a function is as it is wished to be: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from samovar.model.function import SnapStart


@dataclass(frozen=True, slots=True)
class Amount:
    """How much concurrency is to be set aside; None takes away what there is."""

    count: int | None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for; None and empty ones leave a function as it is.

    `environment` is all the variables, `tags` are added to those that there are. Memory is MB, the
    timeout seconds, `snap_start` whether versions are to have SnapStart, `reserved` invocations at
    once. `dead_letter` is an ARN, «» for none any more.
    """

    runtime: str | None = None
    role: str | None = None
    timeout: int | None = None
    memory: int | None = None
    description: str | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    layers: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    snap_start: bool | None = None
    reserved: Amount | None = None
    dead_letter: str | None = None


class Status(StrEnum):
    """What a deployment comes to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Plan:
    """The API's parameters, without the code. `create` is None for a function that exists, and then
    `configuration`, `code` and `tags` are what is to be changed of it. `reserve` is None where the
    reserved concurrency stays as it is."""

    name: str
    create: Mapping[str, Any] | None = field(default=None, repr=False)
    configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)
    code: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    reserve: Amount | None = None

    @property
    def status(self) -> Status:
        if self.create is not None:
            return Status.CREATED
        changes = self.configuration or self.code or self.tags or self.reserve is not None
        return Status.UPDATED if changes else Status.UNCHANGED

    def changed(self) -> list[str]:
        """What would be changed, in words: names only, for values may be secrets."""
        if self.create is not None:
            return []
        names = list(self.configuration)
        names += ["Code"] if self.code else []
        names += ["ReservedConcurrentExecutions"] if self.reserve is not None else []
        return names + [f"tag {key}" for key in self.tags]


def to_create(name: str, wishes: Wishes, handler: str, runtime: str, role: str) -> Plan:
    """The plan for a function that does not exist."""
    parameters = {
        "Handler": handler,
        "Runtime": runtime,
        "Role": role,
        **_configuration(wishes, handler),
    }
    if wishes.tags:
        parameters["Tags"] = dict(wishes.tags)
    return Plan(name, create=parameters, reserve=_to_reserve(wishes, None))


def to_update(
    name: str,
    wishes: Wishes,
    handler: str,
    *,
    sha256: str,
    current: Mapping[str, Any],
    tags: Mapping[str, str],
    reserved: int | None = None,
) -> Plan:
    """The plan for a function that exists: `current` is its configuration, `tags` its tags,
    `reserved` its reserved concurrency. `sha256` is the code's, «» if only the engine can tell:
    then it is deployed in any case."""
    wanted = _configuration(wishes, handler)
    changes = {key: value for key, value in wanted.items() if _now(current, key) != value}
    return Plan(
        name,
        configuration=changes,
        code=current["CodeSha256"] != sha256,
        tags={key: value for key, value in wishes.tags.items() if tags.get(key) != value},
        reserve=_to_reserve(wishes, reserved),
    )


def _to_reserve(wishes: Wishes, now: int | None) -> Amount | None:
    wish = wishes.reserved
    return None if wish is None or wish.count == now else wish


def _configuration(wishes: Wishes, handler: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "Handler": handler,
        "Runtime": wishes.runtime,
        "Role": wishes.role,
        "Timeout": wishes.timeout,
        "MemorySize": wishes.memory,
        "Description": wishes.description,
    }
    if wishes.environment is not None:
        wanted["Environment"] = {"Variables": dict(wishes.environment)}
    if wishes.layers:
        wanted["Layers"] = list(wishes.layers)
    if wishes.snap_start is not None:
        wanted["SnapStart"] = {"ApplyOn": _apply_on(wishes.snap_start)}
    if wishes.dead_letter is not None:
        wanted["DeadLetterConfig"] = {"TargetArn": wishes.dead_letter}
    return {key: value for key, value in wanted.items() if value is not None}


def _now(current: Mapping[str, Any], key: str) -> Any:
    """What the function has now, in the form in which it would be asked for."""
    if key == "Layers":
        return [layer["Arn"] for layer in current.get("Layers", ())]
    if key == "Environment":
        return {"Variables": current.get("Environment", {}).get("Variables", {})}
    if key == "SnapStart":
        return {"ApplyOn": current.get("SnapStart", {}).get("ApplyOn", _apply_on(False))}
    if key == "DeadLetterConfig":
        return {"TargetArn": (current.get(key) or {}).get("TargetArn", "")}
    return current.get(key)


def _apply_on(snap_start: bool) -> str:
    return (SnapStart.PUBLISHED_VERSIONS if snap_start else SnapStart.NONE).value
