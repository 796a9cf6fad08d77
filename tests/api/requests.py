"""Requests made from the API model: the least that boto3 lets through."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from samovar.doors.http.api_model import operation_models


def least(operation: str) -> dict[str, Any]:
    """Parameters with every required member of `operation` and nothing else."""
    shape = operation_models()[operation].input_shape
    return {} if shape is None else _structure(shape)


def _structure(shape: StructureShape) -> dict[str, Any]:
    return {name: _value(shape.members[name]) for name in shape.required_members}


def _value(shape: Shape) -> Any:
    at_least = shape.metadata.get("min", 0)
    if isinstance(shape, StructureShape):
        return _structure(shape)
    if isinstance(shape, ListShape):
        return [_value(shape.member)] * max(1, at_least)
    if isinstance(shape, MapShape):
        return {_value(shape.key): _value(shape.value)}
    if shape.metadata.get("enum"):
        return shape.metadata["enum"][0]
    plain = {
        "string": "a" * max(1, at_least),
        "blob": b"a",
        "boolean": False,
        "float": float(at_least),
        "double": float(at_least),
        "timestamp": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return plain.get(shape.type_name, at_least)
