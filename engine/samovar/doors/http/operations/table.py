"""What an operation is here: a function, and exactly the parameters that it carries out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from samovar.doors.http.code_links import CodeLinks
from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.faults import not_carried_out
from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.arn import FunctionReference
from samovar.model.function import LATEST


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation. `params` are parsed and checked; `base_url` is how the client
    reached this door (`http://host:port`); `request_id` is the one of the reply's header."""

    engine: ServedEngine
    params: Mapping[str, Any] = field(repr=False)  # environments are among them
    links: CodeLinks
    base_url: str
    request_id: str

    def reference(self, max_length: int = limits.QUALIFIED_REFERENCE_LENGTH) -> FunctionReference:
        """The function that FunctionName and Qualifier mean; raises ClientError."""
        settings = self.engine.settings
        return FunctionReference.parse(
            self.params["FunctionName"],
            self.params.get("Qualifier"),
            region=settings.region,
            account=settings.account_id,
            max_length=max_length,
        )

    def whole_function(self, max_length: int = limits.UNQUALIFIED_REFERENCE_LENGTH) -> str:
        """The name of the function that is meant as a whole; raises ClientError for one of its
        versions or aliases (that AWS refuses this is known, its words are not confirmed)."""
        reference = self.reference(max_length)
        self.engine.registry.get(reference.name, reference.qualifier)
        if reference.qualifier not in (None, LATEST):
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "This operation is permitted on Lambda functions only. Aliases and versions do not "
                "support this operation. Please specify either a function name or an unqualified "
                "function ARN.",
            )
        return reference.name


Run = Callable[[Call], Awaitable[dict[str, Any]]]
IsDefault = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is carried out.

    `carried` are the input members that have an effect; a member of a structure is written
    `Code.ZipFile`, so that one which a newer model adds is not taken along unseen. `defaults` are
    members that may be given only with values which ask for what happens anyway. Whatever else of
    the API model a request brings is refused by name.
    """

    run: Run
    carried: frozenset[str]
    name: str
    defaults: Mapping[str, IsDefault] = field(default_factory=dict)

    def demand_carried_out(self, params: Mapping[str, Any]) -> None:
        """Raise ClientError for the first parameter that is not carried out."""
        for path, value in self._flat(params, ""):
            if path in self.carried:
                continue
            is_default = self.defaults.get(path)
            if is_default is None:
                raise not_carried_out(path, self.name)
            if not is_default(value):
                raise not_carried_out(path, self.name, "leave it out, or at its default.")

    def _flat(self, params: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in params.items():
            path = prefix + name
            if isinstance(value, dict) and self._has_members(path):
                yield from self._flat(value, f"{path}.")
            else:
                yield path, value

    def _has_members(self, path: str) -> bool:
        below = f"{path}."
        return any(known.startswith(below) for known in (*self.carried, *self.defaults))
