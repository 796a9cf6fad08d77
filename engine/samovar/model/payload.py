"""What is refused of an invocation's payload, in AWS's words, wherever it is seen first."""

from __future__ import annotations

from samovar.errors import AWS, ClientError

_NOT_JSON = "Could not parse request body into json: Could not parse payload into json: "


def too_large(size: int, limit: int, invocation_type: str) -> ClientError:
    """That it has more than `limit` bytes (recorded text); `invocation_type` is the API's word."""
    return ClientError(
        AWS.REQUEST_TOO_LARGE,
        f"{size} byte payload is too large for the {invocation_type} invocation type "
        f"(limit {limit} bytes)",
    )


def not_json(reason: str) -> ClientError:
    """That it can't be read, and why (recorded text)."""
    return ClientError(AWS.INVALID_REQUEST_CONTENT, _NOT_JSON + reason)
