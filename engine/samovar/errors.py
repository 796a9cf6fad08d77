"""Errors by fault: the caller's, the function's, ours.

AWS's error names are data in one table, `AWS`, so that a door can render any of them without
knowing who raised it. Source of names, statuses and the two spellings of the message key:
the Lambda service model and recorded replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AwsError:
    """One AWS error code: its HTTP status, how its body spells «message», and its Type field."""

    code: str
    status: int
    message_key: str = "message"
    fault: str | None = "User"  # the body's «Type»; None where AWS leaves it out


class AWS:
    """The AWS error names that Samovar raises."""

    INVALID_PARAMETER = AwsError("InvalidParameterValueException", 400)
    VALIDATION = AwsError("ValidationException", 400, fault=None)
    INVALID_REQUEST_CONTENT = AwsError("InvalidRequestContentException", 400)
    CODE_STORAGE_EXCEEDED = AwsError("CodeStorageExceededException", 400)
    CODE_VERIFICATION_FAILED = AwsError("CodeVerificationFailedException", 400, "Message")
    POLICY_LENGTH_EXCEEDED = AwsError("PolicyLengthExceededException", 400)
    ACCESS_DENIED = AwsError("AccessDeniedException", 403, "Message")
    RESOURCE_NOT_FOUND = AwsError("ResourceNotFoundException", 404, "Message")
    UNKNOWN_OPERATION = AwsError("UnknownOperationException", 404, "Message")
    CODE_SIGNING_CONFIG_NOT_FOUND = AwsError("CodeSigningConfigNotFoundException", 404, "Message")
    PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND = AwsError(
        "ProvisionedConcurrencyConfigNotFoundException", 404
    )
    RESOURCE_CONFLICT = AwsError("ResourceConflictException", 409)
    RESOURCE_IN_USE = AwsError("ResourceInUseException", 400, "Message")
    PRECONDITION_FAILED = AwsError("PreconditionFailedException", 412)
    REQUEST_TOO_LARGE = AwsError("RequestEntityTooLargeException", 413, fault=None)
    UNSUPPORTED_MEDIA_TYPE = AwsError("UnsupportedMediaTypeException", 415)
    TOO_MANY_REQUESTS = AwsError("TooManyRequestsException", 429)
    SNAP_START = AwsError("SnapStartException", 400, "Message")
    SNAP_START_NOT_READY = AwsError("SnapStartNotReadyException", 409, "Message")
    SNAP_START_TIMEOUT = AwsError("SnapStartTimeoutException", 408, "Message")
    RECURSIVE_INVOCATION = AwsError("RecursiveInvocationException", 400, "Message")
    SERVICE = AwsError("ServiceException", 500, "Message", "Service")
    # Ours: AWS has no such code. 501 because botocore does not retry it.
    NOT_CARRIED_OUT = AwsError("NotImplementedException", 501, "message", "Service")


class SamovarError(Exception):
    """Base of every error that Samovar raises on purpose."""


class ClientError(SamovarError):
    """The caller's fault (4xx), or a named refusal (501).

    `extra` goes into the error body beside the message, as AWS does for `Reason`.
    """

    def __init__(self, error: AwsError, message: str, **extra: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.extra = extra


class EngineError(SamovarError):
    """Our fault (5xx). The message says what broke and, where there is something, what to do."""

    error = AWS.SERVICE

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class WallsMissing(EngineError):
    """Isolation is strict, and this host refuses a wall; `missing` has the reason for each."""

    def __init__(self, missing: Mapping[str, str]) -> None:
        walls = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
        super().__init__(
            f"isolation is strict, and walls are missing on this host: {walls}. `samovar doctor` "
            "tries each and says what to do about it; with isolation=auto contexts go without."
        )
        self.missing = missing


class NotRun(EngineError):
    """Our fault, and nothing was run: whoever asked may ask again."""


class SettingsError(SamovarError):
    """A setting is wrong; the message names it, its value, and what it may be."""


class DataDirectoryInUse(SamovarError):
    """Another engine holds the lock of this data directory."""
