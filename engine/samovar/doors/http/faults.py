"""Errors that only an HTTP door can find: the request never became a call of the engine."""

from __future__ import annotations

from samovar.errors import AWS, AwsError, ClientError

SERIALIZATION = AwsError("SerializationException", 400)
# Ours, for connections over the cap and while stopping; SDKs retry a 503.
UNAVAILABLE = AwsError("ServiceUnavailableException", 503, "Message", "Service")
# Ours: a request that stopped coming, or that is not HTTP at all.
REQUEST_TIMEOUT = AwsError("RequestTimeoutException", 408)
BAD_REQUEST = AwsError("BadRequestException", 400)
# Ours: something beside the API that isn't there (an expired link, an unknown page).
NOT_FOUND = AwsError("NotFoundException", 404)

# What AWS's front ends answer to a signature, before a service sees the request: no Type, and 403
# for services that speak REST (recorded replies).
MISSING_TOKEN = AwsError("MissingAuthenticationTokenException", 403, fault=None)
INCOMPLETE_SIGNATURE = AwsError("IncompleteSignatureException", 403, fault=None)
INVALID_SIGNATURE = AwsError("InvalidSignatureException", 403, fault=None)
UNRECOGNIZED_CLIENT = AwsError("UnrecognizedClientException", 403, fault=None)
EXPIRED_TOKEN = AwsError("ExpiredTokenException", 403, fault=None)


def not_carried_out(path: str, operation: str, advice: str = "leave it out.") -> ClientError:
    """The refusal of a parameter by its name; `path` is `Code.ImageUri` for one in a structure."""
    return ClientError(
        AWS.INVALID_PARAMETER,
        f"Samovar does not carry out the parameter {path} of {operation} yet; {advice}",
    )


def given_twice(name: str) -> ClientError:
    """The refusal of a query parameter with two values where one is meant: none is ignored."""
    return ClientError(AWS.INVALID_PARAMETER, f"{name} is given more than once; give it once.")


def refused_origin(origin: bytes) -> ClientError:
    """The answer to a web page: it could run code here through its visitor's browser.

    Signed ones, too: no page should hold a key. Browsers put an Origin on every request of a page
    that could change something; SDKs never do.
    """
    return ClientError(
        AWS.ACCESS_DENIED,
        f"Requests of web pages are not served (Origin: {origin.decode('latin-1')[:200]}): "
        "otherwise any page that somebody visits could run code here.",
    )
