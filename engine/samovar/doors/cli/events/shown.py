"""What is shown of events and deliveries: rows of a table, and one in detail. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from samovar.doors.cli.screen import age, depths_text
from samovar.model.event_entries import Entry, EventDetails, QueueDepths

LEFT_OUT_FIRST = ("accepted (UTC)", "next try", "tries", "function")
RIGHT = ("tries",)
_NO_ASCII = re.compile(r"[^\x00-\x7f]")
_WHY = 48  # characters of it in a table


def rows(entries: Sequence[Entry], now: str) -> list[dict[str, str]]:
    """A row for each."""
    return [_row(entry, now) for entry in entries]


def _row(entry: Entry, now: str) -> dict[str, str]:
    what = "event" if entry["kind"] == "event" else f"to {entry['channel']}"
    tries = entry["invoked"] if entry["kind"] == "event" else entry["failures"]
    return {
        "id": entry["id"],
        "what": what,
        "function": _named(entry),
        "state": entry["state"],
        "accepted (UTC)": clock(entry["accepted"]),
        "tries": str(tries),
        "next try": "-" if entry["due"] is None else until(entry["due"], now),
        "why": cut(why(entry)) or "-",
    }


def _named(entry: Entry) -> str:
    if entry["kind"] == "delivery":
        return entry["function_arn"].partition(":function:")[2] or "-"
    return f"{entry['function']}:{entry['qualifier']}"


def why(entry: Entry) -> str:
    """Why it is not over; empty where nothing went wrong so far."""
    if entry["kind"] == "delivery":
        return entry["failure"] or ""
    error = ": ".join(filter(None, (entry["error_type"], entry["error_message"])))
    return ", ".join(filter(None, (entry["condition"], error)))


def cut(text: str) -> str:
    """One line of a text, and not too much of it."""
    line = " ".join(text.split())
    return line if len(line) <= _WHY else line[: _WHY - 1] + "…"


def clock(moment: str) -> str:
    """An ISO time to the second, as a person reads it."""
    return moment.partition(".")[0].replace("T", " ")


def until(moment: str, now: str) -> str:
    """`in 45 s`, or `now` for what is due already."""
    seconds = _seconds(moment) - _seconds(now)
    return f"in {age(seconds)}" if seconds > 0 else "now"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def depths_line(queue: QueueDepths) -> str:
    """`events: 3 waiting, 1 in hand, 2 dead; deliveries: none`."""
    return f"events: {depths_text(queue['events'])}; deliveries: {depths_text(queue['deliveries'])}"


def details(found: EventDetails) -> Iterator[tuple[str, str]]:
    """All of one, as names and texts in the order in which they are read."""
    entry, now = found["event"], found["time"]
    yield entry["kind"], entry["id"]
    yield "state", _state(entry, now)
    if entry["kind"] == "event":
        yield "function", entry["function_arn"]
        yield "accepted", f"{clock(entry['accepted'])} UTC"
        yield "attempts", _attempts(entry["invoked"], entry["errors"], entry["puts_off"])
        yield "trace", entry["trace"]
    else:
        yield "of event", entry["event"]
        yield "function", entry["function_arn"]
        yield "goes to", f"{entry['target']} ({entry['channel']}, {entry['condition']})"
        yield "accepted", f"{clock(entry['accepted'])} UTC"
        yield "failures", str(entry["failures"])
    if entry["state"] != "dead":
        yield "given up", f"{clock(entry['expires'])} UTC, if nothing has come of it by then"
    if why(entry):
        yield "why", why(entry)
    for delivery in found["deliveries"]:
        times = "once" if delivery["failures"] == 1 else f"{delivery['failures']} times"
        failed = f", failed {times}: {delivery['failure']}"
        yield (
            f"to {delivery['channel']}",
            f"{delivery['target']}: {_state(delivery, now)}"
            + (failed if delivery["failures"] else "")
            + f" ({delivery['id']})",
        )


def _state(entry: Entry, now: str) -> str:
    if entry["state"] == "claimed":
        return "running" if entry["kind"] == "event" else "being sent"
    if entry["due"] is None:
        return entry["state"]
    return f"waiting: next attempt {until(entry['due'], now)}"


def _attempts(invoked: int, errors: int, puts_off: int) -> str:
    texts = [f"{invoked} run, {errors} failed" if invoked else "none so far"]
    if puts_off:
        texts.append(f"put off {puts_off} times in a row by throttles or errors of the engine")
    return "; ".join(texts)


def pretty(payload: str, encoding: str) -> str:
    """JSON with line breaks, as `encoding` can show it; any other text as it is."""
    try:
        document = json.loads(payload)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        if not _can_show(text, encoding):
            text = json.dumps(document, indent=2)
    except (ValueError, RecursionError):
        return plain(payload, encoding)
    return text


def plain(payload: str, encoding: str) -> str:
    """A text as it is; where `encoding` does not have all of it, the rest as JSON's escapes."""
    if _can_show(payload, encoding):
        return payload
    return _NO_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], payload)


def as_json(document: object, encoding: str) -> str:
    """A page, as `encoding` can show it."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text if _can_show(text, encoding) else json.dumps(document, indent=2)


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:  # half a character, too, has no place in UTF-8
        return False
    return True
