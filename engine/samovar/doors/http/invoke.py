"""Invoke, on a path of its own: it is what everything else exists for, and is called most.

The model-driven parser is left out and nothing of the payload is looked at; what this path must
check of the API model is written out here, and held against the model by its tests.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from samovar.doors.http.body import BodyTooLargeError, Receive, read_body
from samovar.doors.http.constraints import validation_text, violation
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.faults import SERIALIZATION, given_twice, not_carried_out, refused_origin
from samovar.doors.http.limits import LONGEST_TARGET
from samovar.doors.http.replies import JSON, RawHeaders, Reply
from samovar.doors.http.unknown import is_of_a_signature
from samovar.errors import AWS, ClientError
from samovar.invocation.identity import is_uuid
from samovar.model import limits
from samovar.model.arn import FunctionReference
from samovar.model.invocation import Outcome, StartKind
from samovar.model.payload import too_large

PREFIX = b"/2015-03-31/functions/"
SUFFIX = b"/invocations"
_SLASHES = 4  # one more would be another operation's path, or a name that is not encoded

# The order of the values is the model's: errors print it.
INVOCATION_TYPES = ("Event", "RequestResponse", "DryRun")
LOG_TYPES = ("None", "Tail")

# Headers that mean something here, by the name of the model's member where it has one.
_TYPE = b"x-amz-invocation-type"
_LOG_TYPE = b"x-amz-log-type"
_CLIENT_CONTEXT = b"x-amz-client-context"
_TRACE = b"x-amzn-trace-id"
_REQUEST_ID = b"x-amzn-requestid"
_ORIGIN = b"origin"
_REFUSED = {
    b"x-amz-tenant-id": "TenantId",
    b"x-amz-durable-execution-name": "DurableExecutionName",
}
MEANT = frozenset({_TYPE, _LOG_TYPE, _CLIENT_CONTEXT, _TRACE, _REQUEST_ID, _ORIGIN, *_REFUSED})

_START = {kind: kind.value.encode() for kind in StartKind}

_REMEMBERED_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the headers of one Invoke ask for."""

    type: str = "RequestResponse"
    log_tail: bool = False
    client_context: str | None = None
    trace: str | None = None


_PLAIN = _Asked()
# What nearly every event comes with, and nothing else that means something.
_EVENT = _Asked("Event")
_EVENT_HEADERS = [(_TYPE, b"Event")]
_ACCEPTED = Reply(202)


@dataclass(frozen=True, slots=True)
class Target:
    """The function that an Invoke means; `account_named`: it says of which account."""

    name: str
    qualifier: str | None
    arn: str
    account_named: bool


# Raises ClientError where whoever asks may not; called once the request has been verified.
Admit = Callable[[Target], None]


def is_plain(url: bytes) -> bool:
    """Whether a POST to `url` is an Invoke in the usual spelling."""
    if len(url) <= _REMEMBERED_LENGTH:
        return _is_plain(url)
    return len(url) <= LONGEST_TARGET and _is_plain.__wrapped__(url)


@lru_cache(maxsize=4096)
def _is_plain(url: bytes) -> bool:
    path = url.partition(b"?")[0]
    return path.startswith(PREFIX) and path.endswith(SUFFIX) and path.count(b"/") == _SLASHES


