"""`POST /_samovar/functions/NAME/await-change/REVISION`: answered once NAME has another revision.

For whoever shows a function's reloads as they happen, without asking over and over. A POST, because
it takes up a connection: an engine with access keys wants it signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from samovar.doors.http import faults
from samovar.doors.http.body import ClientGoneError, Receive
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.replies import Reply, aws_error, json_reply
from samovar.model.arn import FunctionReference
from samovar.model.function import FunctionVersion

# Seconds until it is answered in any case: a client whose connection has silently died finds out,
# and so does the engine, for which a client that has closed may still read on.
_PATIENCE = 20.0


class ChangePage:
    """The page, for one door."""

    def __init__(self, engine: ServedEngine, patience: float = _PATIENCE) -> None:
        self._engine = engine
        self._patience = patience
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Answer all who wait, and let nobody wait from now on; idempotent."""
        self._stopping.set()

    async def answer(self, text: str, revision: str, receive: Receive) -> Reply:
        """`text` is the function as the Lambda API takes it, `revision` the RevisionId that the
        client knows. The request's body must have been received.

        The reply has the revision that is shown now (the same one where nothing has changed for 20
        s), and the directory that hot reload takes the code from, null without. Raises ClientError
        for a function that isn't there, or is deleted meanwhile, and ClientGoneError.
        """
        settings = self._engine.settings
        reference = FunctionReference.parse(
            text, None, region=settings.region, account=settings.account_id
        )
        registry = self._engine.registry
        shown = registry.get(reference.name, reference.qualifier)
        if shown.revision_id == revision:
            changed = asyncio.ensure_future(registry.wait_changed(reference.name, revision))
            gone = asyncio.ensure_future(_gone(receive))
            stopping = asyncio.ensure_future(self._stopping.wait())
            waiting: Sequence[asyncio.Future[Any]] = (changed, gone, stopping)
            try:
                await asyncio.wait(
                    waiting, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                for future in waiting:
                    future.cancel()
            if changed.done():
                shown = changed.result()
            elif gone.done():
                raise ClientGoneError
            elif stopping.done():
                return aws_error(
                    faults.UNAVAILABLE, "Samovar is stopping; try again when it is back."
                )
        return json_reply(200, _document(shown))


def _document(shown: FunctionVersion) -> dict[str, str | None]:
    directory = shown.code.directory or None
    return {"function": shown.arn, "revision": shown.revision_id, "directory": directory}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
