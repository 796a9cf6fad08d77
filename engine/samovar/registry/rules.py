"""What AWS demands of a function's configuration and of tags, with AWS's texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.function import (
    APPLICATION_LOG_LEVELS,
    SYSTEM_LOG_LEVELS,
    AttachedLayer,
    Configuration,
    LogFormat,
    SnapStart,
)
from samovar.model.target import Service, Target

# Service model, shapes RoleArn, Handler, LogGroup and EnvironmentVariableName.
_ROLE = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
_HANDLER = r"[^\s]+"
_LOG_GROUP = r"[\.\-_/#A-Za-z0-9]+"
_VARIABLE = r"[a-zA-Z]([a-zA-Z0-9_])+"

# Developer guide, «Defined runtime environment variables»: those that functions may not set.
# Names a script that AWS runs in the interpreter's place.
_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"

RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
# Recorded from CloudFormation, which passes it on.
_NO_LEVELS = (
    'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request '
    'or change the LogFormat to "Json" and try again.'
)
_CANT_CONFIGURE = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)


def check_configuration(configuration: Configuration) -> None:
    """Raise ClientError for the first rule that `configuration` breaks; the runtime is looked at
    elsewhere (see `runtimes`)."""
    if not configuration.handler or not configuration.runtime:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages.",
        )
    _check_text("handler", configuration.handler, limits.HANDLER_LENGTH, _HANDLER)
    _check_text("role", configuration.role, limits.ROLE_LENGTH, _ROLE)
    check_description(configuration.description)
    if configuration.log_group is not None:
        _check_text(
            "loggingConfig.logGroup", configuration.log_group, limits.LOG_GROUP_LENGTH, _LOG_GROUP
        )
    _check_logging(configuration)
    check_range("timeout", configuration.timeout, limits.TIMEOUT)
    check_range("memorySize", configuration.memory_size, limits.MEMORY_MB)
    check_range(
        "ephemeralStorage.size", configuration.ephemeral_storage, limits.EPHEMERAL_STORAGE_MB
    )
    _check_snap_start(configuration)
    if configuration.dead_letter:
        _check_dead_letter(configuration.dead_letter)
    if configuration.environment is not None:
        check_environment(configuration.environment)


def _check_dead_letter(arn: str) -> None:
    try:
        takes = Target.parse(arn).service in (Service.SQS, Service.SNS)
    except ValueError:
        takes = False
    if not takes:
        # Unconfirmed: AWS's own words for it are not known.
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"The provided target ARN {arn} is not valid: a dead-letter queue is a queue of SQS or "
            "a topic of SNS.",
        )


def _check_snap_start(configuration: Configuration) -> None:
    if configuration.snap_start not in tuple(SnapStart):
        rule = f"Member must satisfy enum value set: [{', '.join(SnapStart)}]"
        raise broken(configuration.snap_start, "snapStart.applyOn", rule)
    least = limits.EPHEMERAL_STORAGE_MB[0]
    if configuration.snap_start != SnapStart.NONE and configuration.ephemeral_storage > least:
        # In the form in which AWS refuses runtimes and architectures (unconfirmed).
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"Ephemeral storage greater than {least} MB is not supported for SnapStart enabled "
            "functions.",
        )


def _check_logging(configuration: Configuration) -> None:
    for field, given, known in (
        ("logFormat", configuration.log_format, tuple(LogFormat)),
        ("applicationLogLevel", configuration.application_log_level, APPLICATION_LOG_LEVELS),
        ("systemLogLevel", configuration.system_log_level, SYSTEM_LOG_LEVELS),
    ):
        if given is not None and given not in known:
            rule = f"Member must satisfy enum value set: [{', '.join(known)}]"
            raise broken(given, f"loggingConfig.{field}", rule)
    levels = (configuration.application_log_level, configuration.system_log_level)
    if configuration.log_format == LogFormat.TEXT and any(levels):
        raise ClientError(AWS.INVALID_PARAMETER, _NO_LEVELS)


def check_environment(variables: Mapping[str, str]) -> None:
    """Reserved keys, the form of keys, what a process can be given, and the 4 KB in total."""
    reserved = [key for key in variables if key in RESERVED_VARIABLES]
    if reserved:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"{_CANT_CONFIGURE}contains reserved keys that are currently not supported for "
            f"modification. Reserved keys used in this request: {', '.join(reserved)}",
        )
    if _WRAPPER in variables:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"Samovar does not carry out the environment variable {_WRAPPER} yet; leave it out.",
        )
    for key, value in variables.items():
        if not re.fullmatch(_VARIABLE, key, re.ASCII):
            # The values are secrets and are not quoted, as AWS does not.
            raise ClientError(
                AWS.VALIDATION,
                "1 validation error detected: Value at 'environment.variables' failed to satisfy "
                "constraint: Map keys must satisfy constraint: [Member must satisfy regular "
                f"expression pattern: {_VARIABLE}]",
            )
        if "\0" in value or not _is_unicode(value):
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The value of the environment variable {key} has a character that no process's "
                "environment can hold (NUL, or half of a surrogate pair); remove it.",
            )
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > limits.ENVIRONMENT_SIZE:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"{_CANT_CONFIGURE}exceeded the 4KB limit. String measured: {measured}",
        )


def check_description(description: str) -> None:
    """The rules for the description of anything; raises ClientError."""
    _check_text("description", description, limits.DESCRIPTION_LENGTH)


def check_layer(description: str, license_info: str | None) -> None:
    """The rules for what a layer version says of itself; raises ClientError."""
    check_description(description)
    _check_text("licenseInfo", license_info or "", limits.LICENSE_LENGTH)


def check_unzipped(code: int, layers: Iterable[AttachedLayer]) -> None:
    """Raise ClientError if `code` (bytes of its files) and layers are too much together."""
    brought = sum(layer.unzipped for layer in layers)
    if brought >= limits.UNZIPPED_SIZE:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"Layers consume more than the available size of {limits.UNZIPPED_SIZE} bytes",
        )
    if brought and code + brought > limits.UNZIPPED_SIZE:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            "Function code combined with layers exceeds the maximum allowed size of "
            f"{limits.UNZIPPED_SIZE} bytes. The actual size is {code + brought} bytes.",
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """The rules for all the tags of one resource; raises ClientError."""
    if len(tags) > limits.TAGS:
        raise ClientError(AWS.INVALID_PARAMETER, "Number of tags exceeds resource tag limit.")
    for key, value in tags.items():
        if not 1 <= len(key) <= limits.TAG_KEY_LENGTH or key.lower().startswith("aws:"):
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The tag key {key!r} must have 1 to {limits.TAG_KEY_LENGTH} characters and must "
                "not begin with aws:",
            )
        if len(value) > limits.TAG_VALUE_LENGTH:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The value of the tag {key!r} is longer than {limits.TAG_VALUE_LENGTH} characters",
            )
        if not (_is_unicode(key) and _is_unicode(value)):
            raise ClientError(AWS.INVALID_PARAMETER, f"The tag {key!r} is not valid Unicode")


def broken(value: object, field: str, rule: str) -> ClientError:
    """The error for a broken constraint of the service model, in AWS's words."""
    return ClientError(
        AWS.VALIDATION,
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy "
        f"constraint: {rule}",
    )


def check_range(field: str, value: float, bounds: tuple[int, int]) -> None:
    """Raise ClientError unless `value` lies in `bounds`, both ends included."""
    low, high = bounds
    if value < low:
        raise broken(value, field, f"Member must have value greater than or equal to {low}")
    if value > high:
        raise broken(value, field, f"Member must have value less than or equal to {high}")


def _check_text(field: str, value: str, length: int, pattern: str | None = None) -> None:
    if len(value) > length:
        raise broken(value, field, f"Member must have length less than or equal to {length}")
    if pattern is not None and not re.fullmatch(pattern, value, re.ASCII):
        raise broken(value, field, f"Member must satisfy regular expression pattern: {pattern}")
    if not _is_unicode(value):
        raise broken(ascii(value), field, "Member must be valid Unicode")


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8; JSON lets lone surrogates through."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
