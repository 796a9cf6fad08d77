"""What a neighbour's refusal says; botocore's ClientError is not imported for this."""

from __future__ import annotations

from typing import Any

ACCESS_DENIED = "AccessDenied"
_FORBIDDEN = 403
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


def is_refusal(error: BaseException) -> bool:
    """Whether a neighbour answered, and said no for good."""
    answer: Any = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return False
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code = str(answer.get("Error", {}).get("Code"))
    return status < 500 and not (status in _TRANSIENT or code in _NOT_NOW or "Throttl" in code)


def code_of(error: BaseException) -> str:
    """The code of a refusal; empty for what is none. One in no words of the service's is
    ACCESS_DENIED where its status says so (moto's comes in another protocol than it was asked
    in)."""
    answer: Any = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return ""
    # In SQS's newer protocol the old name is in a header, and botocore puts it here.
    said = answer.get("Error", {})
    code = str(said.get("QueryErrorCode") or said.get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return ACCESS_DENIED if status == _FORBIDDEN and code.isdigit() else code


def name_of(error: BaseException) -> str:
    """What is counted of an error: its code, or its kind where it is no refusal."""
    return code_of(error) or type(error).__name__
