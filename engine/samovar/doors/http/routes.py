"""From method and raw path to an operation of the API model.

The path is split while it is still percent-encoded, because clients encode everything in a label:
an ARN arrives as `arn%3Aaws%3A…` and a slash within a label as `%2F`. Labels are decoded after
the split; «+» in a path is a plus sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from botocore.model import OperationModel

from samovar.doors.http.api_model import operation_models
from samovar.doors.http.faults import SERIALIZATION
from samovar.errors import AWS, ClientError

Query = list[tuple[str, str]]

_LABEL = re.compile(r"\{(?P<name>[A-Za-z0-9_]+)(?P<greedy>\+?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation at one place of the tree.

    `labels` are the names of the path's labels in order; `fixed_query` must be in the query for the
    route to be meant (`?List=ALL`); `greedy` routes take all that is left of the path as their
    last label.
    """

    operation: OperationModel
    method: str
    labels: tuple[str, ...]
    fixed_query: tuple[tuple[str, str], ...]
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """What a request asks for. `labels` are decoded; `query` keeps order and repeated keys,
    and has nothing of the route's own."""

    operation: OperationModel
    labels: Mapping[str, str]
    query: Query


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    label: _Node | None = None
    routes: dict[str, list[Route]] = field(default_factory=dict)  # by method
    greedy: dict[str, list[Route]] = field(default_factory=dict)


class Router:
    """All operations as one tree of path segments; a look-up costs one step per segment."""

    def __init__(self, operations: Iterable[OperationModel]) -> None:
        self._root = _Node()
        for operation in operations:
            self._add(operation)

    def _add(self, operation: OperationModel) -> None:
        path, _, query = operation.http["requestUri"].partition("?")
        method = operation.http["method"]
        node, labels, greedy = self._root, [], False
        for segment in path.strip("/").split("/"):
            label = _LABEL.fullmatch(segment)
            if label is None:
                node = node.literals.setdefault(segment, _Node())
                continue
            labels.append(label["name"])
            if label["greedy"]:
                greedy = True
                break
            if node.label is None:
                node.label = _Node()
            node = node.label
        fixed = tuple(parse_qsl(query, keep_blank_values=True))
        table = node.greedy if greedy else node.routes
        routes = table.setdefault(method, [])
        routes.append(Route(operation, method, tuple(labels), fixed, greedy))
        # The route that asks for more of the query is tried first.
        routes.sort(key=lambda route: -len(route.fixed_query))

    def match(self, method: str, raw_path: str, raw_query: str) -> Match:
        """The operation meant; `raw_path` and `raw_query` are still percent-encoded.

        Raises ClientError: UnknownOperationException if there is none, SerializationException if a
        label is not UTF-8.
        """
        # Older SDKs end collection paths with a slash, as the model of their time did.
        segments = raw_path.strip("/").split("/")
        query = parse_qsl(raw_query, keep_blank_values=True, errors="replace")
        allowed: set[str] = set()
        for node, values, greedy in self._walk(self._root, segments, 0, ()):
            table = node.greedy if greedy else node.routes
            allowed.update(table)
            for route in table.get(method, ()):
                if all(pair in query for pair in route.fixed_query):
                    labels = zip(route.labels, map(_decode, values), strict=True)
                    left = [pair for pair in query if pair not in route.fixed_query]
                    return Match(route.operation, dict(labels), left)
        raise ClientError(AWS.UNKNOWN_OPERATION, _unknown(method, raw_path, allowed))

    def _walk(
        self, node: _Node, segments: list[str], at: int, values: tuple[str, ...]
    ) -> Iterable[tuple[_Node, tuple[str, ...], bool]]:
        """Every place that the path may mean, literals before labels before greedy labels."""
        if at == len(segments):
            if node.routes:
                yield node, values, False
            return
        segment = segments[at]
        literal = node.literals.get(segment)
        if literal is not None:
            yield from self._walk(literal, segments, at + 1, values)
        if node.label is not None:
            yield from self._walk(node.label, segments, at + 1, (*values, segment))
        if node.greedy:
            yield node, (*values, "/".join(segments[at:])), True


def _decode(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise ClientError(
            SERIALIZATION, f"The path segment {segment!r} is not percent-encoded UTF-8."
        ) from error


def _unknown(method: str, raw_path: str, allowed: set[str]) -> str:
    # Unconfirmed what AWS says (its front end: a bare 403, or an XML tag); the text is ours.
    shown = raw_path if len(raw_path) <= 200 else raw_path[:200] + "…"
    if allowed:
        verb = "is" if len(allowed) == 1 else "are"
        return f"{method} is not an operation on {shown}; {' and '.join(sorted(allowed))} {verb}."
    return (
        f"{method} {shown} is not an operation of the Lambda API 2015-03-31. Check the endpoint "
        "URL: it must end after the port, with no path of its own."
    )


@lru_cache(maxsize=1)
def lambda_router() -> Router:
    """The router of all operations of the Lambda API."""
    return Router(operation_models().values())
