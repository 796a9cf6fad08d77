"""Exit codes, in one table, and the exceptions that carry them to the top of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import click
from botocore.exceptions import (
    BotoCoreError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ClientError as RefusedByApi

from samovar.errors import ClientError, DataDirectoryInUse, EngineError, SettingsError


class Exit(IntEnum):
    """What a shell or a supervisor sees. 2 is click's own for a wrong command line."""

    DONE = 0
    FUNCTION_ERROR = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    SETTINGS = 5
    DATA_DIRECTORY_IN_USE = 6
    ENGINE = 7
    INCOMPLETE = 8
    INTERRUPTED = 130  # what a shell makes of SIGINT: 128 + 2


MEANING = {
    Exit.DONE: "done",
    Exit.FUNCTION_ERROR: "the function returned an error",
    Exit.USAGE: "the command line is wrong",
    Exit.UNREACHABLE: "no engine answers at the endpoint",
    Exit.REFUSED: "the API refused the request",
    Exit.SETTINGS: "a setting is wrong",
    Exit.DATA_DIRECTORY_IN_USE: "another engine works on this data directory",
    Exit.ENGINE: "the engine failed",
    Exit.INCOMPLETE: "doctor: something that functions need is missing on this host",
    Exit.INTERRUPTED: "interrupted with Ctrl-C, or a question was answered with no",
}

_SIGN = (
    "This engine asks for requests that are signed with one of its access keys: set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN if there is one), or "
    "AWS_PROFILE for a profile of ~/.aws/credentials; AWS_REGION must be the engine's Region."
)
WHAT_IS_THERE = "What is deployed there: samovar functions"
_RATE = "It is invoked, or gets new contexts, faster than it may; try again in a second."
# What to do about the API's errors that a command line meets most: by the code of the error, and by
# what its message or its Reason begins with.
_NEXT_BY_TEXT = {
    "ResourceConflictException": {
        "The operation cannot be performed at this time. The function is currently in the "
        "following state: Failed": "Why: aws lambda get-function-configuration.",
        "The operation cannot be performed": (
            "Another change of it is in progress; try again in a moment."
        ),
        "Unable to delete version because": (
            "Have them stand for another version (aws lambda update-alias), or delete them (aws "
            "lambda delete-alias)."
        ),
    },
    "InvalidParameterValueException": {
        "Deletion of aliases": "An alias is deleted by aws lambda delete-alias.",
        "This operation is permitted on Lambda functions only": (
            "Leave the version or alias out of the name; samovar deploy --alias has an alias stand "
            "for what is deployed."
        ),
    },
    "TooManyRequestsException": {
        "Rate Exceeded. This engine": ("See --max-contexts and --memory-reserve of samovar start."),
        "ReservedFunctionConcurrent": (
            "As much of it runs as is reserved for it: see aws lambda get-function-concurrency."
        ),
        "ConcurrentInvocation": (
            "As much runs as the account may have: see --account-concurrency of samovar start."
        ),
        "FunctionInvocationRate": _RATE,
        "ReservedFunctionInvocationRate": _RATE,
    },
}
_NEXT = {
    "ResourceNotFoundException": WHAT_IS_THERE,
    "MissingAuthenticationTokenException": _SIGN,
    "IncompleteSignatureException": _SIGN,
    "InvalidSignatureException": _SIGN,
    "UnrecognizedClientException": _SIGN,
    "ExpiredTokenException": _SIGN,
}


class Failure(click.ClickException):
    """Ends the command with a message on stderr and one of the codes above."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc] # click's own subclasses set it so, too


@contextmanager
def failures(endpoint: str = "") -> Iterator[None]:
    """Turn what the engine, or boto3 at `endpoint`, raises into a Failure that says what to do."""
    try:
        yield
    except SettingsError as error:
        raise Failure(Exit.SETTINGS, str(error)) from error
    except DataDirectoryInUse as error:
        raise Failure(Exit.DATA_DIRECTORY_IN_USE, str(error)) from error
    except (ClientError, EngineError) as error:
        raise Failure(Exit.ENGINE, error.message) from error
    except RefusedByApi as error:
        raise refused(error) from error
    except (  # boto3 sent nothing
        ParamValidationError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    ) as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except BotoCoreError as error:
        raise Failure(Exit.UNREACHABLE, _unreachable(endpoint, error)) from error


def refused(error: RefusedByApi, advice: str = "") -> Failure:
    """What the API said, and what to do about it: `advice`, or what is usually to be done."""
    told = error.response.get("Error", {})
    text = f"{told.get('Code', 'Unknown')}: {told.get('Message', 'no message')}"
    advice = advice or _usual_advice(error.response)
    return Failure(Exit.REFUSED, f"{text}\n{advice}" if advice else text)


def _usual_advice(response: Any) -> str:
    told = response.get("Error", {})
    code = told.get("Code", "")
    texts = (told.get("Message", ""), response.get("Reason", ""))
    for beginning, advice in _NEXT_BY_TEXT.get(code, {}).items():
        if any(text.startswith(beginning) for text in texts):
            return advice
    return _NEXT.get(code, "")


def _unreachable(endpoint: str, error: BotoCoreError) -> str:
    return (
        f"no answer from {endpoint}: {error}\n"
        "Is an engine running there? Start one with: samovar start\n"
        "Another address: --endpoint-url, or AWS_ENDPOINT_URL_LAMBDA"
    )


def table() -> str:
    """The exit codes as lines for a help page."""
    return "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANING.items())
