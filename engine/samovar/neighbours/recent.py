"""A map that keeps what was asked for last."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most `most` values; what was asked for the longest ago goes first, unless it is `in_use`:
    then it goes later. What was put last stays, however many are."""

    def __init__(self, most: int, in_use: Callable[[Value], bool] = lambda _: False) -> None:
        self._most = most
        self._in_use = in_use
        self._values: dict[Key, Value] = {}  # what was asked for last is last

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Value]:
        return iter(tuple(self._values.values()))

    def get(self, key: Key) -> Value | None:
        """What was put there, if it still is."""
        value = self._values.pop(key, None)
        if value is not None:
            self._values[key] = value
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep it."""
        self._values.pop(key, None)
        self._values[key] = value
        surplus = len(self._values) - self._most
        if surplus > 0:
            idle = [
                one for one, kept in self._values.items() if one != key and not self._in_use(kept)
            ]
            for one in idle[:surplus]:
                del self._values[one]

    def forget(self, key: Key) -> None:
        """Keep it no more; nothing happens where it is not there."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Keep nothing."""
        self._values.clear()
