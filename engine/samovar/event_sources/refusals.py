"""What a source says to whoever may not read it, in AWS's words for whoever makes a mapping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from samovar.errors import AWS, ClientError, SamovarError
from samovar.neighbours import NoEndpoint, RoleNotAssumed
from samovar.neighbours.answers import ACCESS_DENIED, code_of
from samovar.registry.mapping_texts import refused

T = TypeVar("T")

# What sources say of missing rights; emulators have their own words.
DENIED = frozenset(
    {
        ACCESS_DENIED,
        "AccessDeniedException",
        "AuthorizationError",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMS.AccessDeniedException",
        "KMSAccessDeniedException",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)


def no_access(arn: str, actions: str) -> str:
    """AWS's text for a stream whose reader may not do all of `actions`."""
    return (
        f"Cannot access stream {arn}. Please ensure the role can perform the {actions} Actions on "
        "your stream in IAM."
    )


async def explained(
    call: Awaitable[T], what: str, words: Callable[[str, Exception], ClientError]
) -> T:
    """What a call answers. Raises ClientError for whatever it raises: for a neighbour's refusal
    what `words` makes of its code (empty where it said nothing); `what` is what is read."""
    try:
        return await call
    except NoEndpoint as error:
        raise refused(f"{what} can't be read: {error}") from None
    except RoleNotAssumed as error:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"The role defined for the function cannot be assumed by Lambda. {error}",
        ) from error
    except SamovarError:
        raise
    except Exception as error:
        raise words(code_of(error), error) from error
