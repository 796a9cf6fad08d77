"""Permissions: the resource policies of functions."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.errors import AWS, ClientError
from samovar.model import policy
from samovar.model.policy import Statement


async def _add(call: Call) -> dict[str, Any]:
    params = call.params
    reference = call.reference()
    auth_type = params.get("FunctionUrlAuthType")
    if auth_type is not None and params["Action"] != "lambda:InvokeFunctionUrl":
        raise ClientError(  # that AWS refuses this is known, its words are not confirmed
            AWS.INVALID_PARAMETER,
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
        )
    statement = Statement(
        params["StatementId"],
        policy.principal(params["Principal"]),
        params["Action"],
        reference.arn,
        policy.condition(
            source_account=params.get("SourceAccount"),
            organization=params.get("PrincipalOrgID"),
            source_arn=params.get("SourceArn"),
            event_source_token=params.get("EventSourceToken"),
            function_url_auth_type=auth_type,
            invoked_via_function_url=params.get("InvokedViaFunctionUrl"),
        ),
    )
    await call.engine.registry.permissions.add(
        reference.name, reference.qualifier, statement, params.get("RevisionId")
    )
    return {"Statement": statement.text()}


async def _get(call: Call) -> dict[str, Any]:
    reference = call.reference()
    found, revision = call.engine.registry.permissions.policy(reference.name, reference.qualifier)
    return {"Policy": found.text(), "RevisionId": revision}


async def _remove(call: Call) -> dict[str, Any]:
    params = call.params
    reference = call.reference()
    await call.engine.registry.permissions.remove(
        reference.name, reference.qualifier, params["StatementId"], params.get("RevisionId")
    )
    return {}


OPERATIONS = (
    Operation(
        _add,
        frozenset(
            {
                "FunctionName",
                "Qualifier",
                "StatementId",
                "Action",
                "Principal",
                "PrincipalOrgID",
                "SourceArn",
                "SourceAccount",
                "EventSourceToken",
                "FunctionUrlAuthType",
                "InvokedViaFunctionUrl",
                "RevisionId",
            }
        ),
        "AddPermission",
    ),
    Operation(_get, frozenset({"FunctionName", "Qualifier"}), "GetPolicy"),
    Operation(
        _remove,
        frozenset({"FunctionName", "Qualifier", "StatementId", "RevisionId"}),
        "RemovePermission",
    ),
)
