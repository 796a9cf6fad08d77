"""What Samovar says of an invocation beside AWS's own headers.

`x-samovar-context` names the execution context, `x-samovar-start` is `cold`, `warm` or
`provisioned`, and `x-samovar-phases` is a JSON object of milliseconds: `handler`, and after a cold
start `environment`, `package` and `init`, and whatever else the engine measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTEXT = "x-samovar-context"
START = "x-samovar-start"
PHASES = "x-samovar-phases"


@dataclass(frozen=True, slots=True)
class Details:
    """How an invocation went. `phases` are milliseconds by name; empty where nothing was said."""

    context: str
    start: str
    phases: Mapping[str, float]

    def sentence(self) -> str:
        """One line for a person."""
        if not self.start:
            return "the endpoint says nothing of contexts: it is not Samovar"
        phases = ", ".join(f"{name} {value:.1f} ms" for name, value in self.phases.items())
        return f"{self.start} start, context {self.context}" + (f": {phases}" if phases else "")


def read_details(reply: Mapping[str, Any]) -> Details:
    """The details of a boto3 reply."""
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    phases = json.loads(headers.get(PHASES, "{}"))
    return Details(headers.get(CONTEXT, ""), headers.get(START, ""), phases)
