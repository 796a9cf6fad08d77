"""Provisioned concurrency: how many contexts an alias or a version keeps ready, and of what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from samovar.model.alias import Alias


class ProvisionedStatus(StrEnum):
    """How far it is (AWS's words)."""

    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


class Progress(NamedTuple):
    """What has come of a config.

    `ready`: contexts that are there and initialised, busy ones too; `allocated`: how many there
    have been at once since it was put or moved; `failure`: why there will be no more (AWS:
    FUNCTION_ERROR_INIT_FAILURE).
    """

    ready: int = 0
    allocated: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ProvisionedConfig:
    """The provisioned concurrency of an alias or of a published version.

    `resource` is its qualified ARN, `requested` the number of contexts, `last_modified` seconds
    since the epoch.
    """

    resource: str
    requested: int
    last_modified: float

    @classmethod
    def of(cls, resource: str, document: Any) -> ProvisionedConfig:
        """What a record holds; raises ValueError, KeyError or TypeError for anything else."""
        requested = document["requested"]
        if not isinstance(requested, int) or requested < 1:
            raise ValueError(f"{requested!r} can't be provisioned")
        return cls(resource, requested, float(document["last_modified"]))

    def document(self) -> dict[str, Any]:
        """The JSON value that `of` takes."""
        return {"requested": self.requested, "last_modified": self.last_modified}

    @property
    def qualifier(self) -> str:
        """The name of the alias, or the number of the version."""
        return self.resource.rpartition(":")[2]

    def shares(self, alias: Alias | None) -> dict[str, int]:
        """How many contexts of which version; `alias` is the one that it belongs to, if any.

        Those of an alias with two versions are split by weight, so that the one that is being
        brought in has contexts from the start, and the other one as long as it gets invocations.
        AWS says only that the number «fluctuates» then.
        """
        if alias is None:
            return {self.qualifier: self.requested}
        if alias.additional is None:
            return {alias.function_version: self.requested}
        other, weight = alias.additional
        count = round(self.requested * weight)
        if self.requested > 1:
            least = 1 if weight > 0 else 0
            most = self.requested - 1 if weight < 1 else self.requested
            count = min(max(count, least), most)
        split = {alias.function_version: self.requested - count, other: count}
        return {version: number for version, number in split.items() if number}


class ShownConfig(NamedTuple):
    """A config as the API shows it."""

    config: ProvisionedConfig
    progress: Progress

    @property
    def status(self) -> ProvisionedStatus:
        """AWS calls it the status of the allocation: READY stays while a context that died is
        replaced, which is not available then (unconfirmed). So a tool that compares what is
        allocated with what it asked for finds no difference."""
        ready, allocated, failure = self.progress
        if failure is not None and ready < self.config.requested:
            return ProvisionedStatus.FAILED
        if allocated >= self.config.requested:
            return ProvisionedStatus.READY
        return ProvisionedStatus.IN_PROGRESS
