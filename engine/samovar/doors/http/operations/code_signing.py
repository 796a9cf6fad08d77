"""Code signing configs, and which functions have them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.doors.http.serialization import last_modified
from samovar.registry.code_signing_configs import CodeSigningConfig, Untrusted

_ARN = "CodeSigningConfigArn"
_PUBLISHERS = "AllowedPublishers.SigningProfileVersionArns"
_POLICY = "CodeSigningPolicies.UntrustedArtifactOnDeployment"


def _shown(config: CodeSigningConfig) -> dict[str, Any]:
    return {
        "CodeSigningConfigId": config.id,
        "CodeSigningConfigArn": config.arn,
        "Description": config.description,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.publishers)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.untrusted.value},
        "LastModified": last_modified(config.last_modified),
    }


def _with_given(config: CodeSigningConfig, call: Call) -> CodeSigningConfig:
    """`config` with what a request gives; the rest stays."""
    params = call.params
    publishers = params.get("AllowedPublishers", {}).get("SigningProfileVersionArns")
    policy = params.get("CodeSigningPolicies", {}).get("UntrustedArtifactOnDeployment")
    return replace(
        config,
        publishers=config.publishers if publishers is None else tuple(publishers),
        untrusted=config.untrusted if policy is None else Untrusted(policy),
        description=params.get("Description", config.description),
    )


async def _create(call: Call) -> dict[str, Any]:
    new = CodeSigningConfig("", (), tags=call.params.get("Tags", {}))
    config = await call.engine.registry.code_signing.create(_with_given(new, call))
    return {"CodeSigningConfig": _shown(config)}


async def _get(call: Call) -> dict[str, Any]:
    return {"CodeSigningConfig": _shown(call.engine.registry.code_signing.get(call.params[_ARN]))}


async def _update(call: Call) -> dict[str, Any]:
    config = await call.engine.registry.code_signing.update(
        call.params[_ARN], lambda present: _with_given(present, call)
    )
    return {"CodeSigningConfig": _shown(config)}


async def _delete(call: Call) -> dict[str, Any]:
    await call.engine.registry.code_signing.delete(call.params[_ARN])
    return {}


async def _list(call: Call) -> dict[str, Any]:
    params = call.params
    page = call.engine.registry.code_signing.list(params.get("Marker"), params.get("MaxItems"))
    return {
        "NextMarker": page.next_marker,
        "CodeSigningConfigs": [_shown(config) for config in page.configs],
    }


async def _list_functions(call: Call) -> dict[str, Any]:
    params = call.params
    page = call.engine.registry.code_signing.functions(
        params[_ARN], params.get("Marker"), params.get("MaxItems")
    )
    return {"NextMarker": page.next_marker, "FunctionArns": list(page.arns)}


def _function(call: Call) -> str:
    """The name of the function that is meant; a config belongs to all of its versions."""
    reference = call.reference()
    call.engine.registry.get(reference.name, reference.qualifier)
    return reference.name


async def _put_function(call: Call) -> dict[str, Any]:
    name, arn = _function(call), call.params[_ARN]
    await call.engine.registry.code_signing.put(name, arn)
    return {_ARN: arn, "FunctionName": name}


async def _get_function(call: Call) -> dict[str, Any]:
    name = _function(call)
    arn = call.engine.registry.code_signing.of_function(name)
    # The model calls both required; a function without a config has neither (unconfirmed).
    return {} if arn is None else {_ARN: arn, "FunctionName": name}


async def _delete_function(call: Call) -> dict[str, Any]:
    await call.engine.registry.code_signing.put(_function(call), None)
    return {}


OPERATIONS = (
    Operation(
        _create,
        frozenset({"Description", "Tags", _PUBLISHERS, _POLICY}),
        "CreateCodeSigningConfig",
    ),
    Operation(_get, frozenset({_ARN}), "GetCodeSigningConfig"),
    Operation(
        _update, frozenset({_ARN, "Description", _PUBLISHERS, _POLICY}), "UpdateCodeSigningConfig"
    ),
    Operation(_delete, frozenset({_ARN}), "DeleteCodeSigningConfig"),
    Operation(_list, frozenset({"Marker", "MaxItems"}), "ListCodeSigningConfigs"),
    Operation(
        _list_functions,
        frozenset({_ARN, "Marker", "MaxItems"}),
        "ListFunctionsByCodeSigningConfig",
    ),
    Operation(_put_function, frozenset({"FunctionName", _ARN}), "PutFunctionCodeSigningConfig"),
    Operation(_get_function, frozenset({"FunctionName"}), "GetFunctionCodeSigningConfig"),
    Operation(_delete_function, frozenset({"FunctionName"}), "DeleteFunctionCodeSigningConfig"),
)
