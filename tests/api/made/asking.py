"""A client that sends bytes as they are, and holds every reply to what all replies must be."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Self

import httptools
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from samovar.doors.http.api_model import service_model

_HANG = 30.0  # seconds; a reply that takes this long will not come
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Error codes that the API model does not have: AWS's own front end's, and Samovar's.
UNMODELLED = {
    "ValidationException",
    "SerializationException",
    "AccessDeniedException",
    "UnknownOperationException",
    "RequestEntityTooLargeException",
    "NotImplementedException",
    "BadRequestException",
}
NOT_CARRIED_OUT = 501
# Operations that are carried out in part: not every invocation type, and not every resource's tags.
_IN_PARTS = {
    *("Invoke", "InvokeAsync", "InvokeWithResponseStream"),
    *("TagResource", "UntagResource", "ListTags"),
}


@dataclass
class Reply:
    """One reply, put together by a parser that is not ours."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True

    @property
    def code(self) -> str:
        """The error's code; empty for a reply that is none."""
        return self.headers.get("x-amzn-errortype", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    """Sends one request after the other on a connection that it renews when it must."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    async def hang_up(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            try:
                await writer.wait_closed()
            except ConnectionError:
                pass

    async def ask(self, request: bytes) -> Reply:
        """The reply to `request`. Raises TimeoutError if there is none, EOFError if the connection
        ends before one."""
        async with asyncio.timeout(_HANG):
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(request)
            reply = Reply()
            parser = httptools.HttpResponseParser(reply)
            while not reply.complete:
                data = await reader.read(2**16)
                if not data:
                    raise EOFError("the server closed without a reply")
                parser.feed_data(data)
            reply.status = parser.get_status_code()
        if reply.headers.get("connection") == "close":
            await self.hang_up()
        return reply


def check(operation: OperationModel, reply: Reply, carried_out: bool) -> None:
    """Raise AssertionError for what no reply of `operation` may be."""
    assert _UUID.fullmatch(reply.headers["x-amzn-requestid"]), reply.headers
    if reply.status < 400:
        assert reply.status // 100 == 2
        assert carried_out
        assert reply.code == ""
        _check_output(operation, reply)
        return
    document = reply.json
    assert isinstance(document, dict)
    assert document.get("message") or document.get("Message"), document
    assert reply.headers["content-type"] == "application/json"
    if reply.status == NOT_CARRIED_OUT:
        assert reply.code == "NotImplementedException"
        assert not carried_out or operation.name in _IN_PARTS, document
        return
    assert reply.status < 500, document
    if reply.code not in UNMODELLED:
        shape = service_model().shape_for(reply.code)
        assert shape.metadata["error"]["httpStatusCode"] == reply.status, reply


def _check_output(operation: OperationModel, reply: Reply) -> None:
    shape = operation.output_shape
    if shape is None or shape.serialization.get("payload") or reply.status == 204:
        return
    document = reply.json
    located = {
        member.serialization.get("name", name): member
        for name, member in shape.members.items()
        if member.serialization.get("location", "statusCode") == "statusCode"
    }
    assert set(document) <= set(located), document
    for name, value in document.items():
        _check_value(located[name], value, name)


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "blob": str,
    "timestamp": (int, float, str),
}


def _check_value(shape: Shape, value: Any, path: str) -> None:
    """What the reply shows at `path` is what the model says stands there."""
    if isinstance(shape, StructureShape):
        known = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        assert isinstance(value, dict), path
        assert set(value) <= set(known), path
        for name, item in value.items():
            _check_value(known[name], item, f"{path}.{name}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list), path
        for item in value:
            _check_value(shape.member, item, f"{path}[]")
    elif isinstance(shape, MapShape):
        assert isinstance(value, dict), path
        for key, item in value.items():
            _check_value(shape.value, item, f"{path}.{key}")
    else:
        assert isinstance(value, _TYPES[shape.type_name]), f"{path}: {value!r}"
