"""The Lambda API for holders of access keys: every way in asks the verifier first."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import MutableMapping
from typing import Any

from samovar.doors.http.authorization import Authorizer
from samovar.doors.http.body import Receive
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.invoke import InvokePath
from samovar.doors.http.replies import RawHeaders, Reply
from samovar.doors.http.signature_parts import SignedRequest
from samovar.doors.http.sigv4 import Verifier
from samovar.model.access import Caller
from samovar.model.invocation import Outcome


class SignedInvokePath(InvokePath):
    """Invoke on the shortest way, for signed requests only."""

    def __init__(self, engine: ServedEngine, verifier: Verifier, authorizer: Authorizer) -> None:
        super().__init__(engine)
        self._verifier = verifier
        self._authorizer = authorizer

    def begin(
        self, url: bytes, headers: RawHeaders, payload: bytes, request_id: str
    ) -> asyncio.Future[Outcome] | Reply:
        path, _, query = url.decode("latin-1").partition("?")
        claim = self._verifier.claim(SignedRequest("POST", path, query, headers))
        claim.demand_signed(hashlib.sha256(payload).hexdigest())
        if claim.key.caller is not None:
            self._authorizer.demand_function(claim.key.caller, "Invoke", self._find(url))
        return super().begin(url, headers, payload, request_id)


def verified(verifier: Verifier, scope: Any, receive: Receive) -> tuple[Receive, Caller | None]:
    """A `receive` that gives the last of the body only if the request is signed, body and all; and
    who has signed it then, None for a key without a name.

    It hashes what passes through, so that a large body is not gone through a second time. Raises
    ClientError, now or while receiving.
    """
    claim = verifier.claim(
        SignedRequest(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            scope["headers"],
        )
    )
    digest = hashlib.sha256()

    async def receive_verified() -> MutableMapping[str, Any]:
        message = await receive()
        if message["type"] == "http.request":
            digest.update(message.get("body", b""))
            if not message.get("more_body", False):
                claim.demand_signed(digest.hexdigest())
        return message

    return receive_verified, claim.key.caller
