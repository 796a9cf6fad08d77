"""The object handed to a handler as `context`; attributes as AWS's Python runtime gives them."""

from __future__ import annotations

import json
import os
import time

from samovar_worker.pipes import write_record


class _Shown:
    """Prints as on AWS, where handlers that print their context are common."""

    __slots__ = ()
    _shown: tuple[str, ...] = ()

    def __repr__(self) -> str:
        values = ",".join(f"{name}={getattr(self, name)}" for name in self._shown)
        return f"{type(self).__name__}([{values}])"


class CognitoIdentity(_Shown):
    """Always there, always empty: no mobile SDK calls through this engine."""

    __slots__ = _shown = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self) -> None:
        self.cognito_identity_id = None
        self.cognito_identity_pool_id = None


class Client(_Shown):
    """The app that a mobile client says it is."""

    __slots__ = _shown = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )

    def __init__(self, values: dict[str, object]) -> None:
        for name in self._shown:
            setattr(self, name, values.get(name))


class ClientContext(_Shown):
    """What the caller sent as X-Amz-Client-Context."""

    __slots__ = _shown = ("custom", "env", "client")

    def __init__(self, values: dict[str, object]) -> None:
        client = values.get("client")
        self.client = Client(client) if isinstance(client, dict) else None
        self.custom = values.get("custom")
        self.env = values.get("env")


def _parse(text: str) -> ClientContext | None:
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if values is None:
        return None
    if not isinstance(values, dict):
        raise ValueError("Expecting an object")
    return ClientContext(values)


class LambdaContext(_Shown):
    """One per invocation. Raises ValueError from the constructor for a bad client context.

    What is the same for all invocations of a process stands on the class: see `adopt_environment`.
    """

    _shown = (
        "aws_request_id",
        "log_group_name",
        "log_stream_name",
        "function_name",
        "memory_limit_in_mb",
        "function_version",
        "invoked_function_arn",
        "client_context",
        "identity",
        "tenant_id",
    )

    function_name: str | None = None
    function_version: str | None = None
    memory_limit_in_mb: str | None = None
    log_group_name: str | None = None
    log_stream_name: str | None = None
    identity = CognitoIdentity()
    tenant_id = None
    client_context: ClientContext | None = None

    def __init__(
        self, request_id: str, deadline_ms: int, function_arn: str, client_context: str | None
    ) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn
        self._deadline_ms = deadline_ms
        if client_context:
            self.client_context = _parse(client_context)

    @classmethod
    def adopt_environment(cls) -> None:
        """Take the function's name and so on from the environment, once: each look-up in
        `os.environ` costs as much as the rest of a context."""
        cls.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        cls.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        cls.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        cls.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        cls.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the timeout, never negative."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write to the log as it is, as one event: no level, no newline added."""
        write_record(str(message).encode(errors="backslashreplace"))
