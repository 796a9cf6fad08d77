"""The demo's story as it is told: at a terminal as it happens, or as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from samovar.doors.cli.demo import tables
from samovar.doors.cli.demo.calls import RUNTIME, Call
from samovar.doors.cli.demo.story import FUNCTION, Attempt, Message, Sent

_WIDTH = 100
_LONG = 60  # characters of a text in a message that is shown


class Teller:
    """Tells it on `out`, where there is one, and keeps it."""

    def __init__(self, out: Console | None, time_scale: float) -> None:
        self._out = out
        self._time_scale = time_scale
        self._document: dict[str, Any] = {"time_scale": time_scale}
        self._chapter = 0

    def begin(self, endpoint: str, neighbours: str, package: int) -> None:
        self._document |= {"package_bytes": package}
        self._heading("A function for the uploads of a bucket")
        self._say(
            f"{FUNCTION} ({RUNTIME}, {package / 1e6:.1f} MB with Pillow) is deployed at {endpoint}."
        )
        self._say(
            f"moto's server plays S3, DynamoDB and SQS at {neighbours}. An event that fails is "
            "tried twice more; then it goes to a dead-letter queue, and a record of it to an "
            "on-failure destination. A record of success goes to an on-success destination."
        )

    def upload(self, what: str, key: str, sent: Sent) -> None:
        self._heading(f"{what} is uploaded: {key}")
        self._say(
            f"S3 invokes the function with the event of that, InvocationType=Event: {sent.status} "
            f"after {sent.waited:.1f} ms. By then the event is on the disk (request id "
            f"{sent.request_id})."
        )
        self._document.setdefault("uploads", []).append(
            {
                "key": key,
                "status": sent.status,
                "request_id": sent.request_id,
                "accepted_after_ms": round(sent.waited, 3),
                "event": sent.event,
            }
        )

    def success(self, message: Message, path: Path, row: Mapping[str, str]) -> None:
        self._say(
            f"{message.after:.1f} s later, cold start and all, there is a thumbnail in S3 (copied "
            f"to {path}), a row in DynamoDB, and this in the on-success destination's queue:"
        )
        self._show(message.body)
        self._document["on_success"] = message.body
        self._document["thumbnail"] = str(path)
        self._document["row"] = dict(row)

    def attempt(self, attempt: Attempt) -> None:
        line = f"attempt {attempt.number} failed after {attempt.after:.1f} s: {attempt.error}"
        if attempt.wait is not None:
            line += (
                f"\n  the next one {attempt.wait * self._time_scale:.1f} s later"
                f" (on AWS, and with --time-scale 1: {attempt.wait:.0f} s)"
            )
        self._say(line, style="yellow")
        self._document.setdefault("attempts", []).append(dataclasses.asdict(attempt))

    def failure(self, letter: Message, record: Message) -> None:
        self._say("The event itself is in the dead-letter queue now, with these attributes:")
        self._show(letter.attributes)
        context = record.body["requestContext"]
        self._say(
            f"And a record of it in that of the on-failure destination: {context['condition']}, "
            f"{context['approximateInvokeCount']} runs. samovar events list shows it as dead, and "
            "samovar events redrive would have it run again."
        )
        self._document["dead_letter"] = {"body": letter.body, "attributes": letter.attributes}
        self._document["on_failure"] = record.body

    def calls(self, calls: Sequence[Call]) -> None:
        self._heading("The same function, asked synchronously")
        if self._out is not None:
            tables.show_calls(self._out, calls)
        self._say("Milliseconds, medians; total is what the caller of boto3 waited.")
        self._say("samovar demo --calls measures more of it: at once, provisioned, SnapStart.")
        self._document["calls"] = [dataclasses.asdict(call) for call in calls]

    def document(self) -> str:
        """All of it, as JSON."""
        return json.dumps(self._document, indent=2, ensure_ascii=False)

    def _heading(self, text: str) -> None:
        self._chapter += 1
        if self._out is not None:
            between = "\n" if self._chapter > 1 else ""
            self._out.print(Text(f"{between}{self._chapter}. {text}", style="bold"))

    def _say(self, text: str, style: str = "") -> None:
        if self._out is not None:
            self._out.print(Text(text, style=style), width=min(self._out.width, _WIDTH))

    def _show(self, document: Any) -> None:
        if self._out is not None:
            text = json.dumps(shortened(document), indent=2, ensure_ascii=False)
            self._out.print(Text(text, style="cyan"), soft_wrap=True)


def shortened(value: Any, depth: int = 0) -> Any:
    """A document of which a person sees all that matters: deep parts and long texts are cut."""
    if isinstance(value, Mapping):
        if depth > 2:
            return "{…}"
        return {name: shortened(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list):
        if depth > 2 or any(isinstance(part, Mapping) and "s3" in part for part in value):
            return "[…]"
        return [shortened(part, depth) for part in value]
    if isinstance(value, str) and len(value) > _LONG and not value.startswith("arn:"):
        return value[: _LONG - 1] + "…"
    return value
