"""Which resource a tagging request means."""

from __future__ import annotations

import re

from samovar.errors import AWS, ClientError
from samovar.model.arn import FunctionReference

# The other resources that the service model lets be tagged.
_OTHERS = re.compile(
    r"arn:[^:]*:lambda:[^:]*:[^:]*:"
    r"(event-source-mapping|capacity-provider|network-connector):.*"
)
_CODE_SIGNING_CONFIG = re.compile(r"arn:[^:]*:lambda:[^:]*:[^:]*:code-signing-config:.*")


def is_code_signing_config(resource: str) -> bool:
    """Whether a request means a code signing config, and not a function."""
    return _CODE_SIGNING_CONFIG.fullmatch(resource) is not None


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
