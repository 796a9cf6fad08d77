"""The model's constraints (length, value, pattern, enum, required) with AWS's words.

AWS reports every violation of a request in one ValidationException:
`2 validation errors detected: Value 'V' at 'field' failed to satisfy constraint: Member must …; …`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.arn import broken_rules, is_plain_name

# Where the model allows more than ordinary functions may have (managed instances), by shape.
# Source: the quotas page, see `samovar.model.limits`.
QUOTAS: Mapping[str, tuple[int, int]] = {
    "Timeout": limits.TIMEOUT,
    "MemorySize": limits.MEMORY_MB,
    "EphemeralStorageSize": limits.EPHEMERAL_STORAGE_MB,
}

# Checked elsewhere (`samovar.registry.runtimes`), because AWS answers it with another code.
_RUNTIME = "Runtime"

# References to functions: `samovar.model.arn` knows the forms that AWS takes and finds nothing
# under where the model's pattern would refuse them.
_REFERENCES = frozenset({"FunctionName", "NamespacedFunctionName"})

_SHOWN = 1000  # characters of a value that an error quotes; a reply should not echo megabytes


def check_constraints(operation: OperationModel, params: Mapping[str, Any]) -> None:
    """Raise ClientError (ValidationException) with every constraint that `params` break."""
    shape = operation.input_shape
    if shape is None:
        return
    found = list(_structure(shape, params, ""))
    if found:
        raise ClientError(AWS.VALIDATION, validation_text(found))


def validation_text(found: list[str]) -> str:
    """AWS's sentence around violations that are already spelled out."""
    plural = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {plural} detected: {'; '.join(found)}"


def camel(name: str) -> str:
    """A member's name as errors spell it: `S3Bucket` → `s3Bucket`."""
    return name[:1].lower() + name[1:]


def violation(value: Any, path: str, rule: str, *, sensitive: bool = False) -> str:
    """One violation in AWS's words; the value of a sensitive shape is left out, as AWS does."""
    shown = "" if sensitive else f" {_render(value, top=True)}"
    return f"Value{shown} at '{path}' failed to satisfy constraint: {rule}"


def _render(value: Any, *, top: bool = False) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, list):
        text = f"[{', '.join(map(_render, value))}]"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}={_render(item)}" for key, item in value.items()) + "}"
    else:
        text = str(value)
    if not top:
        return text
    return f"'{text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}'"


def _structure(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        at = f"{path}.{camel(name)}" if path else camel(name)
        item = value.get(name)
        if item is not None:
            yield from _member(member, item, at)
        elif name in shape.required_members:
            yield violation(None, at, "Member must not be null")


def _member(shape: Shape, value: Any, path: str) -> Iterator[str]:
    sensitive = bool(shape.metadata.get("sensitive"))
    if shape.name == _RUNTIME:
        return
    rules = _reference_rules if shape.name in _REFERENCES else _rules
    for rule in rules(shape, value):
        yield violation(value, path, rule, sensitive=sensitive)
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _elements(shape, value, path, sensitive)
    elif isinstance(shape, MapShape):
        yield from _entries(shape, value, path, sensitive)


def _elements(shape: ListShape, value: list[Any], path: str, sensitive: bool) -> Iterator[str]:
    if isinstance(shape.member, StructureShape):
        for at, item in enumerate(value, 1):
            if item is not None:
                yield from _structure(shape.member, item, f"{path}.{at}.member")
        return
    if any(item is None or any(_rules(shape.member, item)) for item in value):
        rule = f"Member must satisfy constraint: [{_all_rules(shape.member)}]"
        yield violation(value, path, rule, sensitive=sensitive)


def _entries(shape: MapShape, value: dict[str, Any], path: str, sensitive: bool) -> Iterator[str]:
    if any(any(_rules(shape.key, key)) for key in value):
        rule = f"Map keys must satisfy constraint: [{_all_rules(shape.key)}]"
        yield violation(value, path, rule, sensitive=sensitive)
    if any(item is None or any(_rules(shape.value, item)) for item in value.values()):
        rule = f"Map value must satisfy constraint: [{_all_rules(shape.value)}]"
        yield violation(value, path, rule, sensitive=sensitive)


def _bounds(shape: Shape) -> tuple[Any, Any]:
    return QUOTAS.get(shape.name, (shape.metadata.get("min"), shape.metadata.get("max")))


def _rules(shape: Shape, value: Any) -> Iterator[str]:
    """The rules of `shape` itself that `value` breaks."""
    low, high = _bounds(shape)
    if low is not None or high is not None:
        number = isinstance(value, int | float)
        size = value if number else len(value)
        noun = "value" if number else "length"
        if high is not None and size > high:
            yield f"Member must have {noun} less than or equal to {high}"
        if low is not None and size < low:
            yield f"Member must have {noun} greater than or equal to {low}"
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not compiled(pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {pattern}"


def _reference_rules(shape: Shape, value: str) -> Iterator[str]:
    # How long a name alone may be is no constraint of the model, and has another code when it is
    # the name of a new function.
    if not is_plain_name(value):
        yield from broken_rules(value, shape.metadata["max"], shape.metadata["pattern"])


def _all_rules(shape: Shape) -> str:
    """Every rule of an element's shape: AWS lists them all, not only the broken one."""
    low, high = _bounds(shape)
    noun = "value" if shape.type_name in ("integer", "long", "float", "double") else "length"
    rules = []
    if high is not None:
        rules.append(f"Member must have {noun} less than or equal to {high}")
    if low is not None:
        rules.append(f"Member must have {noun} greater than or equal to {low}")
    if shape.metadata.get("enum"):
        rules.append(f"Member must satisfy enum value set: [{', '.join(shape.metadata['enum'])}]")
    if shape.metadata.get("pattern"):
        pattern = shape.metadata["pattern"]
        rules.append(f"Member must satisfy regular expression pattern: {pattern}")
    rules.append("Member must not be null")
    return ", ".join(rules)


# Java's Unicode categories, which Python's re does not know, as they may stand within a set:
# letters, numbers (\w is both, and «_»), separators.
_CATEGORIES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the model as Java would read it (ASCII classes, Unicode categories)."""
    flags: re.RegexFlag = re.ASCII
    for category, members in _CATEGORIES.items():
        if category in pattern:
            pattern = pattern.replace(category, members)
            flags = re.UNICODE
    return re.compile(pattern, flags)
