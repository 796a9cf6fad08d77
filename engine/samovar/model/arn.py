"""How functions are named: every form that AWS accepts in a path, and the ARN itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from samovar.errors import AWS, AwsError, ClientError
from samovar.model import limits

# The service model's patterns, quoted in the error that a malformed reference gets: of operations
# on a function alone, and of those that take a qualifier.
_PLACE = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?"
    r"(\d{12}:)?(function:)?"
)
UNQUALIFIED_PATTERN = _PLACE + r"([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
QUALIFIED_PATTERN = _PLACE + r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"

# Wider than those in two places: «.» in a name and any «$word» as a qualifier. AWS finds nothing
# under such names (404) where a stricter reading would call them malformed.
_FORM = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-[0-9]):)?"
    r"(?:(?P<account>[0-9]{12}):)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>[a-zA-Z0-9$_.-]+))?"
)
# Service model, shape NumericLatestPublishedOrAliasQualifier.
_QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
_QUALIFIER = re.compile(r"\$LATEST\.PUBLISHED|[a-zA-Z0-9_$-]+")
_NEW_NAME = re.compile(r"[a-zA-Z0-9_-]+")


def function_arn(region: str, account: str, name: str, qualifier: str | None = None) -> str:
    """The ARN of a function, qualified only if `qualifier` is given."""
    arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
    return arn if qualifier is None else f"{arn}:{qualifier}"


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """Which function a request means. `qualifier` is None when the request gave none;
    `account_named`: it said of which account, and not its name alone."""

    name: str
    qualifier: str | None
    region: str
    account: str
    account_named: bool = field(default=False, compare=False)

    @property
    def arn(self) -> str:
        """The ARN as the request meant it: with the qualifier only if there was one."""
        return function_arn(self.region, self.account, self.name, self.qualifier)

    def whole(self) -> FunctionReference:
        """The function itself, whatever version or alias was named."""
        return replace(self, qualifier=None)

    @classmethod
    def parse(
        cls,
        text: str,
        qualifier: str | None = None,
        *,
        region: str,
        account: str,
        max_length: int = limits.QUALIFIED_REFERENCE_LENGTH,
    ) -> FunctionReference:
        """The function that `text` means: a name, a partial or a full ARN, each with or without
        `:qualifier`; `qualifier` is the request's own Qualifier parameter.

        `region` and `account` are those of this engine. `max_length` is the limit of the whole
        text (see `limits`). Raises ClientError: ValidationException for a malformed or too long
        text, InvalidParameterValueException when the two qualifiers differ,
        ResourceNotFoundException for another Region, AccessDeniedException for another account.
        """
        qualified = max_length == limits.QUALIFIED_REFERENCE_LENGTH
        pattern = QUALIFIED_PATTERN if qualified else UNQUALIFIED_PATTERN
        if not 0 < len(text) <= max_length:
            raise _invalid(text, *broken_rules(text, max_length, pattern))
        return _parse(text, qualifier, region, account, pattern)

    @classmethod
    def parse_new(cls, text: str, *, region: str, account: str) -> FunctionReference:
        """Like `parse`, for CreateFunction: a name that may be given to a new function.

        Raises ClientError also for a qualifier, and InvalidParameterValueException for a name of
        more than 64 characters (that one comes under another code than other constraints do).
        """
        if _NEW_NAME.fullmatch(text) and len(text) > limits.FUNCTION_NAME_LENGTH:
            raise _too_long_a_name(text, AWS.INVALID_PARAMETER)
        reference = cls.parse(
            text, region=region, account=account, max_length=limits.UNQUALIFIED_REFERENCE_LENGTH
        )
        if not _NEW_NAME.fullmatch(reference.name):
            rule = f"Member must satisfy regular expression pattern: {UNQUALIFIED_PATTERN}"
            raise _invalid(text, rule)
        if reference.qualifier is not None:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"FunctionName {text!r} has the qualifier {reference.qualifier!r}; a function is "
                "created under its name alone, so leave the qualifier out.",
            )
        return reference


def is_plain_name(text: str) -> bool:
    """Whether `text` is nothing but a name, of whatever length."""
    return _NEW_NAME.fullmatch(text) is not None


def broken_rules(text: str, max_length: int, pattern: str) -> Iterator[str]:
    """What is wrong with `text` as a reference to a function, before it is taken apart; `pattern`
    is what errors quote."""
    if len(text) > max_length:
        yield f"Member must have length less than or equal to {max_length}"
    if not text:
        yield "Member must have length greater than or equal to 1"
    if _FORM.fullmatch(text) is None:
        yield f"Member must satisfy regular expression pattern: {pattern}"


# The same few functions are invoked over and over; a reference that fails is not remembered.
@lru_cache(maxsize=4096)
def _parse(
    text: str, qualifier: str | None, region: str, account: str, pattern: str
) -> FunctionReference:
    match = _FORM.fullmatch(text)
    if match is None:
        raise _invalid(text, f"Member must satisfy regular expression pattern: {pattern}")
    name, derived = match["name"], match["qualifier"]
    if len(name) > limits.FUNCTION_NAME_LENGTH:
        raise _too_long_a_name(name, AWS.VALIDATION)
    if qualifier is not None and not _QUALIFIER.fullmatch(qualifier):
        rule = f"Member must satisfy regular expression pattern: {_QUALIFIER_PATTERN}"
        raise _invalid(qualifier, rule, field="qualifier")
    if len(qualifier or derived or "") > limits.QUALIFIER_LENGTH:
        rule = f"Member must have length less than or equal to {limits.QUALIFIER_LENGTH}"
        raise _invalid(qualifier or derived or "", rule, field="qualifier")
    if derived is not None and qualifier is not None and derived != qualifier:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    if match["region"] not in (None, region):
        raise ClientError(
            AWS.RESOURCE_NOT_FOUND,
            f"Functions from '{match['region']}' are not reachable in this region ('{region}')",
        )
    if match["account"] not in (None, account):
        raise ClientError(
            AWS.ACCESS_DENIED,
            f"The function {text} belongs to the account {match['account']}; this engine serves "
            f"the account {account} and knows no policy that would let you in.",
        )
    found = qualifier if qualifier is not None else derived
    return FunctionReference(name, found, region, account, match["account"] is not None)


def _invalid(
    value: str, *rules: str, field: str = "functionName", error: AwsError = AWS.VALIDATION
) -> ClientError:
    found = [f"Value '{value}' at '{field}' failed to satisfy constraint: {rule}" for rule in rules]
    plural = "error" if len(found) == 1 else "errors"
    return ClientError(error, f"{len(found)} validation {plural} detected: {'; '.join(found)}")


def _too_long_a_name(name: str, error: AwsError) -> ClientError:
    rule = f"Member must have length less than or equal to {limits.FUNCTION_NAME_LENGTH}"
    return _invalid(name, rule, error=error)
