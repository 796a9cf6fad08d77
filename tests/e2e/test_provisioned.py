"""Provisioned concurrency as deployers ask for it: Terraform's resource and SAM's
ProvisionedConcurrencyConfig with AutoPublishAlias, each in the order of its calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.house import ARN, AT_ONCE, new, zipped

HOW = """\
import os

def handler(event, context):
    kind = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
    return {"version": context.function_version, "kind": kind, "edition": EDITION}
"""
NEVER = "raise ValueError('not today')\n"


def code(edition: int) -> bytes:
    return zipped({"app.py": f"EDITION = {edition}\n{HOW}"})


def invoked(aws: Any, qualifier: str) -> dict[str, Any]:
    reply = aws.invoke(FunctionName="f", Qualifier=qualifier)
    found: dict[str, Any] = json.load(reply["Payload"])
    assert reply["ExecutedVersion"] == found["version"]
    return found


class Config:
    """aws_lambda_provisioned_concurrency_config."""

    def __init__(self, aws: Any, qualifier: str) -> None:
        self.aws = aws
        self.of = {"FunctionName": "f", "Qualifier": qualifier}

    def apply(self, contexts: int) -> None:
        """Create and update are the same: put, and wait until it is READY."""
        self.aws.put_provisioned_concurrency_config(
            **self.of, ProvisionedConcurrentExecutions=contexts
        )
        while (found := self._get())["Status"] != "READY":
            assert found["Status"] == "IN_PROGRESS", found.get("StatusReason")

    def read(self) -> int | None:
        """What is kept as state."""
        try:
            return int(self._get()["AllocatedProvisionedConcurrentExecutions"])
        except self.aws.exceptions.ProvisionedConcurrencyConfigNotFoundException:
            return None

    def destroy(self) -> None:
        self.aws.delete_provisioned_concurrency_config(**self.of)

    def _get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.get_provisioned_concurrency_config(**self.of)
        return found


def deployed(aws: Any, edition: int = 1) -> None:
    aws.create_function(**new("f", Code={"ZipFile": code(edition)}, Publish=True))
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    published(aws, "1")


def published(aws: Any, version: str) -> None:
    """The version is there and Active."""
    waiter = aws.get_waiter("published_version_active")
    waiter.wait(FunctionName="f", Qualifier=version, WaiterConfig=AT_ONCE)


def test_terraform(aws: Any) -> None:
    deployed(aws)
    aws.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for qualifier in ("live", "1"):
        config = Config(aws, qualifier)
        assert config.read() is None
        for contexts in (2, 1):
            config.apply(contexts)
            assert config.read() == contexts  # a plan finds nothing to do
            expected = {"version": "1", "kind": "provisioned-concurrency", "edition": 1}
            assert invoked(aws, qualifier) == expected
        config.destroy()
        assert config.read() is None
    with pytest.raises(aws.exceptions.ClientError) as refused:
        Config(aws, "$LATEST").apply(1)
    assert "unpublished function versions" in refused.value.response["Error"]["Message"]


def test_terraform_is_told_of_a_function_that_never_starts(aws: Any) -> None:
    aws.create_function(**new("f", Code={"ZipFile": zipped({"app.py": NEVER})}, Publish=True))
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    published(aws, "1")
    with pytest.raises(AssertionError, match="FUNCTION_ERROR_INIT_FAILURE"):
        Config(aws, "1").apply(1)


def test_sam(aws: Any) -> None:
    """What CloudFormation does for AutoPublishAlias with a ProvisionedConcurrencyConfig, at a first
    deployment and at a second one, whose contexts are there before it is over."""
    deployed(aws)
    aws.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    config = Config(aws, "live")
    config.apply(1)
    assert invoked(aws, "live")["kind"] == "provisioned-concurrency"
    aws.update_function_code(FunctionName="f", ZipFile=code(2))
    aws.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    assert aws.publish_version(FunctionName="f")["Version"] == "2"
    published(aws, "2")
    aws.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    config.apply(1)
    expected = {"version": "2", "kind": "provisioned-concurrency", "edition": 2}
    assert invoked(aws, "live") == expected
    (listed,) = aws.list_provisioned_concurrency_configs(FunctionName="f")[
        "ProvisionedConcurrencyConfigs"
    ]
    assert listed["FunctionArn"] == f"{ARN}f:live"
    aws.delete_alias(FunctionName="f", Name="live")
    assert invoked(aws, "2")["kind"] == "on-demand"
    aws.delete_function(FunctionName="f")