class InvokePath:
    """Carries out Invoke for one engine."""

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine
        self._region = engine.settings.region
        self._account = engine.settings.account_id
        self._remembered = lru_cache(maxsize=4096)(self._target)

    async def answer(
        self, scope: Any, receive: Receive, request_id: str, admit: Admit | None = None
    ) -> Reply:
        """The reply to one request. Raises ClientError, EngineError, ClientGoneError, and what
        `admit` does."""
        raw_path: bytes = scope["raw_path"]
        raw_query: bytes = scope["query_string"]
        target = self._find(b"%s?%s" % (raw_path, raw_query) if raw_query else raw_path)
        asked = _asked(scope["headers"])
        payload = await read_payload(receive, asked.type)
        if admit is not None:
            admit(target)
        begun = self._carry_out(target, asked, payload, request_id)
        return begun if isinstance(begun, Reply) else reply_to(await begun)

    def begin(
        self, url: bytes, headers: RawHeaders, payload: bytes, request_id: str
    ) -> asyncio.Future[Any] | Reply:
        """The same for a request that is here as a whole and `is_plain`; `reply_to` has what its
        reply looks like once the future is done. Raises ClientError, EngineError."""
        target = self._find(url)
        asked = _asked(headers)
        if asked.type == "Event" and len(payload) > limits.ASYNC_PAYLOAD_SIZE:
            raise _too_large(len(payload), asked.type)
        return self._carry_out(target, asked, payload, request_id)

    def _find(self, url: bytes) -> Target:
        # Longer ones than any that a client means are not worth remembering.
        return self._remembered(url) if len(url) <= _REMEMBERED_LENGTH else self._target(url)

    def _carry_out(
        self, target: Target, asked: _Asked, payload: bytes, request_id: str
    ) -> asyncio.Future[Any] | Reply:
        if asked.type == "RequestResponse":
            return self._engine.submit(
                target.name,
                payload,
                qualifier=target.qualifier,
                function_arn=target.arn,
                client_context=asked.client_context,
                trace=asked.trace,
                log_tail=asked.log_tail,
                request_id=request_id,
            )
        if asked.type == "Event":
            # AWS passes neither the client context nor the log's tail on: «for synchronous
            # invocations only».
            return self._engine.submit_event(
                target.name,
                payload,
                qualifier=target.qualifier,
                function_arn=target.arn,
                trace=asked.trace,
                request_id=request_id,
            )
        self._engine.registry.resolve(target.name, target.qualifier)
        return Reply(204)

    def _target(self, url: bytes) -> Target:
        raw_path, _, raw_query = url.partition(b"?")
        raw_name = raw_path[len(PREFIX) : -len(SUFFIX)].decode("ascii")
        try:
            text = unquote(raw_name, errors="strict")
        except UnicodeDecodeError as error:
            raise ClientError(
                SERIALIZATION, f"The function name {raw_name!r} is not percent-encoded UTF-8."
            ) from error
        qualifier = None
        if raw_query:
            query = parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True)
            for key, _ in query:
                if key != "Qualifier" and not is_of_a_signature(key):
                    raise not_carried_out(key, "Invoke")
            qualifiers = [value for key, value in query if key == "Qualifier"]
            if len(qualifiers) > 1:
                raise given_twice("Qualifier")
            qualifier = qualifiers[0] if qualifiers else None
            if qualifier == "":
                rule = "Member must have length greater than or equal to 1"
                raise ClientError(
                    AWS.VALIDATION, validation_text([violation(qualifier, "qualifier", rule)])
                )
        reference = FunctionReference.parse(
            text, qualifier, region=self._region, account=self._account
        )
        return Target(reference.name, reference.qualifier, reference.arn, reference.account_named)


def _asked(raw_headers: RawHeaders) -> _Asked:
    meant = [header for header in raw_headers if header[0] in MEANT]
    if not meant:
        return _PLAIN
    if meant == _EVENT_HEADERS:
        return _EVENT
    headers = dict(meant)
    if len(headers) < len(meant):
        headers = as_one(meant)
    if _ORIGIN in headers:
        raise refused_origin(headers[_ORIGIN])
    given = {name: value.decode("latin-1") for name, value in headers.items()}
    check_request_id(headers.get(_REQUEST_ID))
    for name, member in _REFUSED.items():
        if name in given:
            raise not_carried_out(member, "Invoke")
    invocation_type = given.get(_TYPE, "RequestResponse")
    log_type = given.get(_LOG_TYPE, "None")
    found = [
        violation(value, field, f"Member must satisfy enum value set: [{', '.join(known)}]")
        for value, field, known in (
            (invocation_type, "invocationType", INVOCATION_TYPES),
            (log_type, "logType", LOG_TYPES),
        )
        if value not in known
    ]
    if found:
        raise ClientError(AWS.VALIDATION, validation_text(found))
    context = given.get(_CLIENT_CONTEXT)
    return _Asked(
        invocation_type,
        log_type == "Tail",
        None if context is None else client_context(context),
        given.get(_TRACE),
    )


