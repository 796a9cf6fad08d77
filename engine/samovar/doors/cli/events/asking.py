"""The pages of `/_samovar/events`, as the commands ask them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import quote, urlencode

from samovar.doors.cli import pages
from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.remote import connected
from samovar.model.event_entries import SCHEMA, Entry, EventDetails, EventList

PATH = "/_samovar/events"
_PAGE = 1000
_NEXT = {
    "ResourceNotFoundException": (
        "What there is: samovar events list. What an event logged that ended well: samovar logs "
        "FUNCTION --request-id ID"
    ),
    "ResourceConflictException": "Where it is: samovar events show ID",
}


class Refusal(Exception):
    """The engine refused, and why; `code` is AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def as_failure(self) -> Failure:
        """With what to do next."""
        advice = _NEXT.get(self.code, "")
        if self.message.startswith("Function not found"):
            advice = (
                "Deploy it again first, or have what is left of it deleted: samovar events forget"
            )
        text = f"{self.code}: {self.message}"
        return Failure(Exit.REFUSED, f"{text}\n{advice}" if advice else text)


class Events:
    """An engine's events. All methods raise Refusal, and Failure where these pages are not to be
    had."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def page(self, filters: Mapping[str, str | None], limit: int, after: str | None) -> EventList:
        """One page of what there is."""
        asked = {**filters, "limit": str(min(limit, _PAGE)), "after": after}
        query = urlencode({name: text for name, text in asked.items() if text is not None})
        return cast(EventList, self._read(f"{PATH}?{query}"))

    def all(self, filters: Mapping[str, str | None]) -> list[Entry]:
        """All of it, in the order in which it came in."""
        found: dict[str, Entry] = {}
        after = None
        while True:
            page = self.page(filters, _PAGE, after)
            for entry in page["events"]:  # one that moves meanwhile may be on two pages
                found.setdefault(entry["id"], entry)
            after = page["next"]
            if after is None:
                return list(found.values())

    def details(self, item_id: str) -> EventDetails:
        """One of them."""
        return cast(EventDetails, self._read(f"{PATH}/{quote(item_id, safe='')}"))

    def redrive(self, item_id: str) -> Entry:
        """Have it run or be sent again."""
        return cast(Entry, self._ask("POST", f"{PATH}/{quote(item_id, safe='')}/redrive"))

    def forget(self, item_id: str) -> None:
        """Delete it."""
        self._ask("DELETE", f"{PATH}/{quote(item_id, safe='')}")

    def _read(self, path: str) -> Mapping[str, Any]:
        document = self._ask("GET", path)
        if document.get("schema") != SCHEMA:
            raise pages.cannot(self._client, "has events in a form of later", 200, {})
        return document

    def _ask(self, method: str, path: str) -> Mapping[str, Any]:
        status, document = pages.answered(self._client, method, path)
        if status in (200, 204):
            return document
        code = document.get("code")
        if code not in _NEXT and code != "ValidationException":
            raise pages.cannot(self._client, "shows no events", status, document)
        raise Refusal(code, str(document.get("Message") or document.get("message")))


@contextmanager
def events_at(endpoint_url: str | None) -> Iterator[Events]:
    """The events of the engine that is meant; what goes wrong is a Failure."""
    with connected(endpoint_url) as client:
        try:
            yield Events(client)
        except Refusal as refusal:
            raise refusal.as_failure() from refusal
