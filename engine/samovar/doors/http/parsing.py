"""A request's parameters, as the API model says where each stands and of what type it is.

What comes out has the model's member names and Python values: str, int, float, bool, bytes (from
base64), datetime, list, dict. Members that the request left out or set to null are absent.

What the model does not know is refused by name. AWS ignores it, but it may be a parameter of an SDK
that is newer than this model, or a slip of the pen: neither is to be accepted and ignored.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Never

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from samovar.doors.http.faults import SERIALIZATION, given_twice, not_carried_out
from samovar.doors.http.long_text import LONG, LongText, parse_long
from samovar.doors.http.routes import Query
from samovar.doors.http.unknown import unknown_parameters
from samovar.errors import AWS, ClientError
from samovar.model import limits

# Stricter than int() and float(), which take blanks, «_» and every script's digits.
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?")

Headers = Iterable[tuple[bytes, bytes]]


def parse_request(
    operation: OperationModel,
    *,
    labels: Mapping[str, str],
    query: Query,
    headers: Headers,
    body: bytes | bytearray,
) -> dict[str, Any]:
    """The parameters of one request. Raises ClientError: SerializationException for what can't be
    read, InvalidParameterValueException for a parameter that the model does not know,
    RequestEntityTooLargeException for more than 6 MB around the code in it.

    `headers` are (lower-case name, value) pairs; no Content-Type is asked for.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    request = _Request(labels, query, headers, body, shape.serialization.get("payload"))
    found = {name: request.value(name, member) for name, member in shape.members.items()}
    for path in unknown_parameters(shape, query, request.document):
        raise not_carried_out(path, operation.name)
    return {name: value for name, value in found.items() if value is not None}


class _Request:
    """The parts of one request, by the place where the model puts a member."""

    def __init__(
        self,
        labels: Mapping[str, str],
        query: Query,
        headers: Headers,
        body: bytes | bytearray,
        payload: str | None,
    ) -> None:
        self._labels = labels
        self._query = query
        self._headers = headers
        self._body = body
        self._payload = payload
        self._document: dict[str, Any] | None = None

    def value(self, name: str, member: Shape) -> Any:
        """The member's value; None if the request has none."""
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        if location == "uri":
            return _from_text(member, self._labels[wire], name)
        if location == "querystring":
            return _from_query(member, self._query, wire, name)
        if location == "header":
            text = self._header(wire)
            return None if text is None else _from_text(member, text, name)
        if self._payload is not None:
            return _payload(member, self._body, name) if name == self._payload else None
        value = self.document().get(wire)
        return None if value is None else _convert(member, value, name)

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; parsed once."""
        if self._document is None:
            self._document = _document(self._body)
        return self._document

    def _header(self, wire: str) -> str | None:
        wanted = wire.lower().encode()
        values = [value for name, value in self._headers if name == wanted]
        # Given twice it is a list, as HTTP has it: no value of it is ignored.
        return b", ".join(values).decode("latin-1") if values else None


def _payload(shape: Shape, body: bytes | bytearray, name: str) -> Any:
    if shape.type_name == "blob":
        return bytes(body) or None
    return _convert(shape, _document(body), name) if body else None


def _document(body: bytes | bytearray) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object."""
    try:
        if len(body) > LONG:
            document = parse_long(body, _loads, limits.SYNC_PAYLOAD_SIZE)
        else:
            document = _loads(body)
    except OverflowError as error:
        raise ClientError(
            AWS.REQUEST_TOO_LARGE,
            f"Request must be smaller than {limits.SYNC_PAYLOAD_SIZE} bytes, not counting the code "
            "in it",
        ) from error
    except RecursionError as error:
        raise _refuse("the JSON is nested too deeply") from error
    except ValueError as error:  # not JSON, not UTF-8, or a number of thousands of digits
        raise _refuse(str(error)) from error
    if not isinstance(document, dict):
        raise _refuse(f"expected an object, found {_KINDS.get(type(document), 'null')}")
    return document


def _loads(body: bytes | bytearray) -> Any:
    if not body or body.isspace():
        return {}
    return json.loads(body, parse_constant=_no_constant)


def _no_constant(text: str) -> Never:
    raise ValueError(f"{text} is not a JSON value")


