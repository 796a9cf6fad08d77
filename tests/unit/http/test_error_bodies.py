"""The errors of the API model: status, spelling of «message», Type; and how botocore reads ours."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.model import Shape
from botocore.parsers import RestJSONParser

from samovar.doors.http import faults
from samovar.doors.http.api_model import operation_models, service_model
from samovar.doors.http.replies import aws_error
from samovar.errors import AWS, AwsError

# The reference's lines: which status, and who spells the key with a capital letter.
STATUSES = {
    400: "AliasLimitExceeded CallbackTimeout CapacityProviderLimitExceeded CodeStorageExceeded "
    "CodeVerificationFailed FunctionVersionsPerCapacityProviderLimitExceeded InvalidCodeSignature "
    "InvalidParameterValue InvalidRequestContent ModeNotSupported NoPublishedVersion "
    "PolicyLengthExceeded PublicPolicy RecursiveInvocation ResourceInUse SnapStart",
    402: "ServiceQuotaExceeded",
    403: "EFSMountFailure S3FilesMountFailure",
    404: "CodeSigningConfigNotFound ProvisionedConcurrencyConfigNotFound ResourceNotFound",
    408: "EFSMountConnectivity EFSMountTimeout S3FilesMountConnectivity S3FilesMountTimeout "
    "SnapStartTimeout",
    409: "CodeArtifactUserDeleted CodeArtifactUserFailed CodeArtifactUserPending "
    "DurableExecutionAlreadyStarted ResourceConflict RuntimeAliasDeleted RuntimeVersionDeleted "
    "SnapStartNotReady SnapStartRegenerationFailure",
    410: "EFSIO",
    412: "PreconditionFailed",
    413: "RequestTooLarge SerializedRequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "Service",
    502: "EC2AccessDenied EC2Throttled EC2Unexpected ENILimitReached ENINotReady InvalidRuntime "
    "InvalidSecurityGroupID InvalidSubnetID InvalidZipFile KMSAccessDenied KMSDisabled "
    "KMSInvalidState KMSNotFound ResourceNotReady SubnetIPAddressLimitReached",
}
STATUS = {f"{name}Exception": code for code, names in STATUSES.items() for name in names.split()}
CAPITAL = re.compile(
    "(ResourceNotFound|CodeSigningConfigNotFound|Service|ServiceQuotaExceeded|ResourceInUse|"
    "SnapStart.*|EC2.*|EFS.*|ENI.*|KMS.*|S3Files.*|InvalidRuntime|InvalidZipFile|InvalidSubnetID|"
    "InvalidSecurityGroupID|InvalidCodeSignature|CodeVerificationFailed|NoPublishedVersion|"
    "PublicPolicy|RecursiveInvocation|SubnetIPAddressLimitReached|DurableExecutionAlreadyStarted|"
    "CallbackTimeout)Exception"
)

MODELLED = {
    name: shape
    for name in service_model().shape_names
    if (shape := service_model().shape_for(name)).metadata.get("exception")
}


def table(*holders: Any) -> dict[str, AwsError]:
    entries = [value for holder in holders for value in vars(holder).values()]
    return {entry.code: entry for entry in entries if isinstance(entry, AwsError)}


# Codes that the model leaves out: AWS's front ends give them (the reference has their records),
# and a few are ours; beside each its status, its key, and whether there is a Type.
UNMODELLED = {
    "ValidationException": (400, "message", False),
    "AccessDeniedException": (403, "Message", True),
    "UnknownOperationException": (404, "Message", True),
    "RequestEntityTooLargeException": (413, "message", False),
    "NotImplementedException": (501, "message", True),
    "SerializationException": (400, "message", True),
    "ServiceUnavailableException": (503, "Message", True),
    "RequestTimeoutException": (408, "message", True),
    "BadRequestException": (400, "message", True),
    "NotFoundException": (404, "message", True),
    "MissingAuthenticationTokenException": (403, "message", False),
    "IncompleteSignatureException": (403, "message", False),
    "InvalidSignatureException": (403, "message", False),
    "UnrecognizedClientException": (403, "message", False),
    "ExpiredTokenException": (403, "message", False),
}


def key_of(shape: Shape) -> str:
    return next(name for name in shape.members if name.lower() == "message")


def test_the_reference_has_every_error_of_the_model() -> None:
    assert set(MODELLED) <= set(STATUS)  # an older botocore may lack some


@pytest.mark.parametrize("name", sorted(MODELLED))
def test_the_model_says_what_the_reference_says(name: str) -> None:
    shape = MODELLED[name]
    assert shape.metadata["error"]["httpStatusCode"] == STATUS[name]
    assert key_of(shape) == ("Message" if CAPITAL.fullmatch(name) else "message")
    assert "Type" in shape.members


@pytest.mark.parametrize("code", sorted(table(AWS, faults)))
def test_our_table_says_what_the_reference_says(code: str) -> None:
    entry = table(AWS, faults)[code]
    if code in UNMODELLED:
        assert code not in MODELLED
        status, key, has_type = UNMODELLED[code]
    else:
        status, key, has_type = STATUS[code], key_of(MODELLED[code]), True
    kind = ("Service" if status >= 500 else "User") if has_type else None
    assert (entry.status, entry.message_key, entry.fault) == (status, key, kind)


def test_every_error_of_ours_is_in_use_or_in_the_reference() -> None:
    assert set(UNMODELLED) <= set(table(AWS, faults))


@pytest.mark.parametrize("name", sorted(MODELLED))
def test_botocore_reads_what_we_write(name: str) -> None:
    """Whatever error comes to be raised one day: its body is one that botocore takes apart."""
    shape = MODELLED[name]
    kind = "Service" if STATUS[name] >= 500 else "User"
    reply = aws_error(AwsError(name, STATUS[name], key_of(shape), kind), "Tea «is» out.\ud800")
    response = {
        "status_code": reply.status,
        "headers": {key.decode(): value.decode() for key, value in reply.headers},
        "body": reply.body,
    }
    operation = operation_models()["Invoke"]
    parsed = RestJSONParser().parse(response, operation.output_shape)
    assert parsed["Error"] == {"Code": name, "Message": "Tea «is» out.?"}
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == STATUS[name]
    assert list(json.loads(reply.body)) == ["Type", key_of(shape)]


def test_extras_stand_where_the_model_has_them() -> None:
    extra = {"Reason": "CallerRateLimitExceeded", "retryAfterSeconds": "1"}
    reply = aws_error(AWS.TOO_MANY_REQUESTS, "Rate Exceeded.", extra)
    assert dict(reply.headers)[b"retry-after"] == b"1"
    assert json.loads(reply.body) == {
        "Reason": "CallerRateLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }
    assert set(MODELLED["TooManyRequestsException"].members) == {"message", "Type", *extra}
