"""Functions as the API shows them."""

from __future__ import annotations

import base64
import platform
from typing import Any

from samovar.doors.http.serialization import last_modified
from samovar.model.function import CodePackage, FunctionVersion, State, default_log_group
from samovar.model.runtime_version import runtime_version_arn
from samovar.registry.functions import FunctionRegistry

# What AWS calls the processors; functions run on the engine's own.
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def list_item(version: FunctionVersion, *, qualified: bool = False) -> dict[str, Any]:
    """A FunctionConfiguration as lists show it: without states and the runtime's version."""
    configuration = version.configuration
    arn = f"{version.arn}:{version.version}" if qualified else version.arn
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
        "SnapStart": {"ApplyOn": configuration.snap_start, "OptimizationStatus": "Off"},
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
    if configuration.layers:
        item["Layers"] = [
            {"Arn": layer.arn, "CodeSize": layer.size} for layer in configuration.layers
        ]
    return item


def function_configuration(
    version: FunctionVersion, registry: FunctionRegistry, region: str, *, qualified: bool = False
) -> dict[str, Any]:
    """A FunctionConfiguration in full; `qualified` if the request gave a qualifier."""
    shown = list_item(version, qualified=qualified)
    shown["State"] = version.state.value
    shown["StateReason"] = version.state_reason
    shown["StateReasonCode"] = version.state_reason_code
    shown["LastUpdateStatus"] = version.update_status and version.update_status.value
    shown["LastUpdateStatusReason"] = version.update_reason
    shown["LastUpdateStatusReasonCode"] = version.update_reason_code
    interpreter = registry.runtimes.get(version.configuration.runtime)
    if interpreter is not None:
        arn = runtime_version_arn(region, interpreter.runtime, interpreter.version)
        shown["RuntimeVersionConfig"] = {"RuntimeVersionArn": arn}
    return shown


def with_optimization(
    shown: dict[str, Any], version: FunctionVersion, templates_possible: bool
) -> dict[str, Any]:
    """`shown`, with OptimizationStatus On for a version whose contexts start from a template."""
    if version.starts_from_template and version.state is State.ACTIVE and templates_possible:
        shown["SnapStart"]["OptimizationStatus"] = "On"
    return shown


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
