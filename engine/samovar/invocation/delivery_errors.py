"""What goes wrong with deliveries, and whether it may be over by the next time."""

from __future__ import annotations

from typing import Any

from samovar.errors import ClientError, SamovarError
from samovar.neighbours import NoEndpoint, RoleNotAssumed

# HTTP statuses after which trying again may help; a 4xx other than these says that it won't.
_TRANSIENT = frozenset({408, 409, 425, 429})
# Codes that say so with any status.
_NOT_NOW = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "OverLimit",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "TooManyRequestsException",
    }
)
# What botocore raises before it sends anything, by name: it is not imported for this.
_NEVER_SENT = frozenset(
    {
        "InvalidRegionError",
        "NoCredentialsError",
        "ParamValidationError",
        "PartialCredentialsError",
    }
)


class Undeliverable(SamovarError):
    """It can't be sent, and trying again would not help; the message says why."""


class NotTaken(SamovarError):
    """It was not taken this time; the message says why."""


def may_pass(error: BaseException | None) -> bool:
    """Whether a failure may be over by the next time."""
    if isinstance(error, RoleNotAssumed):
        error = error.__cause__
        if isinstance(error, LookupError | TypeError):  # what an STS said was no answer of one
            return True
    if isinstance(error, Undeliverable | NoEndpoint | ClientError):
        return False
    if isinstance(error, LookupError | TypeError | UnicodeError):  # nothing that anybody said
        return False
    answer: Any = getattr(error, "response", None)  # botocore's ClientError
    if not isinstance(answer, dict):
        return type(error).__name__ not in _NEVER_SENT
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code = str(answer.get("Error", {}).get("Code"))
    return status >= 500 or status in _TRANSIENT or code in _NOT_NOW or "Throttl" in code


def is_refusal(error: BaseException) -> bool:
    """Whether a neighbour answered, and said no for good."""
    return isinstance(getattr(error, "response", None), dict) and not may_pass(error)
