"""What of the Lambda API is carried out, and `docs/api-coverage.md`, which tells it.

Made from the operations themselves and from the tables of `tests.api.parameters`, which the tests
hold against them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.model import StructureShape
from tests.api import parameters

from samovar.doors.http.api_model import operation_models
from samovar.doors.http.operations import OPERATIONS
from samovar.doors.http.operations.rendering import ARCHITECTURE

# Invoke and its like have paths of their own and are no entries of OPERATIONS.
CARRIED_OUT = frozenset({*OPERATIONS} | {*parameters.CARRIED})

_INTRODUCTION = """\
# API coverage

Of the operations of the [Lambda API](https://docs.aws.amazon.com/lambda/latest/api/), and of their
parameters. What is not carried out is refused by name, with nothing done: an operation with the
status 501 and `NotImplementedException`, a parameter with `InvalidParameterValueException`. This
page is made by `python -m tests.pages` from the same tables that the tests go through.

## Carried out

«Only at its default» are parameters that may be given with a value that asks for what happens
anyway, and are refused with any other.
"""


def members(operation: str) -> set[str]:
    """What the API model lets a request say, structures of `TAKEN_APART` member by member."""
    shape = operation_models()[operation].input_shape
    return set(_members(shape, "")) if shape else set()


def _members(shape: StructureShape, prefix: str) -> Iterator[str]:
    for name, member in shape.members.items():
        path = prefix + name
        if path in parameters.TAKEN_APART:
            assert isinstance(member, StructureShape)
            yield from _members(member, f"{path}.")
        else:
            yield path


def carried(operation: str) -> frozenset[str]:
    """The parameters of an operation that have an effect."""
    found = OPERATIONS.get(operation)
    return found.carried if found else frozenset(parameters.CARRIED[operation])


def page(known: set[str]) -> str:
    """`docs/api-coverage.md`, for the operations `known`."""
    lines = [
        _INTRODUCTION,
        "| operation | parameters | only at its default | refused |",
        "| --- | --- | --- | --- |",
        *(_row(name) for name in sorted(CARRIED_OUT)),
        "",
        "## Refused",
        "",
    ]
    lines += [f"- `{name}`" for name in sorted(known - CARRIED_OUT)]
    return "\n".join(lines) + "\n"


def named(text: str) -> set[str]:
    """The operations that a page names: a newer API model may have more, which it need not."""
    return {name for name in operation_models() if f"`{name}`" in text} | CARRIED_OUT


def _row(name: str) -> str:
    effective = carried(name)
    values = parameters.DEFAULTS.get(name, {})
    rest = members(name) - effective
    defaults = (f"`{path}` ({_shown(values[path])})" for path in sorted(rest & set(values)))
    columns = (
        [f"`{path}`" for path in sorted(effective)],
        list(defaults),
        [f"`{path}`" for path in sorted(rest - set(values))],
    )
    return f"| `{name}` | " + " | ".join(", ".join(column) or "none" for column in columns) + " |"


def _shown(values: list[Any]) -> str:
    """The default that says most: the longest one."""
    if [ARCHITECTURE] in values:
        return "the engine's own"  # the page is the same on every machine
    text = max((json.dumps(value) for value in values), key=len)
    return f"`{text}`"
