"""Requests that are none, or two: how each must end. One table, for doors with and without keys."""

from __future__ import annotations

from dataclasses import dataclass

from tests.api.house import invocation, request

HIDDEN = invocation("f", b'"hidden"')  # behind a request whose end may be disputed


@dataclass(frozen=True, slots=True)
class Shape:
    """`statuses` of all answers, what the last one says, and whether the connection then ends."""

    sent: bytes
    statuses: tuple[int, ...] = (400,)
    said: str = "Not HTTP/1.1: "
    ends: bool = True
    runs: int = 0  # invocations that are carried out


def post(*lines: bytes, body: bytes = b"{}") -> bytes:
    head = b"".join(line + b"\r\n" for line in (b"Host: h", *lines))
    return b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\n" + head + b"\r\n" + body


def chunked(*lines: bytes) -> bytes:
    """Chunks that end where they begin; what follows is another request, or not."""
    return post(*lines, body=b"0\r\n\r\n" + HIDDEN)


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def get(*lines: bytes, target: bytes = b"/healthz", version: bytes = b"HTTP/1.1") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"GET %s %s\r\n%s\r\n" % (target, version, head)


TE = b"Transfer-Encoding: "
CL = b"Content-Length: "
NOT_DECODED = (501,)

SHAPES: dict[str, Shape] = {
    # Two lengths, or one that can be read in two ways.
    "length and chunked": Shape(chunked(CL + b"3", TE + b"chunked")),
    "chunked and length": Shape(chunked(TE + b"chunked", CL + b"3")),
    "two lengths": Shape(post(CL + b"2", CL + b"3")),
    "one length twice": Shape(post(CL + b"2", CL + b"2")),
    "list of lengths": Shape(post(CL + b"2, 2")),
    "length with a plus": Shape(post(CL + b"+2")),
    "negative length": Shape(post(CL + b"-2")),
    "hexadecimal length": Shape(post(CL + b"0x2")),
    "length with a blank": Shape(post(CL + b"1 2")),
    "length of nothing": Shape(post(CL)),
    "length without end": Shape(post(CL + b"9" * 30)),
    "blank before a colon": Shape(post(b"Content-Length : 2")),
    # Transfer codings.
    "two codings": Shape(chunked(TE + b"chunked", TE + b"identity")),
    "chunked twice": Shape(chunked(TE + b"chunked", TE + b"chunked")),
    "chunked before gzip": Shape(chunked(TE + b"chunked, gzip")),
    "gzip before chunked": Shape(
        chunked(TE + b"gzip, chunked"), NOT_DECODED, "gzip, chunked is not decoded; use chunked."
    ),
    "identity": Shape(chunked(TE + b"identity"), NOT_DECODED, "is not decoded; use chunked."),
    "xchunked": Shape(chunked(TE + b"xchunked"), NOT_DECODED, "is not decoded; use chunked."),
    "vertical tab": Shape(chunked(TE + b"\x0bchunked")),
    "coding in quotes": Shape(
        chunked(TE + b'"chunked"'), NOT_DECODED, "is not decoded; use chunked."
    ),
    "blank before its colon": Shape(chunked(b"Transfer-Encoding : chunked")),
    "folded coding": Shape(chunked(b"Transfer-Encoding:", b" chunked")),
    "chunked of HTTP/1.0": Shape(
        chunked(TE + b"chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1), (200,), "event", runs=1
    ),
    # Chunks.
    "chunk with bare line feeds": Shape(chunks(b"2\n{}\n0\n\n")),
    "blank behind a size": Shape(chunks(b"2 \r\n{}\r\n0\r\n\r\n")),
    "size with 0x": Shape(chunks(b"0x2\r\n{}\r\n0\r\n\r\n")),
    "negative size": Shape(chunks(b"-2\r\n{}\r\n0\r\n\r\n")),
    "size without end": Shape(chunks(b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n")),
    "more than its size": Shape(chunks(b"2\r\n{}{}\r\n0\r\n\r\n")),
    "line feed in an extension": Shape(chunks(b"2;a\n\r\n{}\r\n0\r\n\r\n")),
    # Lines and characters.
    "folded header": Shape(post(b"X: a", b" b: c", CL + b"0", body=b"")),
    "fold after the request line": Shape(get(b" Host: x")),
    "bare line feeds": Shape(b"GET /healthz HTTP/1.1\nHost: x\n\n"),
    "one bare line feed": Shape(get(b"A: b\nHost: x")),
    "bare carriage return": Shape(get(b"A: b\rHost: x")),
    "NUL in a value": Shape(get(b"A: b\x00c")),
    "NUL in a name": Shape(get(b"A\x00: b")),
    "control characters": Shape(get(b"A: b\x01\x7f")),
    "no name": Shape(get(b": b")),
    "high bytes in a path": Shape(get(target=b"/\xff\xfe")),
    "high bytes in a query": Shape(get(target=b"/healthz?\xff")),
    # Versions and other protocols.
    "HTTP/1.2": Shape(get(version=b"HTTP/1.2")),
    "HTTP/2.0": Shape(get(version=b"HTTP/2.0"), said="HTTP/2.0 is not spoken here; use HTTP/1.1."),
    "Invoke of HTTP/2.0": Shape(
        post(CL + b"2").replace(b"HTTP/1.1", b"HTTP/2.0"), said="HTTP/2.0 is not spoken here"
    ),
    "version in lower case": Shape(get(version=b"http/1.1")),
    "HTTP/2's preface": Shape(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, said="HTTP/2.0 is not spoken here"
    ),
    "TLS": Shape(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
        said="This port speaks plain HTTP: use http:// instead of https://.",
    ),
    "SSH": Shape(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "Redis": Shape(b"*1\r\n$4\r\nPING\r\n"),
    # Targets and methods.
    "absolute target": Shape(get(target=b"http://h/healthz"), (200,), "ok", ends=False),
    "absolute target without a path": Shape(get(target=b"http://h"), said="has no path."),
    "absolute target of an Invoke": Shape(
        HIDDEN.replace(b"POST ", b"POST http://h"), (200,), "hidden", ends=False, runs=1
    ),
    "fragment": Shape(get(target=b"/healthz#x"), said="The target of a request has no fragment."),
    "no slash": Shape(get(target=b"healthz")),
    "OPTIONS *": Shape(
        get(target=b"*").replace(b"GET", b"OPTIONS"), (404,), "OPTIONS * is not", ends=False
    ),
    "OPTIONS": Shape(
        request("OPTIONS", "/2015-03-31/functions"), (404,), "GET and POST are.", ends=False
    ),
    "TRACE": Shape(get(b"X-Own: o").replace(b"GET", b"TRACE"), (404,), "answers GET only", False),
    "CONNECT": Shape(b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", said="CONNECT is for proxies"),
    "unknown method": Shape(get().replace(b"GET", b"BREW")),
    # What may not be taken for the answer, or for a request.
    "Connection: close, and more": Shape(
        request("GET", "/healthz", Connection="close") + HIDDEN, (200,), "ok"
    ),
    "HTTP/1.0, and more": Shape(get(version=b"HTTP/1.0") + HIDDEN, (200,), "ok"),
    "HTTP/1.0 that would stay": Shape(
        get(b"Connection: keep-alive", version=b"HTTP/1.0"), (200,), "ok"
    ),
    "Expect of HTTP/1.0": Shape(
        invocation("f", b'"hidden"', Expect="100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"),
        (200,),
        "hidden",
        runs=1,
    ),
    "a body where none belongs": Shape(
        request("GET", "/healthz", HIDDEN) + request("GET", "/readyz"), (200, 200), "ready", False
    ),
}
