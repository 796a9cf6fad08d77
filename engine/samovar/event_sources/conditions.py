"""What may stand in a pattern's array: values, and objects of one operator.

The developer guide («Control which events Lambda sends to your function») lists null, empty,
equals, equals-ignore-case, anything-but, numeric, exists, prefix, suffix and $or, and names
EventBridge's patterns as its syntax. Where it goes no further, EventBridge's pages and the rules of
its open matcher hold:

- prefix and suffix also take `{"equals-ignore-case": "…"}` (EventBridge has it for pipes too);
- anything-but takes strings or numbers but not both, or `{"prefix" | "suffix" |
  "equals-ignore-case": …}`, which EventBridge has for buses and the guide doesn't mention;
- a range's lower bound stands first and is smaller than the upper;
- wildcard and cidr, which Lambda doesn't list, are unknown operators.

EventBridge's bound for numbers (±5·10⁹) isn't applied: Lambda doesn't name it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal

from samovar.errors import AWS, ClientError
from samovar.event_sources.json_values import Number, decimal, written

Condition = Callable[[object], bool]  # takes a scalar of parsed JSON

INVALID_PATTERN = "Invalid filter pattern definition."  # recorded text, whatever is wrong


class InvalidPattern(ClientError):
    """A pattern that AWS refuses: 400 with its one text; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(AWS.INVALID_PARAMETER, INVALID_PATTERN)
        self.reason = reason


def values(accepted: list[object]) -> Condition:
    """That a scalar is one of these, which are scalars themselves."""
    texts = frozenset(written(value) for value in accepted)
    return lambda value: written(value) in texts


def operation(asked: dict[str, object]) -> Condition:
    """What an object in an array asks for. Raises InvalidPattern.

    `{"exists": false}` isn't made here: it is about there being no scalar to look at.
    """
    name, operand = _only_item(asked)
    make = _OPERATORS.get(name)
    if make is None:
        raise InvalidPattern(f"{name} is no operator: there are {', '.join(sorted(_OPERATORS))}")
    return make(operand)


def _only_item(asked: dict[str, object]) -> tuple[str, object]:
    if len(asked) != 1:
        raise InvalidPattern(f"an object in an array has one operator, not {len(asked)}")
    return next(iter(asked.items()))


def _exists(operand: object) -> Condition:
    if operand is not True:
        raise InvalidPattern("exists takes true or false")
    return lambda value: True


def _equals_ignore_case(operand: object) -> Condition:
    folded = _string("equals-ignore-case", operand).casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def _prefix(operand: object) -> Condition:
    return _end("prefix", operand, str.startswith)


def _suffix(operand: object) -> Condition:
    return _end("suffix", operand, str.endswith)


def _end(name: str, operand: object, has: Callable[[str, str], bool]) -> Condition:
    if isinstance(operand, dict):
        inner, text = _only_item(operand)
        if inner != "equals-ignore-case":
            raise InvalidPattern(f"{name} takes a string or equals-ignore-case, not {inner}")
        folded = _string(name, text).casefold()
        return lambda value: isinstance(value, str) and has(value.casefold(), folded)
    end = _string(name, operand)
    return lambda value: isinstance(value, str) and has(value, end)


def _anything_but(operand: object) -> Condition:
    if isinstance(operand, dict):
        return _anything_but_those(*_only_item(operand))
    refused = _listed(operand)
    if not (_all_of(refused, str) or _all_of(refused, Number)):
        raise InvalidPattern("anything-but takes strings or numbers, at least one, and not both")
    is_refused = values(refused)
    return lambda value: not is_refused(value)


def _anything_but_those(name: str, operand: object) -> Condition:
    make = _NEGATED.get(name)
    if make is None:
        raise InvalidPattern(f"anything-but takes {', '.join(sorted(_NEGATED))}, not {name}")
    refused = _listed(operand)
    # An empty prefix or suffix would refuse every string there is; EventBridge refuses it.
    if not _all_of(refused, str) or (name != "equals-ignore-case" and "" in refused):
        raise InvalidPattern(f"anything-but with {name} takes strings, at least one")
    conditions = [make(text) for text in refused]
    return lambda value: not any(holds(value) for holds in conditions)


def _numeric(operand: object) -> Condition:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidPattern("numeric takes an operator and a number, or two of each")
    bounds = [_bound(*operand[at : at + 2]) for at in range(0, len(operand), 2)]
    if len(bounds) == 2:
        (lower, low), (upper, high) = bounds
        if lower not in (">", ">=") or upper not in ("<", "<="):
            raise InvalidPattern(f"a range goes from > or >= to < or <=, not from {lower}")
        if low >= high:
            raise InvalidPattern("a range's lower bound is smaller than its upper")
    comparisons = [(_COMPARISONS[sign], bound) for sign, bound in bounds]

    def holds(value: object) -> bool:
        number = decimal(value)
        return number is not None and all(compare(number, bound) for compare, bound in comparisons)

    return holds


def _bound(sign: object, value: object) -> tuple[str, Decimal]:
    if not isinstance(sign, str) or sign not in _COMPARISONS:
        raise InvalidPattern(f"numeric compares with {' '.join(_COMPARISONS)}")
    number = decimal(value)
    if number is None:
        raise InvalidPattern(f"numeric takes a number after {sign}")
    return sign, number


def _string(name: str, operand: object) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern(f"{name} takes a string")
    return operand


def _listed(operand: object) -> list[object]:
    return operand if isinstance(operand, list) else [operand]


def _all_of(listed: list[object], kind: type) -> bool:
    return bool(listed) and all(isinstance(value, kind) for value in listed)


_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

_NEGATED: dict[str, Callable[[object], Condition]] = {
    "equals-ignore-case": _equals_ignore_case,
    "prefix": _prefix,
    "suffix": _suffix,
}

_OPERATORS: dict[str, Callable[[object], Condition]] = {
    **_NEGATED,
    "anything-but": _anything_but,
    "exists": _exists,
    "numeric": _numeric,
}
