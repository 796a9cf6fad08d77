"""Taking in a request's body: whole, and never more of it than the operation may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGoneError(Exception):
    """The client hung up before its request was complete: nobody is there to answer."""


class BodyTooLargeError(Exception):
    """`size` bytes came, more than allowed."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


async def read_body(receive: Receive, limit: int) -> bytes:
    """As `read_large`, where one more copy is nothing much."""
    return bytes(await read_large(receive, limit))


async def read_large(receive: Receive, limit: int) -> bytes | bytearray:
    """The whole body, at most `limit` bytes. Raises BodyTooLargeError and ClientGoneError.

    Past the limit it is read on and dropped, so that the client hears the answer instead of a
    broken pipe, and so that the answer can name the size; the connection's limits end that.
    """
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit:
        return body
    kept = bytearray(body)  # and no list: a slow client's pieces may be of one byte
    size = len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        body = message.get("body", b"")
        size += len(body)
        if size <= limit:
            kept += body
        else:
            kept = bytearray()
    if size > limit:
        raise BodyTooLargeError(size)
    return kept
