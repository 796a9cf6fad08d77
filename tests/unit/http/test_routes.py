"""Every operation of the API, by method and raw path."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from samovar.doors.http.api_model import operation_models
from samovar.doors.http.routes import Match, lambda_router
from samovar.errors import ClientError

# The 85 operations of the API in early 2026, as its reference lists them: newer models only add.
KNOWN = """
Invoke POST /2015-03-31/functions/{FunctionName}/invocations 200
InvokeWithResponseStream POST /2021-11-15/functions/{FunctionName}/response-streaming-invocations 200
InvokeAsync POST /2014-11-13/functions/{FunctionName}/invoke-async 202
CreateFunction POST /2015-03-31/functions 201
GetFunction GET /2015-03-31/functions/{FunctionName} 200
GetFunctionConfiguration GET /2015-03-31/functions/{FunctionName}/configuration 200
ListFunctions GET /2015-03-31/functions 200
UpdateFunctionCode PUT /2015-03-31/functions/{FunctionName}/code 200
UpdateFunctionConfiguration PUT /2015-03-31/functions/{FunctionName}/configuration 200
DeleteFunction DELETE /2015-03-31/functions/{FunctionName} 200
GetAccountSettings GET /2016-08-19/account-settings 200
PublishVersion POST /2015-03-31/functions/{FunctionName}/versions 201
ListVersionsByFunction GET /2015-03-31/functions/{FunctionName}/versions 200
CreateAlias POST /2015-03-31/functions/{FunctionName}/aliases 201
GetAlias GET /2015-03-31/functions/{FunctionName}/aliases/{Name} 200
ListAliases GET /2015-03-31/functions/{FunctionName}/aliases 200
UpdateAlias PUT /2015-03-31/functions/{FunctionName}/aliases/{Name} 200
DeleteAlias DELETE /2015-03-31/functions/{FunctionName}/aliases/{Name} 204
PutFunctionConcurrency PUT /2017-10-31/functions/{FunctionName}/concurrency 200
GetFunctionConcurrency GET /2019-09-30/functions/{FunctionName}/concurrency 200
DeleteFunctionConcurrency DELETE /2017-10-31/functions/{FunctionName}/concurrency 204
PutProvisionedConcurrencyConfig PUT /2019-09-30/functions/{FunctionName}/provisioned-concurrency 202
GetProvisionedConcurrencyConfig GET /2019-09-30/functions/{FunctionName}/provisioned-concurrency 200
DeleteProvisionedConcurrencyConfig DELETE /2019-09-30/functions/{FunctionName}/provisioned-concurrency 204
ListProvisionedConcurrencyConfigs GET /2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL 200
PutFunctionEventInvokeConfig PUT /2019-09-25/functions/{FunctionName}/event-invoke-config 200
UpdateFunctionEventInvokeConfig POST /2019-09-25/functions/{FunctionName}/event-invoke-config 200
GetFunctionEventInvokeConfig GET /2019-09-25/functions/{FunctionName}/event-invoke-config 200
DeleteFunctionEventInvokeConfig DELETE /2019-09-25/functions/{FunctionName}/event-invoke-config 204
ListFunctionEventInvokeConfigs GET /2019-09-25/functions/{FunctionName}/event-invoke-config/list 200
PutFunctionRecursionConfig PUT /2024-08-31/functions/{FunctionName}/recursion-config 200
GetFunctionRecursionConfig GET /2024-08-31/functions/{FunctionName}/recursion-config 200
CreateEventSourceMapping POST /2015-03-31/event-source-mappings 202
GetEventSourceMapping GET /2015-03-31/event-source-mappings/{UUID} 200
ListEventSourceMappings GET /2015-03-31/event-source-mappings 200
UpdateEventSourceMapping PUT /2015-03-31/event-source-mappings/{UUID} 202
DeleteEventSourceMapping DELETE /2015-03-31/event-source-mappings/{UUID} 202
AddPermission POST /2015-03-31/functions/{FunctionName}/policy 201
GetPolicy GET /2015-03-31/functions/{FunctionName}/policy 200
RemovePermission DELETE /2015-03-31/functions/{FunctionName}/policy/{StatementId} 204
TagResource POST /2017-03-31/tags/{Resource} 204
UntagResource DELETE /2017-03-31/tags/{Resource} 204
ListTags GET /2017-03-31/tags/{Resource} 200
CreateFunctionUrlConfig POST /2021-10-31/functions/{FunctionName}/url 201
GetFunctionUrlConfig GET /2021-10-31/functions/{FunctionName}/url 200
UpdateFunctionUrlConfig PUT /2021-10-31/functions/{FunctionName}/url 200
DeleteFunctionUrlConfig DELETE /2021-10-31/functions/{FunctionName}/url 204
ListFunctionUrlConfigs GET /2021-10-31/functions/{FunctionName}/urls 200
PublishLayerVersion POST /2018-10-31/layers/{LayerName}/versions 201
GetLayerVersion GET /2018-10-31/layers/{LayerName}/versions/{VersionNumber} 200
GetLayerVersionByArn GET /2018-10-31/layers?find=LayerVersion 200
ListLayers GET /2018-10-31/layers 200
ListLayerVersions GET /2018-10-31/layers/{LayerName}/versions 200
DeleteLayerVersion DELETE /2018-10-31/layers/{LayerName}/versions/{VersionNumber} 204
AddLayerVersionPermission POST /2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy 201
GetLayerVersionPolicy GET /2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy 200
RemoveLayerVersionPermission DELETE /2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId} 204
GetRuntimeManagementConfig GET /2021-07-20/functions/{FunctionName}/runtime-management-config 200
PutRuntimeManagementConfig PUT /2021-07-20/functions/{FunctionName}/runtime-management-config 200
CreateCodeSigningConfig POST /2020-04-22/code-signing-configs 201
GetCodeSigningConfig GET /2020-04-22/code-signing-configs/{CodeSigningConfigArn} 200
UpdateCodeSigningConfig PUT /2020-04-22/code-signing-configs/{CodeSigningConfigArn} 200
DeleteCodeSigningConfig DELETE /2020-04-22/code-signing-configs/{CodeSigningConfigArn} 204
ListCodeSigningConfigs GET /2020-04-22/code-signing-configs 200
ListFunctionsByCodeSigningConfig GET /2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions 200
PutFunctionCodeSigningConfig PUT /2020-06-30/functions/{FunctionName}/code-signing-config 200
GetFunctionCodeSigningConfig GET /2020-06-30/functions/{FunctionName}/code-signing-config 200
DeleteFunctionCodeSigningConfig DELETE /2020-06-30/functions/{FunctionName}/code-signing-config 204
CreateCapacityProvider POST /2025-11-30/capacity-providers 202
GetCapacityProvider GET /2025-11-30/capacity-providers/{CapacityProviderName} 200
ListCapacityProviders GET /2025-11-30/capacity-providers 200
UpdateCapacityProvider PUT /2025-11-30/capacity-providers/{CapacityProviderName} 202
DeleteCapacityProvider DELETE /2025-11-30/capacity-providers/{CapacityProviderName} 202
ListFunctionVersionsByCapacityProvider GET /2025-11-30/capacity-providers/{CapacityProviderName}/function-versions 200
PutFunctionScalingConfig PUT /2025-11-30/functions/{FunctionName}/function-scaling-config 202
GetFunctionScalingConfig GET /2025-11-30/functions/{FunctionName}/function-scaling-config 200
GetDurableExecution GET /2025-12-01/durable-executions/{DurableExecutionArn} 200
ListDurableExecutionsByFunction GET /2025-12-01/functions/{FunctionName}/durable-executions 200
GetDurableExecutionHistory GET /2025-12-01/durable-executions/{DurableExecutionArn}/history 200
GetDurableExecutionState GET /2025-12-01/durable-executions/{DurableExecutionArn}/state 200
CheckpointDurableExecution POST /2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint 200
StopDurableExecution POST /2025-12-01/durable-executions/{DurableExecutionArn}/stop 200
SendDurableExecutionCallbackSuccess POST /2025-12-01/durable-execution-callbacks/{CallbackId}/succeed 200
SendDurableExecutionCallbackFailure POST /2025-12-01/durable-execution-callbacks/{CallbackId}/fail 200
SendDurableExecutionCallbackHeartbeat POST /2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat 200
"""  # noqa: E501 - a table
TABLE = [tuple(line.split()) for line in KNOWN.strip().splitlines()]

# What labels may hold: everything that has to be encoded, and a plus sign that must not be.
VALUE = "arn:aws:lambda:us-east-1:000000000000:function:ä b+c/d%2F:$LATEST"


def match(method: str, target: str) -> Match:
    path, _, query = target.partition("?")
    return lambda_router().match(method, path, query)


def filled(template: str) -> tuple[str, dict[str, str]]:
    labels = re.findall(r"\{(\w+)\}", template)
    values = {label: f"{VALUE}{at}" for at, label in enumerate(labels)}
    for label, value in values.items():
        template = template.replace("{" + label + "}", quote(value, safe=""))
    return template, values


def test_the_table_is_whole() -> None:
    assert len(TABLE) == len({row[0] for row in TABLE}) == 85


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_known_operations_route(row: tuple[str, str, str, str]) -> None:
    name, method, template, status = row
    target, values = filled(template)
    found = match(method, target)
    assert found.operation.name == name
    assert found.labels == values
    assert found.operation.http["responseCode"] == int(status)


@pytest.mark.parametrize("name", operation_models())
def test_every_operation_of_the_installed_model_routes(name: str) -> None:
    http = operation_models()[name].http
    target, values = filled(http["requestUri"])
    found = match(http["method"], target)
    assert (found.operation.name, found.labels) == (name, values)


def test_a_fixed_query_decides_between_two_operations() -> None:
    path = "/2019-09-30/functions/f/provisioned-concurrency"
    assert match("GET", f"{path}?Qualifier=1").operation.name == "GetProvisionedConcurrencyConfig"
    listing = match("GET", f"{path}?MaxItems=5&List=ALL")
    assert listing.operation.name == "ListProvisionedConcurrencyConfigs"
    assert listing.query == [("MaxItems", "5")]  # not what has decided


def test_a_plus_sign_in_a_label_stays_one_and_is_a_blank_in_a_query() -> None:
    found = match("GET", "/2015-03-31/functions/a+b?Qualifier=c+d%2B&Empty=")
    assert found.labels == {"FunctionName": "a+b"}
    assert found.query == [("Qualifier", "c d+"), ("Empty", "")]


def test_an_encoded_slash_does_not_split() -> None:
    assert match("GET", "/2017-03-31/tags/a%2Fb").labels == {"Resource": "a/b"}
    with pytest.raises(ClientError):
        match("GET", "/2017-03-31/tags/a/b")


def test_the_trailing_slash_of_older_clients() -> None:
    assert match("GET", "/2015-03-31/functions/").operation.name == "ListFunctions"


@pytest.mark.parametrize(
    ("method", "target", "told"),
    [
        ("GET", "/", "not an operation of the Lambda API"),
        ("GET", "/2015-03-31/nothing", "Check the endpoint"),
        ("GET", "/v1/2015-03-31/functions", "no path of its own"),
        ("PATCH", "/2015-03-31/functions/f", "DELETE and GET are"),
        ("POST", "/2015-03-31/functions/f/g/h", "not an operation"),
        ("GET", "/2018-10-31/" + "x" * 5000, "…"),
    ],
)
def test_what_is_no_operation(method: str, target: str, told: str) -> None:
    with pytest.raises(ClientError) as caught:
        match(method, target)
    assert caught.value.error.code == "UnknownOperationException"
    assert caught.value.error.status == 404
    assert told in caught.value.message
    assert len(caught.value.message) < 500


def test_a_label_that_is_not_utf8() -> None:
    with pytest.raises(ClientError) as caught:
        match("GET", "/2015-03-31/functions/%ff")
    assert caught.value.error.code == "SerializationException"
