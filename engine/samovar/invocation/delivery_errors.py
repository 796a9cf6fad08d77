"""What goes wrong with deliveries, and whether it may be over by the next time."""

from __future__ import annotations

from samovar.errors import ClientError, SamovarError
from samovar.neighbours import NoEndpoint, RoleNotAssumed
from samovar.neighbours.answers import is_refusal

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
    if error is None or not isinstance(getattr(error, "response", None), dict):
        return type(error).__name__ not in _NEVER_SENT
    return not is_refusal(error)
