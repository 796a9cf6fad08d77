"""Functions as the API shows them."""

from __future__ import annotations

import base64
import platform
from typing import Any

from samovar.doors.http.engine_seam import ServedEngine
from samovar.doors.http.serialization import last_modified
from samovar.errors import ClientError
from samovar.model.function import CodePackage, FunctionVersion, State, default_log_group
from samovar.model.runtime_version import runtime_version_arn

# What AWS calls the processors; functions run on the engine's own.
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def list_item(version: FunctionVersion, engine: ServedEngine, arn: str) -> dict[str, Any]:
    """A FunctionConfiguration as lists show it: without states and the runtime's version. `arn` is
    what the version is called: its function's name, a qualified one, or an alias's."""
    configuration = version.configuration
    item: dict[str, Any] = {
        "FunctionName": version.name,
        "FunctionArn": arn,
        "Runtime": configuration.runtime,
        "Role": configuration.role,
        "Handler": configuration.handler,
        "CodeSize": version.code.size,
        "Description": configuration.description,
        "Timeout": configuration.timeout,
        "MemorySize": configuration.memory_size,
        "LastModified": last_modified(version.last_modified),
        "CodeSha256": code_sha256(version.code),
        "Version": version.version,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": version.revision_id,
        "PackageType": "Zip",
        "Architectures": [ARCHITECTURE],
        "EphemeralStorage": {"Size": configuration.ephemeral_storage},
        "SnapStart": _snap_start(version, engine.templates_possible),
        "LoggingConfig": _logging(version),
    }
    if configuration.environment is not None:
        item["Environment"] = {"Variables": dict(configuration.environment)}
    if configuration.vpc_config_given:
        item["VpcConfig"] = {
            "SubnetIds": [],
            "SecurityGroupIds": [],
            "VpcId": "",
            "Ipv6AllowedForDualStack": False,
        }
    dead_letter = _dead_letter(version, engine)
    if dead_letter:
        item["DeadLetterConfig"] = {"TargetArn": dead_letter}
    if configuration.layers:
        item["Layers"] = [
            {"Arn": layer.arn, "CodeSize": layer.size} for layer in configuration.layers
        ]
    return item


def function_configuration(
    version: FunctionVersion, engine: ServedEngine, arn: str
) -> dict[str, Any]:
    """A FunctionConfiguration in full; `arn` as in `list_item`."""
    shown = list_item(version, engine, arn)
    shown["State"] = version.state.value
    shown["StateReason"] = version.state_reason
    shown["StateReasonCode"] = version.state_reason_code
    shown["LastUpdateStatus"] = version.update_status and version.update_status.value
    shown["LastUpdateStatusReason"] = version.update_reason
    shown["LastUpdateStatusReasonCode"] = version.update_reason_code
    interpreter = engine.registry.runtimes.get(version.configuration.runtime)
    if interpreter is not None:
        arn = runtime_version_arn(engine.settings.region, interpreter.runtime, interpreter.version)
        shown["RuntimeVersionConfig"] = {"RuntimeVersionArn": arn}
    return shown


def _dead_letter(version: FunctionVersion, engine: ServedEngine) -> str:
    """The newest pages of AWS say that versions have the function's; so they show it, too."""
    try:
        return engine.registry.get(version.name).configuration.dead_letter
    except ClientError:  # it was deleted just now
        return version.configuration.dead_letter


def _snap_start(version: FunctionVersion, templates_possible: bool) -> dict[str, str]:
    """Optimised is a version whose contexts start from a template."""
    optimised = (
        version.starts_from_template and version.state is State.ACTIVE and templates_possible
    )
    return {
        "ApplyOn": version.configuration.snap_start,
        "OptimizationStatus": "On" if optimised else "Off",
    }


def code_sha256(code: CodePackage) -> str:
    """A package's hash as AWS spells it."""
    return base64.b64encode(bytes.fromhex(code.sha256)).decode()


def _logging(version: FunctionVersion) -> dict[str, str]:
    configuration = version.configuration
    shown = {"LogFormat": configuration.log_format}
    if configuration.application_log_level is not None:
        shown["ApplicationLogLevel"] = configuration.application_log_level
    if configuration.system_log_level is not None:
        shown["SystemLogLevel"] = configuration.system_log_level
    return {**shown, "LogGroup": configuration.log_group or default_log_group(version.name)}
