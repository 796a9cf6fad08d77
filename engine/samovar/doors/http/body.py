"""Taking in a request's body: whole, and never more of it than the operation may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# Past the limit a body is still read (and dropped) so that the client hears the answer instead of a
# broken pipe, and so that the answer can name the size. Nobody sends this much by mistake.
DRAIN_LIMIT = 4 * 70167211


class ClientGoneError(Exception):
    """The client hung up before its request was complete: nobody is there to answer."""


class BodyTooLargeError(Exception):
    """`size` bytes came, more than allowed. `drained` is false if even more was on its way."""

    def __init__(self, size: int, drained: bool) -> None:
        super().__init__(size)
        self.size = size
        self.drained = drained


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLargeError and ClientGoneError."""
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit:
        return body
    chunks = [body]
    size = len(body)
    while message.get("more_body", False):
        if size > DRAIN_LIMIT:
            raise BodyTooLargeError(size, drained=False)
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        body = message.get("body", b"")
        size += len(body)
        if size <= limit:
            chunks.append(body)
        else:
            chunks.clear()
    if size > limit:
        raise BodyTooLargeError(size, drained=True)
    return b"".join(chunks)
