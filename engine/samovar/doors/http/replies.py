"""What goes back over HTTP: a status, headers and a whole body; and how errors look there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from samovar.doors.http import faults
from samovar.errors import AWS, AwsError, ClientError, EngineError

_log = logging.getLogger("samovar.http")

JSON = b"application/json"

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply. `headers` are without Content-Length and request id: the app adds both."""

    status: int
    headers: RawHeaders = field(default_factory=list)
    body: bytes = b""


def all_headers(reply: Reply, request_id: str) -> RawHeaders:
    """The headers of `reply` as they are sent."""
    headers = [*reply.headers, (b"x-amzn-requestid", request_id.encode())]
    if reply.status != 204:  # which has neither a body nor a length
        headers.append((b"content-length", b"%d" % len(reply.body)))
    return headers


def to_json(document: Any) -> bytes:
    """JSON without blanks, as UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def json_reply(status: int, document: Any) -> Reply:
    """A reply whose body is `document`."""
    return Reply(status, [(b"content-type", JSON)], to_json(document))


def text_reply(status: int, text: str) -> Reply:
    """A reply of plain text."""
    return Reply(status, [(b"content-type", b"text/plain; charset=utf-8")], text.encode())


def error_reply(error: BaseException, request_id: str) -> Reply:
    """The reply to a request that ended with `error`.

    An error that nobody raised on purpose becomes a ServiceException that names the request, and
    is logged with its traceback: its text may hold what a client should not see.
    """
    if isinstance(error, ClientError):
        return aws_error(error.error, error.message, error.extra)
    if isinstance(error, EngineError):
        _log.error("request %s failed: %s", request_id, error.message)
        return aws_error(error.error, error.message)
    _log.error("request %s failed", request_id, exc_info=error)
    return aws_error(
        AWS.SERVICE,
        f"Samovar failed to carry out the request {request_id}; its log has the traceback.",
    )


def cut_off_reply() -> Reply:
    """The last word of a request that had the whole of the grace at the end."""
    return aws_error(faults.UNAVAILABLE, "Samovar stopped before this request was finished.")


def aws_error(error: AwsError, message: str, extra: Mapping[str, str] | None = None) -> Reply:
    """An error as AWS spells it: the code in a header, the message in the body.

    An `extra` named `retryAfterSeconds` goes into the Retry-After header, as in the API model.
    """
    headers = [(b"content-type", JSON), (b"x-amzn-errortype", error.code.encode())]
    body: dict[str, str] = {}
    for key, value in (extra or {}).items():
        if key == "retryAfterSeconds":
            headers.append((b"retry-after", value.encode()))
        else:
            body[key] = value
    if error.fault is not None:
        body["Type"] = error.fault
    # A message may quote what a client sent; lone surrogates would not encode.
    body[error.message_key] = message.encode(errors="replace").decode()
    return Reply(error.status, headers, to_json(body))
