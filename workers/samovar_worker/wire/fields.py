"""Whether what came off the wire has the types that a message's fields are annotated with."""

from __future__ import annotations

from collections.abc import Callable

Check = Callable[[object], bool]


def _exactly(*kinds: type) -> Check:
    return lambda value: type(value) in kinds


def _all_str(values: object) -> bool:
    return all(type(value) is str for value in values)  # type: ignore[attr-defined]


def _of_str(kind: type) -> Check:
    return lambda value: type(value) is kind and _all_str(value)


def _is_map(value: object) -> bool:
    return type(value) is dict and _all_str(value) and _all_str(value.values())


def _is_table(value: object) -> bool:
    return type(value) is list and all(type(row) is list and _all_str(row) for row in value)


# `type(…) is`, not isinstance: True is no number here.
_CHECKS: dict[str, Check] = {
    "int": _exactly(int),
    "int | None": _exactly(int, type(None)),
    "bool": _exactly(bool),
    "str": _exactly(str),
    "str | None": _exactly(str, type(None)),
    "list[str]": _of_str(list),
    "tuple[str, ...]": _of_str(tuple),
    "dict[str, str]": _is_map,
    "list[list[str]]": _is_table,
}


def complaint(error: Exception) -> str:
    """What an unpacker says, for a message: not by `repr`, which quotes all of the input."""
    return f"{type(error).__name__}: {error}"[:200]


def checks(kind: type) -> tuple[Check, ...]:
    """One check for each field of a named tuple; raises KeyError for an annotation not in here."""
    return tuple(
        _CHECKS[str(getattr(note, "__forward_arg__", note))]
        for note in kind.__annotations__.values()
    )
