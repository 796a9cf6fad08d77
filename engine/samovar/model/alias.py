"""Aliases: names that stand for a version of a function, or for two by weight."""

from __future__ import annotations

import re
from dataclasses import dataclass

from samovar.model import limits

# Service model, shape Alias.
NAME_PATTERN = r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)"


def is_alias_name(text: str) -> bool:
    """Whether an alias may be called that."""
    fits = len(text) <= limits.QUALIFIER_LENGTH
    return fits and re.fullmatch(NAME_PATTERN, text, re.ASCII) is not None


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a version. `arn` is the alias's own, qualified one; `additional` is a second
    version and the share of invocations (0.0 to 1.0) that it gets."""

    name: str
    arn: str
    function_version: str
    description: str
    revision_id: str
    additional: tuple[str, float] | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that it may stand for."""
        if self.additional is None:
            return (self.function_version,)
        return self.function_version, self.additional[0]
