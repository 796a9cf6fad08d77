"""The environment variables of a function, as AWS sets them (reference: python3.14's record)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from samovar.model.function import FunctionVersion, LogFormat, default_log_group
from samovar.model.invocation import Initialization

_PATH = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
LIBRARY_PATH = (
    "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
)
# What SDKs call services in the names of variables, where boto3 calls their clients otherwise.
_SERVICES = {"events": "EVENTBRIDGE", "logs": "CLOUDWATCH_LOGS"}
_XRAY = "169.254.100.1:2000"


@dataclass(frozen=True, slots=True)
class Region:
    """What every function's environment says of the place it runs in.

    `aws_endpoint`: where the neighbours are, «» for AWS itself; `endpoints`: where single ones are,
    by the names of their boto3 clients.
    """

    region: str
    aws_endpoint: str
    endpoints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are as the function sees them."""

    task_root: str = "/var/task"
    runtime: str = "/var/runtime"
    path: str = _PATH
    library_path: str = LIBRARY_PATH


def log_stream_name(version: str, now: float) -> str:
    """`YYYY/MM/DD/[version]<32 hex>`: one stream per context."""
    day = time.strftime("%Y/%m/%d", time.gmtime(now))
    return f"{day}/[{version}]{secrets.token_hex(16)}"


def function_environment(
    version: FunctionVersion,
    log_stream: str,
    initialization: Initialization,
    region: Region,
    paths: Paths,
) -> dict[str, str]:
    """All variables of a context. `initialization`: AWS_LAMBDA_INITIALIZATION_TYPE.

    The user's own win, except over names that AWS reserves (they were refused when set).
    """
    configuration = version.configuration
    environment = {
        "LANG": "en_US.UTF-8",
        "LC_CTYPE": "C.UTF-8",
        "TZ": ":UTC",
        "PATH": paths.path,
        "LD_LIBRARY_PATH": paths.library_path,
        "PYTHONPATH": paths.runtime,
        "PWD": paths.task_root,
        "SHLVL": "0",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": _XRAY,
        "_AWS_XRAY_DAEMON_ADDRESS": _XRAY.partition(":")[0],
        "_AWS_XRAY_DAEMON_PORT": _XRAY.partition(":")[2],
    }
    if region.aws_endpoint:
        environment["AWS_ENDPOINT_URL"] = region.aws_endpoint
    for service, url in region.endpoints.items():
        environment[f"AWS_ENDPOINT_URL_{_SERVICES.get(service, service.upper())}"] = url
    environment.update(configuration.environment or {})
    environment |= {
        "_HANDLER": configuration.handler,
        "AWS_REGION": region.region,
        "AWS_DEFAULT_REGION": region.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": version.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.memory_size),
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization.value,
        "AWS_LAMBDA_LOG_GROUP_NAME": configuration.log_group or default_log_group(version.name),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        # No runtime API is served there; libraries take the name as the sign of being in Lambda.
        "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
        # Placeholders that SDKs can sign with: neighbours on this machine accept any, and the
        # engine's own credentials are nobody else's business.
        "AWS_ACCESS_KEY_ID": "ASIASAMOVAR000000000",
        "AWS_SECRET_ACCESS_KEY": "samovar",
        "AWS_SESSION_TOKEN": "samovar",
        "LAMBDA_TASK_ROOT": paths.task_root,
        "LAMBDA_RUNTIME_DIR": paths.runtime,
    }
    if configuration.log_format == LogFormat.JSON:
        environment["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        environment["AWS_LAMBDA_LOG_LEVEL"] = configuration.application_log_level or "INFO"
    return environment