def as_one(headers: RawHeaders) -> dict[bytes, bytes]:
    """Headers by name; one that came twice is the list of its values, as HTTP has it, so that none
    of them is ignored."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = b"%s, %s" % (found[name], value) if name in found else value
    return found


def check_request_id(given: bytes | None) -> None:
    """Raise ClientError for a request id that is no UUID.

    A good one is not taken over either: two requests could bring the same.
    """
    request_id = None if given is None else given.decode("latin-1")
    if request_id is not None and not is_uuid(request_id):
        raise ClientError(
            AWS.INVALID_REQUEST_CONTENT,
            f"The header x-amzn-RequestId must be a UUID, not {request_id[:64]!r}; leave it out.",
        )


def client_context(text: str) -> str:
    """The JSON text within; whether it is JSON, the function's runtime says."""
    if len(text) > limits.CLIENT_CONTEXT_SIZE:
        raise ClientError(
            AWS.INVALID_REQUEST_CONTENT,
            f"Client context must be no more than {limits.CLIENT_CONTEXT_SIZE} bytes, and is "
            f"{len(text)}.",
        )
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ClientError(
            AWS.INVALID_REQUEST_CONTENT,
            "Client context must be a valid Base64-encoded JSON object.",
        ) from error


async def read_payload(receive: Receive, invocation_type: str) -> bytes:
    """The event, at most as large as the type of invocation allows; raises ClientError."""
    try:
        return await read_body(receive, _limit(invocation_type))
    except BodyTooLargeError as error:
        raise _too_large(error.size, invocation_type) from error


def _limit(invocation_type: str) -> int:
    return limits.ASYNC_PAYLOAD_SIZE if invocation_type == "Event" else limits.SYNC_PAYLOAD_SIZE


def _too_large(size: int, invocation_type: str) -> ClientError:
    kind = "Event" if invocation_type == "Event" else "RequestResponse"
    return too_large(size, _limit(invocation_type), kind)


def reply_to(came: Outcome | str) -> Reply:
    """The reply to what an invocation came to: an outcome, or the request id of an event that is
    accepted, which is in a header of every reply."""
    return _ACCEPTED if isinstance(came, str) else outcome_reply(came)


def outcome_reply(outcome: Outcome) -> Reply:
    """AWS's headers, and three of ours that say what happened: which context, how it was started,
    and how many milliseconds each phase took."""
    headers = [
        (b"content-type", JSON),
        (b"x-amz-executed-version", outcome.executed_version.encode()),
        (b"x-samovar-context", outcome.context_id.encode()),
        (b"x-samovar-start", _START[outcome.start]),
        (b"x-samovar-phases", _phases(outcome)),
    ]
    if outcome.function_error is not None:
        headers.append((b"x-amz-function-error", outcome.function_error.encode()))
    if outcome.log_tail:
        headers.append((b"x-amz-log-result", base64.b64encode(outcome.log_tail)))
    return Reply(200, headers, outcome.payload)


def context_headers(outcome: Outcome) -> RawHeaders:
    """Of the headers of `outcome_reply`, those that say what ran, and how."""
    told = {
        b"x-amz-executed-version",
        b"x-samovar-context",
        b"x-samovar-start",
        b"x-samovar-phases",
    }
    return [header for header in outcome_reply(outcome).headers if header[0] in told]


def _phases(outcome: Outcome) -> bytes:
    queued, handler = outcome.queued * 1000, outcome.duration * 1000
    cold = outcome.cold_start
    if cold is None:
        return b'{"queued":%.3f,"handler":%.3f}' % (queued, handler)
    return b'{"queued":%.3f,"environment":%.3f,"package":%.3f,"init":%.3f,"handler":%.3f}' % (
        queued,
        cold.environment * 1000,
        cold.package * 1000,
        cold.init * 1000,
        handler,
    )
