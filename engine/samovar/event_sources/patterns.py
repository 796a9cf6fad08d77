"""Filter patterns: one JSON object that an event has to look like.

Keys are ANDed, the values of an array ORed. Sources: the developer guide's page on event filtering;
what it leaves open, as EventBridge's open matcher does it:

- A leaf is a scalar of the event at a pattern's path. Arrays on the way are looked into: one
  element has to satisfy all that an object asks for. An object, an empty array and nothing are no
  leaf.
- `{"exists": false}` holds where the path has no leaf: in none of an array's elements, or in that
  one element that satisfies the object's other keys.
- `$or` stands beside the other keys of its object, and takes two objects or more: an array of one
  says nothing that its keys wouldn't. It is never a field's name.
- Objects without keys are refused, at the top too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from samovar.event_sources.conditions import Condition, InvalidPattern, operation, values
from samovar.event_sources.json_values import Content, load
from samovar.model import limits

_OR = "$or"
_DEPTH = 100  # of objects in objects, ours: more than 4096 characters of sense have
_NOTHING: list[object] = []  # like an empty array, what isn't there has no leaf


class Found(IntEnum):
    """What became of a part of a pattern; a later one says more than an earlier."""

    NO = 0
    ABSENT = 1  # asked that something isn't there, and it isn't
    PRESENT = 2


@dataclass(frozen=True, slots=True)
class Leaf:
    """An array of a pattern; `absent` says whether `{"exists": false}` is in it."""

    conditions: tuple[Condition, ...]
    absent: bool

    def find(self, value: object) -> Found:
        """Looks at what the event has here."""
        if isinstance(value, Content):
            if value.string is None:
                return _mismatch(value)
            value = value.string
        scalars = [part for part in _elements(value) if not isinstance(part, Mapping)]
        if any(holds(scalar) for scalar in scalars for holds in self.conditions):
            return Found.PRESENT
        return Found.ABSENT if self.absent and not scalars else Found.NO


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a pattern; `either` are the objects of its `$or`."""

    keys: tuple[tuple[str, Leaf | Fields], ...]
    either: tuple[Fields, ...]

    def find(self, value: object) -> Found:
        """Looks at what the event has here."""
        if isinstance(value, Content):
            if value.document is None:
                return _mismatch(value)
            value = value.document
        each = [self.find_in(element) for element in _elements(value)]
        if not each:
            return self.find_in(_NOTHING)
        if Found.PRESENT in each:
            return Found.PRESENT
        return min(each)

    def find_in(self, element: object) -> Found:
        """Looks at one element, which is no array; what isn't an object has no fields."""
        event = element if isinstance(element, Mapping) else {}
        found = Found.ABSENT
        for key, node in self.keys:
            here = node.find(event.get(key, _NOTHING))
            if here is Found.NO:
                return here
            found = max(found, here)
        if self.either:
            here = max(fields.find_in(event) for fields in self.either)
            return here if here is Found.NO else max(found, here)
        return found

    def asks_for_string(self, key: str) -> bool:
        """Whether an array stands at `key` of the event, here or in `$or`."""
        return any(name == key and isinstance(node, Leaf) for name, node in self.keys) or any(
            fields.asks_for_string(key) for fields in self.either
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """One filter pattern. Two are equal if their texts are."""

    text: str
    _fields: Fields = field(repr=False, compare=False)

    @classmethod
    def compile(cls, text: str) -> Pattern:
        """Raises InvalidPattern for a text that isn't a pattern, or has over 4096 characters."""
        if len(text) > limits.FILTER_PATTERN_LENGTH:
            raise InvalidPattern(f"a pattern has {limits.FILTER_PATTERN_LENGTH} characters at most")
        try:
            asked = load(text)
        except ValueError as error:
            raise InvalidPattern(f"it isn't JSON: {error}") from None
        return cls(text, _fields(asked, depth=1))

    def matches(self, event: object) -> bool:
        """Whether a parsed event looks like this. Use `load` for parsing, or numbers are compared
        as Python writes them. Raises nothing for anything that JSON can say.
        """
        return self._fields.find(event) is not Found.NO

    def asks_for_string(self, key: str) -> bool:
        """Whether it has an array, not an object, for a field of the event itself."""
        return self._fields.asks_for_string(key)


def _mismatch(content: Content) -> Found:
    return Found.PRESENT if content.ignored else Found.NO


def _elements(value: object) -> Iterator[object]:
    """`value`, or if it is an array, what is in it and in arrays in it; in order.

    Not recursive: an event may be nested more deeply than Python calls.
    """
    if not isinstance(value, list):
        yield value
        return
    stack = [iter(value)]
    while stack:
        for element in stack[-1]:
            if isinstance(element, list):
                stack.append(iter(element))
                break
            yield element
        else:
            stack.pop()


def _fields(asked: object, depth: int) -> Fields:
    if not isinstance(asked, dict) or not asked:
        raise InvalidPattern("a pattern is an object with keys")
    if depth > _DEPTH:
        raise InvalidPattern(f"a pattern has objects in objects {_DEPTH} deep at most")
    keys = tuple((key, _node(key, part, depth)) for key, part in asked.items() if key != _OR)
    return Fields(keys, _either(asked[_OR], depth) if _OR in asked else ())


def _node(key: str, part: object, depth: int) -> Leaf | Fields:
    if isinstance(part, dict):
        return _fields(part, depth + 1)
    if not isinstance(part, list) or not part:
        raise InvalidPattern(f"{key} takes an object or an array with something in it")
    return _leaf(part)


def _either(part: object, depth: int) -> tuple[Fields, ...]:
    if not isinstance(part, list) or len(part) < 2:
        raise InvalidPattern(f"{_OR} takes an array of two objects or more")
    return tuple(_fields(asked, depth + 1) for asked in part)


def _leaf(part: list[object]) -> Leaf:
    if any(isinstance(value, list) for value in part):
        raise InvalidPattern("an array has no arrays in it")
    operations = [value for value in part if isinstance(value, dict)]
    scalars = [value for value in part if not isinstance(value, dict)]
    conditions = [operation(asked) for asked in operations if not _asks_for_nothing(asked)]
    if scalars:
        conditions.append(values(scalars))
    return Leaf(tuple(conditions), any(_asks_for_nothing(asked) for asked in operations))


def _asks_for_nothing(asked: dict[str, object]) -> bool:
    return len(asked) == 1 and asked.get("exists") is False