def _refuse(reason: str) -> ClientError:
    return ClientError(SERIALIZATION, f"Could not parse request body into json: {reason}")


_KINDS: Mapping[type, str] = {
    str: "STRING_VALUE",
    LongText: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "DECIMAL_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}

_WANTED: Mapping[str, str] = {
    "string": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "blob": "a Blob",
    "timestamp": "a Timestamp",
    "list": "a List",
    "map": "a Map",
    "structure": "a Structure",
}


def _mismatch(shape: Shape, value: Any, path: str) -> ClientError:
    kind = _KINDS.get(type(value), "null")
    return ClientError(
        SERIALIZATION,
        f"{kind} can not be converted to {_WANTED[shape.type_name]} (at {path})",
    )


def _convert(shape: Shape, value: Any, path: str) -> Any:
    """A JSON value as the shape's Python value. `path` names the member in errors."""
    return _CONVERTERS[shape.type_name](shape, value, path)


def _string(shape: Shape, value: Any, path: str) -> str:
    if isinstance(value, LongText):
        try:
            value = value.text()
        except ValueError as error:
            raise _refuse(str(error)) from error
    if not isinstance(value, str):
        raise _mismatch(shape, value, path)
    if not value.isascii():
        try:  # JSON can spell half a surrogate pair; nothing could be stored or sent with it
            value.encode()
        except UnicodeEncodeError as error:
            raise ClientError(SERIALIZATION, f"{path} is not valid Unicode: {error}") from error
    return value


def _integer(shape: Shape, value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _mismatch(shape, value, path)
    return value


def _number(shape: Shape, value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(shape, value, path)
    return float(value)


def _boolean(shape: Shape, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(shape, value, path)
    return value


def _blob(shape: Shape, value: Any, path: str) -> bytes:
    if not isinstance(value, str | LongText):
        raise _mismatch(shape, value, path)
    try:
        if isinstance(value, LongText):
            return value.decoded()
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(SERIALIZATION, f"{path} is not base64: {error}") from error


def _timestamp(shape: Shape, value: Any, path: str) -> datetime:
    """Seconds since the epoch, or ISO 8601."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ClientError(SERIALIZATION, f"{path} is not a timestamp: {error}") from error
    raise _mismatch(shape, value, path)


def _list(shape: ListShape, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _mismatch(shape, value, path)
    return [
        None if item is None else _convert(shape.member, item, f"{path}.{at}")
        for at, item in enumerate(value, 1)
    ]


def _map(shape: MapShape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _mismatch(shape, value, path)
    return {
        _string(shape.key, key, path): (
            None if item is None else _convert(shape.value, item, f"{path}.{key}")
        )
        for key, item in value.items()
    }


def _structure(shape: StructureShape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _mismatch(shape, value, path)
    found = {}
    for name, member in shape.members.items():
        item = value.get(member.serialization.get("name", name))
        if item is not None:
            found[name] = _convert(member, item, f"{path}.{name}")
    return found


_CONVERTERS: Mapping[str, Callable[[Any, Any, str], Any]] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "blob": _blob,
    "timestamp": _timestamp,
    "list": _list,
    "map": _map,
    "structure": _structure,
}


def _from_query(shape: Shape, query: Query, wire: str, path: str) -> Any:
    """A query parameter: a list from its repeated key."""
    values = [value for key, value in query if key == wire]
    if not values:
        return None
    if isinstance(shape, ListShape):
        return [_from_text(shape.member, value, path) for value in values]
    if len(values) > 1:
        raise given_twice(wire)
    return _from_text(shape, values[0], path)


def _from_text(shape: Shape, text: str, path: str) -> Any:
    """A value that stands in a path, a query or a header."""
    kind = shape.type_name
    if kind in ("integer", "long", "float", "double"):
        whole = kind in ("integer", "long")
        if not (_INTEGER if whole else _NUMBER).fullmatch(text):
            raise _mismatch(shape, text, path)
        return int(text) if whole else float(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise _mismatch(shape, text, path)
        return text == "true"
    if kind == "timestamp":
        try:
            return _timestamp(shape, float(text), path)
        except ValueError:
            return _timestamp(shape, text, path)
    return _convert(shape, text, path)
