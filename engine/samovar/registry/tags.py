"""Which resource a tagging request means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from samovar.errors import AWS, ClientError
from samovar.model.arn import FunctionReference

# The other resources that the service model lets be tagged.
_OTHERS = re.compile(
    r"arn:[^:]*:lambda:[^:]*:[^:]*:"
    r"(capacity-provider|network-connector):.*"
)
_WITH_OWN_TAGS = re.compile(
    r"arn:[^:]*:lambda:[^:]*:[^:]*:(code-signing-config|event-source-mapping):.*"
)


class Tagged(Protocol):
    """What keeps the tags of its resources itself."""

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """Those of one resource; raises 404."""

    async def retag(self, arn: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace those of one resource by what `change` makes of them."""


def kind_of(resource: str) -> str | None:
    """The kind of what a request means, as its ARN has it; None for a function."""
    match = _WITH_OWN_TAGS.fullmatch(resource)
    return match and match[1]


def tagged_function(resource: str, *, region: str, account: str) -> str:
    """The name of the function that `resource` means; raises ClientError."""
    other = _OTHERS.fullmatch(resource)
    if other:
        raise ClientError(
            AWS.NOT_CARRIED_OUT,
            f"Samovar does not carry out the tags of {other[1]} resources yet: {resource}",
        )
    reference = FunctionReference.parse(resource, region=region, account=account)
    if reference.qualifier is not None:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "Tags on function aliases and versions are not supported. Please specify a function "
            "ARN.",
        )
    return reference.name
