"""`/_samovar/events`: what the queue of asynchronous invocation holds; the dead are revived here.

They show payloads: an engine with access keys wants all of them signed, reading too.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from samovar.doors.http import faults
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.replies import Reply, aws_error, json_reply
from samovar.errors import AWS, ClientError
from samovar.model.arn import FunctionReference

PATH = "/_samovar/events"
_ONE = re.compile(f"{PATH}/([^/]+)")
_REDRIVE = re.compile(f"{PATH}/([^/]+)/redrive")
_PARAMETERS = ("state", "kind", "function", "condition", "after", "limit")
_LIMIT = 100


class EventsPage:
    """The pages, for one door."""

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine

    @staticmethod
    def owns(path: str) -> bool:
        """Whether `path` is one of these."""
        return path == PATH or path.startswith(f"{PATH}/")

    async def answer(self, method: str, path: str, query: str) -> Reply:
        """Raises ClientError and EngineError."""
        redriven, one = _REDRIVE.fullmatch(path), _ONE.fullmatch(path)
        if redriven is not None:
            if method != "POST":
                return aws_error(faults.NOT_FOUND, f"{path[:200]} answers POST only.")
            _asked(query, ())
            return json_reply(200, await self._engine.redrive(_unquoted(redriven[1])))
        reading = method in ("GET", "HEAD")
        if one is not None and method == "DELETE":
            _asked(query, ())
            await self._engine.forget(_unquoted(one[1]))
            return Reply(204)
        if one is not None and reading:
            _asked(query, ())
            return json_reply(200, await self._engine.event(_unquoted(one[1])))
        if path == PATH and reading:
            return await self._list(_asked(query, _PARAMETERS))
        return aws_error(
            faults.NOT_FOUND,
            f"There is no {method} {path[:200]}. There are: GET {PATH}, GET and DELETE {PATH}/ID, "
            f"POST {PATH}/ID/redrive.",
        )

    async def _list(self, asked: dict[str, str]) -> Reply:
        function = asked.get("function")
        if function is not None:
            settings = self._engine.settings
            function = FunctionReference.parse(
                function, None, region=settings.region, account=settings.account_id
            ).name
        text = asked.get("limit", f"{_LIMIT}")
        if not re.fullmatch("[0-9]{1,9}", text):
            raise ClientError(AWS.VALIDATION, f"limit={text[:100]!r} is no number.")
        found = await self._engine.events(
            state=asked.get("state"),
            kind=asked.get("kind"),
            function=function,
            condition=asked.get("condition"),
            after=asked.get("after"),
            limit=int(text),
        )
        return json_reply(200, found)


def _asked(query: str, known: tuple[str, ...]) -> dict[str, str]:
    asked = parse_qs(query, keep_blank_values=True)
    for name, values in asked.items():
        if name not in known:
            there = ", ".join(map(repr, known)) or "none"
            raise ClientError(
                AWS.VALIDATION, f"there is no parameter {name[:100]!r} here; there are: {there}."
            )
        if len(values) > 1:
            raise faults.given_twice(name)
    return {name: values[0] for name, values in asked.items()}


def _unquoted(text: str) -> str:
    return unquote(text, errors="replace")
