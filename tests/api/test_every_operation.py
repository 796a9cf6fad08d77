"""Every operation of the API model is carried out, or answers by name that it is not yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from tests.api.house import SESSION, House, run
from tests.api.requests import least

from samovar.doors.http.api_model import operation_models
from samovar.doors.http.operations import OPERATIONS

CARRIED_OUT = {
    "AddPermission",
    "CreateAlias",
    "DeleteAlias",
    "GetAlias",
    "ListAliases",
    "PublishVersion",
    "UpdateAlias",
    "CreateCodeSigningConfig",
    "AddLayerVersionPermission",
    "CreateEventSourceMapping",
    "CreateFunction",
    "DeleteEventSourceMapping",
    "GetEventSourceMapping",
    "ListEventSourceMappings",
    "UpdateEventSourceMapping",
    "DeleteCodeSigningConfig",
    "DeleteFunction",
    "DeleteFunctionCodeSigningConfig",
    "DeleteFunctionConcurrency",
    "DeleteProvisionedConcurrencyConfig",
    "DeleteLayerVersion",
    "GetAccountSettings",
    "GetCodeSigningConfig",
    "GetFunction",
    "GetFunctionCodeSigningConfig",
    "GetFunctionConcurrency",
    "GetProvisionedConcurrencyConfig",
    "ListProvisionedConcurrencyConfigs",
    "GetFunctionConfiguration",
    "GetFunctionRecursionConfig",
    "GetPolicy",
    "GetRuntimeManagementConfig",
    "GetLayerVersion",
    "GetLayerVersionByArn",
    "GetLayerVersionPolicy",
    "DeleteFunctionEventInvokeConfig",
    "GetFunctionEventInvokeConfig",
    "Invoke",
    "InvokeAsync",
    "InvokeWithResponseStream",
    "ListFunctionEventInvokeConfigs",
    "PutFunctionEventInvokeConfig",
    "UpdateFunctionEventInvokeConfig",
    "ListCodeSigningConfigs",
    "ListFunctions",
    "ListFunctionsByCodeSigningConfig",
    "ListTags",
    "PutFunctionCodeSigningConfig",
    "PutFunctionConcurrency",
    "PutProvisionedConcurrencyConfig",
    "PutFunctionRecursionConfig",
    "PutRuntimeManagementConfig",
    "RemovePermission",
    "ListVersionsByFunction",
    "ListLayerVersions",
    "ListLayers",
    "PublishLayerVersion",
    "RemoveLayerVersionPermission",
    "TagResource",
    "UntagResource",
    "UpdateCodeSigningConfig",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
}


def test_the_operations_that_are_carried_out() -> None:
    assert {*OPERATIONS, "Invoke", "InvokeWithResponseStream"} == CARRIED_OUT
    assert len(operation_models()) >= 85


def test_every_other_operation_says_that_it_is_not_carried_out_yet(tmp_path: Path) -> None:
    """One after the other through boto3, with as little as boto3 lets through."""
    others = sorted(set(operation_models()) - CARRIED_OUT)

    def ask(it: House) -> dict[str, Any]:
        client = SESSION.client(
            "lambda",
            endpoint_url=it.url,
            config=Config(retries={"total_max_attempts": 1}),  # and parameters are validated
        )
        answers = {}
        try:
            for name in others:
                try:
                    getattr(client, xform_name(name))(**least(name))
                except client.exceptions.ClientError as error:
                    answers[name] = error.response
        finally:
            client.close()
        return answers

    async def scene(it: House) -> None:
        answers = await asyncio.to_thread(ask, it)
        assert sorted(answers) == others
        for name, answer in answers.items():
            metadata = answer["ResponseMetadata"]
            assert answer["Error"]["Code"] == "NotImplementedException"
            message = f"Samovar does not carry out the operation {name} yet."
            assert answer["Error"]["Message"] == message
            assert metadata["HTTPStatusCode"] == 501
            assert metadata["HTTPHeaders"]["x-amzn-errortype"] == "NotImplementedException"

    run(tmp_path, scene)


def test_no_boto3_client_repeats_a_request_that_is_not_carried_out(tmp_path: Path) -> None:
    def ask(it: House) -> int:
        client = SESSION.client("lambda", endpoint_url=it.url)
        try:
            with pytest.raises(client.exceptions.ClientError) as caught:
                client.list_capacity_providers()
        finally:
            client.close()
        attempts: int = caught.value.response["ResponseMetadata"]["RetryAttempts"]
        return attempts

    async def scene(it: House) -> None:
        assert await asyncio.to_thread(ask, it) == 0

    run(tmp_path, scene)
