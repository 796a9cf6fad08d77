"""Functions: create, show, list, update, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samovar.doors.http.operations import concurrency, rendering
from samovar.doors.http.operations.table import Call, IsDefault, Operation
from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.arn import FunctionReference
from samovar.model.function import HOT_RELOAD, LATEST, Configuration, FunctionVersion, SnapStart
from samovar.registry.functions import (
    CodeSource,
    ConfigurationChanges,
    LiveDirectory,
    NewFunction,
    S3Object,
    ZipBytes,
)


def _equals(default: Any) -> IsDefault:
    return lambda value: bool(value == default)


def _nothing(value: Any) -> bool:
    """An empty value, or a structure of nothing but empty values."""
    return not any(value.values()) if isinstance(value, dict) else not value


# Members of Create and UpdateFunctionConfiguration which may say what is the case anyway.
_CONFIGURATION_DEFAULTS: dict[str, IsDefault] = {
    "VpcConfig": _nothing,
    "KMSKeyArn": _nothing,
    "TracingConfig": lambda value: value in ({}, {"Mode": "PassThrough"}),
    "FileSystemConfigs": _nothing,
    "ImageConfig": _nothing,
}
_CODE_DEFAULTS: dict[str, IsDefault] = {
    "Architectures": _equals([rendering.ARCHITECTURE]),
}
_CONFIGURATION = {
    "FunctionName",
    "Runtime",
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment.Variables",
    "EphemeralStorage.Size",
    "LoggingConfig.LogFormat",
    "LoggingConfig.ApplicationLogLevel",
    "LoggingConfig.SystemLogLevel",
    "LoggingConfig.LogGroup",
    "Layers",
    "SnapStart.ApplyOn",
    "DeadLetterConfig.TargetArn",
}


def _shown(call: Call, version: FunctionVersion, arn: str) -> dict[str, Any]:
    engine = call.engine
    return rendering.function_configuration(version, engine, arn)


async def _create(call: Call) -> dict[str, Any]:
    params = call.params
    settings = call.engine.settings
    reference = FunctionReference.parse_new(
        params["FunctionName"], region=settings.region, account=settings.account_id
    )
    given = _configuration(params)
    required = {name: given.pop(name, "") for name in ("handler", "runtime", "role")}
    new = NewFunction(
        reference.name,
        Configuration(**required, **given),
        code_source(params["Code"]),
        params.get("Tags", {}),
        params.get("CodeSigningConfigArn"),
        params.get("Layers", ()),
        params.get("Publish", False),
    )
    version = await call.engine.registry.create(new)
    return _shown(call, version, version.arn)  # without the version, also of one that is published


def _configuration(params: Any) -> dict[str, Any]:
    """The fields of Configuration and ConfigurationChanges that a request gives."""
    fields = {
        "runtime": params.get("Runtime"),
        "role": params.get("Role"),
        "handler": params.get("Handler"),
        "description": params.get("Description"),
        "timeout": params.get("Timeout"),
        "memory_size": params.get("MemorySize"),
    }
    # A structure that is given replaces the whole of what was there.
    if "Environment" in params:
        fields["environment"] = params["Environment"].get("Variables", {})
    if "EphemeralStorage" in params:
        fields["ephemeral_storage"] = params["EphemeralStorage"]["Size"]
    if "LoggingConfig" in params:  # but for this one: AWS keeps what of it is not given
        logging = params["LoggingConfig"]
        fields["log_group"] = logging.get("LogGroup")
        fields["log_format"] = logging.get("LogFormat")
        fields["application_log_level"] = logging.get("ApplicationLogLevel")
        fields["system_log_level"] = logging.get("SystemLogLevel")
    if "SnapStart" in params:
        fields["snap_start"] = params["SnapStart"].get("ApplyOn", SnapStart.NONE.value)
    if "DeadLetterConfig" in params:
        fields["dead_letter"] = params["DeadLetterConfig"].get("TargetArn", "")
    if "VpcConfig" in params:  # an empty one, or it would have been refused
        fields["vpc_config_given"] = True
    return {field: value for field, value in fields.items() if value is not None}


def code_source(code: Any) -> CodeSource:
    """The code in a request: a zip, or the place of one in S3."""
    zip_file = code.get("ZipFile")
    bucket, key, version = (code.get(f"S3{part}") for part in ("Bucket", "Key", "ObjectVersion"))
    if zip_file is not None:
        if bucket or key or version:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            )
        return ZipBytes(zip_file)
    if bucket == HOT_RELOAD and key:
        if version:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The bucket {HOT_RELOAD} stands for directories of the engine's machine, which "
                "have no versions: leave S3ObjectVersion out.",
            )
        return LiveDirectory(Path(key))
    if bucket and key:
        return S3Object(bucket, key, version)
    if bucket or key or version:
        missing = "S3Key" if bucket else "S3Bucket"
        raise ClientError(
            AWS.INVALID_PARAMETER, f"{missing} is missing: code in S3 has both a bucket and a key."
        )
    raise ClientError(AWS.INVALID_PARAMETER, "Please provide a source for function code.")


async def _get(call: Call) -> dict[str, Any]:
    registry = call.engine.registry
    reference = call.reference()
    version = registry.get(reference.name, reference.qualifier)
    tags = registry.tags_of(version.arn)
    return {
        "Configuration": _shown(call, version, reference.arn),
        "Code": {"RepositoryType": "S3", "Location": call.links.make(version.code, call.base_url)},
        "Tags": dict(tags) or None,
        # Of a version or alias, too, which has its part in it (unconfirmed).
        "Concurrency": concurrency.reserved(registry.concurrency.get(reference.name)) or None,
    }


async def _get_configuration(call: Call) -> dict[str, Any]:
    reference = call.reference()
    version = call.engine.registry.get(reference.name, reference.qualifier)
    return _shown(call, version, reference.arn)


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    everything = params.get("FunctionVersion") == "ALL"
    page = call.engine.registry.list(
        params.get("Marker"), params.get("MaxItems"), all_versions=everything
    )
    return {
        "NextMarker": page.next_marker,
        "Functions": [
            rendering.list_item(item, call.engine, item.qualified_arn if everything else item.arn)
            for item in page.functions
        ],
    }


async def _update_code(call: Call) -> dict[str, Any]:
    params = call.params
    version = await call.engine.registry.update_code(
        call.whole_function(),
        code_source(params),
        revision_id=params.get("RevisionId"),
        dry_run=params.get("DryRun", False),
        publish=params.get("Publish", False),
    )
    published = version.version != LATEST
    return _shown(call, version, version.qualified_arn if published else version.arn)


async def _update_configuration(call: Call) -> dict[str, Any]:
    params = call.params
    name = call.whole_function()
    changes = ConfigurationChanges(**_configuration(params), layers=params.get("Layers"))
    version = await call.engine.registry.update_configuration(
        name, changes, revision_id=params.get("RevisionId")
    )
    return _shown(call, version, version.arn)


async def _delete(call: Call) -> dict[str, Any]:
    registry = call.engine.registry
    # AWS measures it like an operation on a function alone (recorded replies), whatever its model.
    reference = call.reference(limits.UNQUALIFIED_REFERENCE_LENGTH)
    qualifier = reference.qualifier
    if qualifier is None:
        await registry.delete(reference.name)
    else:
        await registry.versions.delete(reference.name, qualifier)
    return {"StatusCode": 204}  # what AWS answers, whatever its model says


OPERATIONS = (
    Operation(
        _create,
        frozenset(
            {
                *_CONFIGURATION,
                "Code.ZipFile",
                "Code.S3Bucket",
                "Code.S3Key",
                "Code.S3ObjectVersion",
                "CodeSigningConfigArn",
                "Tags",
                "Publish",
            }
        ),
        "CreateFunction",
        {
            **_CONFIGURATION_DEFAULTS,
            **_CODE_DEFAULTS,
            "PackageType": _equals("Zip"),
            "Code.S3ObjectStorageMode": _equals("COPY"),
        },
    ),
    Operation(_get, frozenset({"FunctionName", "Qualifier"}), "GetFunction"),
    Operation(
        _get_configuration, frozenset({"FunctionName", "Qualifier"}), "GetFunctionConfiguration"
    ),
    Operation(
        _list,
        frozenset({"FunctionVersion", "Marker", "MaxItems"}),
        "ListFunctions",
        {"MasterRegion": _equals("ALL")},  # no function is replicated from another Region
    ),
    Operation(
        _update_code,
        frozenset(
            {
                "FunctionName",
                "ZipFile",
                "S3Bucket",
                "S3Key",
                "S3ObjectVersion",
                "DryRun",
                "RevisionId",
                "Publish",
            }
        ),
        "UpdateFunctionCode",
        {**_CODE_DEFAULTS, "S3ObjectStorageMode": _equals("COPY")},
    ),
    Operation(
        _update_configuration,
        frozenset({*_CONFIGURATION, "RevisionId"}),
        "UpdateFunctionConfiguration",
        _CONFIGURATION_DEFAULTS,
    ),
    Operation(_delete, frozenset({"FunctionName", "Qualifier"}), "DeleteFunction"),
)
