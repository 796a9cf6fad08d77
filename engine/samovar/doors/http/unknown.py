"""What a request brings that the API model has no place for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from samovar.doors.http.routes import Query


def unknown_parameters(
    shape: StructureShape, query: Query, document: Callable[[], Mapping[str, Any]]
) -> Iterator[str]:
    """Query parameters, and keys of the body, that `shape` has no member for.

    `document` gives the body; it is asked only if the operation has one. Keys set to null ask for
    nothing and are let through.
    """
    located: dict[str | None, dict[str, Shape]] = {}
    for name, member in shape.members.items():
        place = located.setdefault(member.serialization.get("location"), {})
        place[member.serialization.get("name", name)] = member
    asked = located.get("querystring", {})
    for key, _ in query:
        if key not in asked and not is_of_a_signature(key):
            yield key
    if None in located and "payload" not in shape.serialization:
        yield from _keys(located[None], document(), "")


# What presigners put there. Some move other headers of a request there, too (those for browsers
# theirs of the user agent); what asks for something is none of these.
_OF_A_SIGNATURE = frozenset(
    f"x-amz-{name}"
    for name in (
        *("algorithm", "credential", "date", "expires", "signedheaders", "signature"),
        *("security-token", "content-sha256", "user-agent"),
    )
)


def is_of_a_signature(key: str) -> bool:
    """Whether a query parameter belongs to the signature of a presigned URL."""
    return key.lower() in _OF_A_SIGNATURE


def _keys(known: Mapping[str, Shape], value: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, item in value.items():
        if key in known:
            yield from _below(known[key], item, path + key)
        elif item is not None:
            yield path + key


def _below(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """`value` was converted as `shape` before: a structure is an object, a list a list."""
    if value is None:
        return
    if isinstance(shape, StructureShape):
        known = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        yield from _keys(known, value, f"{path}.")
    elif isinstance(shape, ListShape):
        for item in value:
            yield from _below(shape.member, item, path)
