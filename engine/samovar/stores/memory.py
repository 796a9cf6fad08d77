"""A FunctionStore that keeps nothing: for tests, held to the real one by the contract tests."""

from __future__ import annotations

from samovar.stores.protocols import (
    RevisionConflict,
    StoreContents,
    StoredFunction,
    StoredTags,
)


class MemoryFunctionStore:
    """Lives as long as the object; what was written is there again after `close` and `open`."""

    def __init__(self) -> None:
        self._functions: dict[str, StoredFunction] = {}
        self._tags: dict[str, StoredTags] = {}

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def load(self) -> StoreContents:
        functions = sorted(self._functions.values(), key=lambda function: function.arn)
        tags = sorted(self._tags.values(), key=lambda tags: tags.resource)
        return StoreContents(tuple(functions), tuple(tags))

    async def put_function(
        self, function: StoredFunction, *, expected: str | None, tags: StoredTags | None = None
    ) -> None:
        self._demand(function.arn, expected)
        if tags is not None:
            self._demand_tags(tags.resource, None)
        self._functions[function.arn] = function
        if tags is not None:
            self._tags[tags.resource] = tags

    async def remove_function(self, arn: str, *, expected: str) -> None:
        self._demand(arn, expected)
        del self._functions[arn]
        self._tags.pop(arn, None)

    async def put_tags(self, tags: StoredTags, *, expected: str | None) -> None:
        if tags.resource not in self._functions:
            raise RevisionConflict(tags.resource, expected, None)
        self._demand_tags(tags.resource, expected)
        self._tags[tags.resource] = tags

    def _demand(self, arn: str, expected: str | None) -> None:
        function = self._functions.get(arn)
        found = function.revision if function else None
        if found != expected:
            raise RevisionConflict(arn, expected, found)

    def _demand_tags(self, resource: str, expected: str | None) -> None:
        tags = self._tags.get(resource)
        found = tags.revision if tags else None
        if found != expected:
            raise RevisionConflict(f"tags of {resource}", expected, found)
