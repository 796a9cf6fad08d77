"""The engine's own pages: health, readiness, metrics, contexts, code packages by link, events
(`events_page`); and two that are asked with POST: `change_page`, and
`/_samovar/functions/NAME/drop-idle`.

That one ends the idle contexts of a function (NAME as the Lambda API takes it), so that the next
invocation has a cold start: for whoever measures those. It takes nothing from anybody that time
would not take as well, and is as open as the Lambda API beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from samovar.doors.http import faults
from samovar.doors.http.body import Receive
from samovar.doors.http.change_page import ChangePage
from samovar.doors.http.code_links import PATH as CODE_PATH
from samovar.doors.http.code_links import CodeLinks
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.events_page import PATH as EVENTS_PATH
from samovar.doors.http.events_page import EventsPage
from samovar.doors.http.replies import Reply, aws_error, json_reply
from samovar.errors import AWS
from samovar.model.arn import FunctionReference
from samovar.stores.protocols import PackageGone

# The content type of the Prometheus text format.
_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_CONTEXTS = "/_samovar/contexts"
_DROP_IDLE = re.compile("/_samovar/functions/([^/]+)/drop-idle")
_AWAIT_CHANGE = re.compile("/_samovar/functions/([^/]+)/await-change/([^/]+)")


class AdminPages:
    """Answers GET (and HEAD) under `/_samovar/`, and the three names that probes expect."""

    def __init__(self, engine: ServedEngine, links: CodeLinks) -> None:
        self._engine = engine
        self._links = links
        self._changes = ChangePage(engine)
        self._events = EventsPage(engine)
        pages: dict[str, Callable[[], Reply]] = {
            "/_samovar/health": self._health,
            "/_samovar/ready": self._ready,
            "/_samovar/metrics": self._metrics,
        }
        for alias, page in (("/healthz", "health"), ("/readyz", "ready"), ("/metrics", "metrics")):
            pages[alias] = pages[f"/_samovar/{page}"]
        self._pages = pages
        self._known = sorted([*pages, _CONTEXTS, EVENTS_PATH])

    def owns(self, path: str) -> bool:
        """Whether `path` is one of ours, existing or not, rather than the Lambda API's."""
        return path in self._pages or path.startswith("/_samovar/")

    def is_open(self, method: str, path: str) -> bool:
        """Whether a request for one of ours needs no signature, on an engine that asks for one."""
        return method in ("GET", "HEAD") and self.owns(path) and not self._events.owns(path)

    def stop(self) -> None:
        """Answer those who wait for something to happen: the server stops; idempotent."""
        self._changes.stop()

    async def answer(self, method: str, path: str, query: str, receive: Receive) -> Reply:
        """The page; raises EngineError if a package can't be read, ClientError for a function
        that isn't there, and ClientGoneError. Of a POST the body must have been received."""
        if self._events.owns(path):
            return await self._events.answer(method, path, query)
        drop = _DROP_IDLE.fullmatch(path)
        change = _AWAIT_CHANGE.fullmatch(path)
        if drop is not None or change is not None:
            if method != "POST":
                return aws_error(faults.NOT_FOUND, f"{path[:200]} answers POST only.")
            if drop is not None:
                return self._drop_idle(_unquoted(drop[1]))
            assert change is not None
            return await self._changes.answer(_unquoted(change[1]), _unquoted(change[2]), receive)
        return await self._read(method, path, query)

    async def _read(self, method: str, path: str, query: str) -> Reply:
        if method not in ("GET", "HEAD"):
            return aws_error(faults.NOT_FOUND, f"{path} answers GET only.")
        page = self._pages.get(path)
        if page is not None:
            return page()
        if path == _CONTEXTS:
            return await self._contexts(query)
        if path.startswith(CODE_PATH):
            return await self._code(path.removeprefix(CODE_PATH))
        known = ", ".join(self._known)
        return aws_error(faults.NOT_FOUND, f"There is no page {path[:200]}. There are: {known}.")

    def _health(self) -> Reply:
        """Alive: it answers, whatever else is wrong; and what there is room for."""
        room = self._engine.memory_room()
        return json_reply(
            200, {"status": "ok"} | ({} if room is None else {"memory_room_mb": room})
        )

    def _ready(self) -> Reply:
        reason = self._engine.not_ready()
        if reason is None:
            return json_reply(200, {"status": "ready"})
        return json_reply(503, {"status": "not ready", "reason": reason})

    def _metrics(self) -> Reply:
        return Reply(200, [(b"content-type", _METRICS_TYPE)], self._engine.metrics_text())

    async def _contexts(self, query: str) -> Reply:
        asked = parse_qs(query, keep_blank_values=True)
        unknown = sorted(asked.keys() - {"history"})
        if unknown:
            return aws_error(
                AWS.VALIDATION,
                f"{_CONTEXTS} has no parameter {unknown[0][:100]!r}, only 'history'.",
            )
        return json_reply(200, await self._engine.census(history="history" in asked))

    def _drop_idle(self, text: str) -> Reply:
        settings = self._engine.settings
        reference = FunctionReference.parse(
            text, None, region=settings.region, account=settings.account_id
        )
        dropped = self._engine.drop_idle_contexts(reference.name, qualifier=reference.qualifier)
        return json_reply(200, {"function": reference.arn, "dropped": dropped})

    async def _code(self, token: str) -> Reply:
        code = self._links.find(token)
        if code is None:
            return aws_error(
                faults.NOT_FOUND,
                "This link has expired or never was one; GetFunction and GetLayerVersion give new "
                "ones.",
            )
        try:
            content = await self._engine.registry.read_package(code)
        except PackageGone:
            return aws_error(
                faults.NOT_FOUND,
                "The package of this link was replaced or deleted since, and is not kept any more; "
                "GetFunction and GetLayerVersion give new ones.",
            )
        return Reply(200, [(b"content-type", b"application/zip")], content)


def _unquoted(text: str) -> str:
    return unquote(text, errors="replace")
