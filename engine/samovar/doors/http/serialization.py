"""An operation's result as an HTTP reply, as the API model says where each member goes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from samovar.doors.http.replies import JSON, RawHeaders, Reply, to_json


def serialize(
    operation: OperationModel, result: Mapping[str, Any], *, status: int | None = None
) -> Reply:
    """The reply for `result`, a dict with the output shape's member names.

    Members that are None are left out. `status` replaces the model's own success status, which is
    wrong for some operations. Raises KeyError for a member that the model does not know: that is
    a mistake of ours.
    """
    shape = operation.output_shape
    headers: RawHeaders = []
    code = operation.http["responseCode"] if status is None else status
    if shape is None:
        if result:
            raise KeyError(f"{operation.name} has no output, got {sorted(result)}")
        return Reply(code)
    document: dict[str, Any] = {}
    payload = shape.serialization.get("payload")
    body = b""
    for name, value in result.items():
        member = shape.members[name]
        if value is None:
            continue
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        if location == "statusCode":
            code = value
            if operation.name == "InvokeAsync":  # AWS has it in the body, too (developer guide)
                document[wire] = value
        elif location == "header":
            headers.append((wire.lower().encode(), str(value).encode()))
        elif name == payload:
            blob = member.type_name == "blob"
            body = value if blob else to_json(_json(member, value))
        else:
            document[wire] = _json(member, value)
    if payload is None and code != 204:
        body = to_json(document)
    if body:
        headers.append((b"content-type", JSON))
    return Reply(code, headers, body)


def _json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {
            shape.members[name].serialization.get("name", name): _json(shape.members[name], item)
            for name, item in value.items()
            if item is not None
        }
    if isinstance(shape, ListShape):
        return [_json(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {key: _json(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    if shape.type_name == "timestamp":
        return value.timestamp() if isinstance(value, datetime) else value
    return value


def last_modified(seconds: float) -> str:
    """The spelling of FunctionConfiguration.LastModified: `2025-11-24T23:08:11.123+0000`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def whole_seconds(seconds: float) -> str:
    """The spelling of a provisioned concurrency's LastModified: `2025-11-24T23:08:11+0000`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}+0000"
