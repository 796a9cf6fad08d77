"""The ASGI app: from a request to the operation that answers it, and its reply back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from samovar.doors.http import faults
from samovar.doors.http.admin import AdminPages
from samovar.doors.http.authorization import Authorizer, Meant
from samovar.doors.http.body import (
    BodyTooLargeError,
    ClientGoneError,
    Receive,
    read_body,
    read_large,
)
from samovar.doors.http.code_links import CodeLinks
from samovar.doors.http.constraints import check_constraints
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.invoke import InvokePath, is_plain
from samovar.doors.http.limits import ConnectionLimits
from samovar.doors.http.long_text import LONG
from samovar.doors.http.operations import OPERATIONS
from samovar.doors.http.operations.table import Call, Operation
from samovar.doors.http.parsing import parse_request
from samovar.doors.http.replies import RawHeaders, Reply, all_headers, cut_off_reply, error_reply
from samovar.doors.http.room import Room
from samovar.doors.http.routes import Match, lambda_router
from samovar.doors.http.serialization import serialize
from samovar.doors.http.signed import SignedInvokePath, verified
from samovar.doors.http.sigv4 import Verifier
from samovar.doors.http.stream import NAME as STREAM
from samovar.doors.http.stream import StreamPath
from samovar.errors import AWS, ClientError
from samovar.invocation.identity import Identities
from samovar.model import limits
from samovar.model.access import Caller

_log = logging.getLogger("samovar.http")

# A body that carries code may be larger; of every other operation AWS takes 6 MB.
_BODY_LIMITS = {
    "CreateFunction": limits.DEPLOY_REQUEST_SIZE,
    "UpdateFunctionCode": limits.DEPLOY_REQUEST_SIZE,
    "PublishLayerVersion": limits.DEPLOY_REQUEST_SIZE,
    "InvokeAsync": limits.INVOKE_ASYNC_SIZE,
}


class LambdaApp:
    """The Lambda REST API and the engine's own pages, for one engine."""

    def __init__(
        self,
        engine: ServedEngine,
        request_ids: Identities | None = None,
        verifier: Verifier | None = None,
        connection_limits: ConnectionLimits | None = None,
    ) -> None:
        """With a `verifier`, only signed requests are answered, but for reading
        the engine's own pages that show no events."""
        self._engine = engine
        self._verifier = verifier
        self._links = CodeLinks()
        self._pages = AdminPages(engine, self._links)
        self._authorizer = Authorizer(
            engine.registry, engine.settings.region, engine.settings.account_id
        )
        self.invocations = (
            InvokePath(engine)
            if verifier is None
            else SignedInvokePath(engine, verifier, self._authorizer)
        )
        self._streams = StreamPath(engine)
        self._request_ids = request_ids or Identities()
        self._router = lambda_router()
        self._room = Room((connection_limits or ConnectionLimits()).working_bytes)

    def stop_waiting(self) -> None:
        """Answer the requests that merely wait for something to happen; idempotent."""
        self._pages.stop()

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        request_id = self._request_ids.request_id()
        try:
            raw_path: bytes = scope["raw_path"]
            if scope["method"] == "POST" and is_plain(raw_path):
                receive, caller = self._verified(scope, receive)
                admit = self._admit(caller, "Invoke")
                reply = await self.invocations.answer(scope, receive, request_id, admit)
            else:
                reply = await self._answer(scope, raw_path.decode("ascii"), receive, request_id)
        except ClientGoneError:
            return
        except asyncio.CancelledError:
            # Only the server cancels, and only when its grace is over: the last word of this task.
            reply = cut_off_reply()
        except Exception as error:  # whatever broke, the client gets a reply
            reply = error_reply(error, request_id)
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": all_headers(reply, request_id),
            }
        )
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, scope: Any, raw_path: str, receive: Receive, request_id: str) -> Reply:
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is not None:
            raise faults.refused_origin(origin)
        method: str = scope["method"]
        query = scope["query_string"].decode("latin-1")
        if self._pages.is_open(method, raw_path):
            return await self._pages.answer(method, raw_path, query, receive)
        receive, caller = self._verified(scope, receive)
        if self._pages.owns(raw_path):
            await read_body(receive, limits.SYNC_PAYLOAD_SIZE)  # what is signed covers the body
            if caller is not None:
                self._authorizer.demand_pages(caller, raw_path)
            return await self._pages.answer(method, raw_path, query, receive)
        match = self._router.match(method, raw_path, query)
        name = match.operation.name
        if name == "Invoke":  # with a slash too many; the usual spelling never gets here
            usual = {**scope, "raw_path": b"/" + scope["raw_path"].strip(b"/")}
            admit = self._admit(caller, name)
            return await self.invocations.answer(usual, receive, request_id, admit)
        if name == STREAM:
            may = self._admit(caller, name)
            return await self._streams.answer(match, scope["headers"], receive, request_id, may)
        operation = OPERATIONS.get(name)
        if operation is None:
            raise ClientError(
                AWS.NOT_CARRIED_OUT, f"Samovar does not carry out the operation {name} yet."
            )
        body = await _operation_body(receive, name)
        if len(body) <= LONG:
            params = _params(match, operation, scope["headers"], body)
            self._demand(caller, name, params)
            return await self._run(scope, match, operation, params, request_id)
        async with self._room.place(len(body)):
            # Not on the loop, which has invocations to serve meanwhile.
            params = await asyncio.to_thread(_params, match, operation, scope["headers"], body)
            del body
            self._demand(caller, name, params)
            return await self._run(scope, match, operation, params, request_id)

    async def _run(
        self,
        scope: Any,
        match: Match,
        operation: Operation,
        params: dict[str, Any],
        request_id: str,
    ) -> Reply:
        call = Call(self._engine, params, self._links, _base_url(scope), request_id)
        return serialize(match.operation, await operation.run(call))

    def _verified(self, scope: Any, receive: Receive) -> tuple[Receive, Caller | None]:
        if self._verifier is None:
            return receive, None
        return verified(self._verifier, scope, receive)

    def _demand(self, caller: Caller | None, operation: str, params: dict[str, Any]) -> None:
        if caller is not None:
            self._authorizer.demand(caller, operation, params)

    def _admit(self, caller: Caller | None, operation: str) -> Callable[[Meant], None] | None:
        if caller is None:
            return None
        return partial(self._authorizer.demand_function, caller, operation)


def _params(
    match: Match, operation: Operation, headers: RawHeaders, body: bytes | bytearray
) -> dict[str, Any]:
    """The request's parameters, all of which can be carried out; raises ClientError."""
    params = parse_request(
        match.operation, labels=match.labels, query=match.query, headers=headers, body=body
    )
    check_constraints(match.operation, params)
    operation.demand_carried_out(params)
    return params


async def _operation_body(receive: Receive, name: str) -> bytes | bytearray:
    limit = _BODY_LIMITS.get(name, limits.SYNC_PAYLOAD_SIZE)
    try:
        return await read_large(receive, limit)
    except BodyTooLargeError as error:
        raise ClientError(
            AWS.REQUEST_TOO_LARGE,
            f"Request must be smaller than {limit} bytes for the {name} operation",
        ) from error


def _base_url(scope: Any) -> str:
    """How the client reached us: what a link must begin with to reach us again."""
    for name, value in scope["headers"]:
        if name == b"host" and value:
            return f"http://{value.decode('latin-1')}"
    host, port = scope["server"]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
