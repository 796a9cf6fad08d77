"""What becomes no request, or no more of one: how much is too much, and how clients are told."""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from samovar.doors.http import faults
from samovar.doors.http.door_state import DoorState
from samovar.doors.http.limits import LONGEST_TARGET, ConnectionLimits
from samovar.doors.http.replies import RawHeaders, Reply
from samovar.errors import AWS, AwsError
from samovar.invocation.identity import Identities
from samovar.model.limits import DEPLOY_REQUEST_SIZE

Fault = tuple[AwsError, str]

NO_PROXY = faults.BAD_REQUEST, "CONNECT is for proxies, and Samovar is none."

# Chunk sizes and trailers around a chunked body: as much again as the headers may take, plus what
# even one-byte chunks need.
_CHUNK_OVERHEAD = 8
_TLS = b"\x16\x03"  # a handshake record of any version
_HTTP2 = b"PRI * HTTP/2.0"


def fault_of(url: bytes, headers: RawHeaders, version: str) -> Fault | None:
    """What is wrong with a request whose headers could be parsed; None if nothing is.

    `url` is its target, `version` such as «1.1».
    """
    if version not in ("1.0", "1.1"):
        return faults.BAD_REQUEST, f"HTTP/{version} is not spoken here; use HTTP/1.1."
    if len(url) > LONGEST_TARGET:
        text = f"The target of a request must be smaller than {LONGEST_TARGET + 1} bytes"
        return AWS.REQUEST_TOO_LARGE, text
    if b"#" in url:
        return faults.BAD_REQUEST, "The target of a request has no fragment."
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserInvalidURLError:
        path = None
    if path is None:
        return faults.BAD_REQUEST, f"Not HTTP/1.1: {url[:200]!r} has no path."
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if any(coding.strip().lower() != b"chunked" for coding in codings):
        shown = b", ".join(codings)[:64].decode("latin-1")
        return AWS.NOT_CARRIED_OUT, f"Transfer-Encoding: {shown} is not decoded; use chunked."
    return None


def not_http(data: bytes, error: Exception) -> Fault:
    """What to tell a client whose bytes, of which `data` came last, are no HTTP/1.1."""
    if data.startswith(_TLS):
        return faults.BAD_REQUEST, "This port speaks plain HTTP: use http:// instead of https://."
    if data.startswith(_HTTP2):
        return faults.BAD_REQUEST, "HTTP/2.0 is not spoken here; use HTTP/1.1."
    return faults.BAD_REQUEST, f"Not HTTP/1.1: {error}"


def excess_of_head(limits: ConnectionLimits, size: int, headers: int) -> Fault | None:
    """What is too much of `size` bytes of request line and headers, if something is."""
    if size > limits.header_bytes:
        return (
            AWS.REQUEST_TOO_LARGE,
            f"Request line and headers must be smaller than {limits.header_bytes} bytes",
        )
    if headers > limits.headers:
        return AWS.REQUEST_TOO_LARGE, f"A request may have {limits.headers} headers, and no more."
    return None


def excess_of_body(limits: ConnectionLimits, size: int, content: int) -> Fault | None:
    """What is too much of a body of which `size` bytes came, `content` of them the body's own."""
    if size > limits.header_bytes + (1 + _CHUNK_OVERHEAD) * content:
        text = "The chunks and trailers around the body outweigh the body."
        return faults.BAD_REQUEST, text
    if content > limits.body_bytes:
        text = f"Request must be smaller than {DEPLOY_REQUEST_SIZE} bytes"
        return AWS.REQUEST_TOO_LARGE, text
    return None


def too_much_incoming(limits: ConnectionLimits) -> Fault:
    """What a request is told for which there is no memory now."""
    return (
        faults.UNAVAILABLE,
        f"Samovar holds {limits.incoming_bytes} bytes of requests that are still coming; try again "
        "when some of them are complete.",
    )


def without_upgrade(method: bytes, url: bytes, version: str, headers: RawHeaders) -> bytes:
    """The head of a request once more, without its offer to change the protocol.

    «Upgrade: h2c» is an offer that may be declined by not taking it up; Java's client makes it with
    its first request.
    """
    kept = b"".join(b"%s: %s\r\n" % header for header in headers if header[0] != b"upgrade")
    return b"%s %s HTTP/%s\r\n%s\r\n" % (method, url, version.encode(), kept)


def as_bytes(reply: Reply, state: DoorState) -> bytes:
    """A reply outside of any request, with a request id of its own, as it is sent."""
    headers = [*state.default_headers, *_closing_headers(reply, state.request_ids)]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"%s%s\r\n%s" % (STATUS_LINE[reply.status], lines, reply.body)


def _closing_headers(reply: Reply, request_ids: Identities) -> RawHeaders:
    """The headers of a reply that belongs to no request of the app and ends its connection."""
    return [
        *reply.headers,
        (b"x-amzn-requestid", request_ids.request_id().encode()),
        (b"content-length", str(len(reply.body)).encode()),
        (b"connection", b"close"),
    ]


def answering(reply: Reply, request_ids: Identities) -> Any:
    """An app that has one answer."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = _closing_headers(reply, request_ids)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    return answer
