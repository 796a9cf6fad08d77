"""JSON as patterns see it: numbers keep their text, and a record's data is read when asked for.

Equality goes by how a number is written (300 is not 300.0: developer guide, filter rules), which
`json` forgets. `load` keeps it; patterns read plain ints and floats too, as Python writes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written."""

    text: str


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


# `json.loads` makes a decoder at every call that has hooks.
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse)


def load(text: str) -> object:
    """What `text` says as JSON: dicts (the last of equal keys wins), lists, strings, booleans, None
    and `Number`s. Raises ValueError for what isn't JSON or is nested too deeply to be read.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply to be read") from None


def written(value: object) -> str:
    """A scalar's text for comparing: that of a string begins with a quote, of no other does."""
    if isinstance(value, str):
        return '"' + value
    if isinstance(value, Number):
        return value.text
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def decimal(value: object) -> Decimal | None:
    """A JSON number's exact value; None for anything else, strings of digits among it."""
    if not isinstance(value, (Number, int, float)):
        return None
    try:
        number = Decimal(written(value))
    except InvalidOperation:  # a boolean, or an exponent of twenty digits
        return None
    return number if number.is_finite() else None


class Content:
    """A record's data: a text that may be JSON, decoded and parsed when first asked for, and once.

    It is JSON if it is an object or an array: nothing else has inside what a pattern could ask
    for, so that `5` and `"x"` are strings here. AWS says only «valid JSON» and «plain string».

    `ignored` says what a pattern of the other kind does: it is passed over, or matches nothing.
    What `decode` answers with a ValueError is of neither kind.
    """

    def __init__(self, raw: str, decode: Callable[[str], str], *, ignored: bool) -> None:
        self._raw = raw
        self._decode = decode
        self.ignored = ignored

    @cached_property
    def _read(self) -> tuple[str | None, dict[str, Any] | list[Any] | None]:
        try:
            text = self._decode(self._raw)
        except ValueError:
            return None, None
        try:
            document = load(text)
        except ValueError:
            return text, None
        return (None, document) if isinstance(document, (dict, list)) else (text, None)

    @property
    def string(self) -> str | None:
        """The text, unless it is JSON."""
        return self._read[0]

    @property
    def document(self) -> dict[str, Any] | list[Any] | None:
        """What it says, if it is JSON."""
        return self._read[1]
