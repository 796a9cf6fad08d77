"""SnapStart at the door: what is taken, refused and shown, and what an invocation comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.api.house import House, package, run
from tests.api.served import Serve, ServedHouse

ON = {"ApplyOn": "PublishedVersions"}
OFF = {"ApplyOn": "None"}
STORAGE = "Ephemeral storage greater than 512 MB is not supported for SnapStart enabled functions."


def test_what_is_given_is_kept_and_shown(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        shown = await it.create(SnapStart=ON)
        assert shown["SnapStart"] == {**ON, "OptimizationStatus": "Off"}
        await it.engine.registry.wait_settled("f")
        steps = [({}, ON), ({"Description": "x"}, ON), ({"SnapStart": OFF}, OFF), ({}, OFF)]
        steps += [({"SnapStart": ON}, ON), ({"SnapStart": {}}, OFF)]
        for changes, expected in steps:
            shown = await it.call("update_function_configuration", FunctionName="f", **changes)
            await it.engine.registry.wait_settled("f")
            assert shown["SnapStart"] == {**expected, "OptimizationStatus": "Off"}
        with pytest.raises(ClientError) as caught:
            await it.call(
                "update_function_configuration", FunctionName="f", SnapStart={"ApplyOn": "All"}
            )
        assert "Member must satisfy enum value set: [" in str(caught.value)

    run(tmp_path, scene)


def test_a_larger_tmp_and_snap_start_exclude_each_other(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        larger = {"EphemeralStorage": {"Size": 513}}
        with pytest.raises(ClientError) as caught:
            await it.create("g", SnapStart=ON, **larger)
        assert caught.value.response["Error"]["Message"] == STORAGE
        await it.active(SnapStart=ON)
        for changes in (larger, {**larger, "SnapStart": ON}):
            with pytest.raises(ClientError) as caught:
                await it.call("update_function_configuration", FunctionName="f", **changes)
            assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
            assert caught.value.response["Error"]["Message"] == STORAGE
        await it.call("update_function_configuration", FunctionName="f", SnapStart=OFF, **larger)

    run(tmp_path, scene)


def test_a_published_version_is_optimized_and_latest_is_not(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active(SnapStart=ON)
        await it.engine.registry.versions.publish("f")
        await it.engine.registry.wait_settled("f", "1")
        statuses = {}
        for qualifier in ("1", "$LATEST"):
            shown = await it.call(
                "get_function_configuration", FunctionName="f", Qualifier=qualifier
            )
            statuses[qualifier] = shown["SnapStart"]
        assert statuses == {
            "1": {**ON, "OptimizationStatus": "On"},
            "$LATEST": {**ON, "OptimizationStatus": "Off"},
        }

    serve(scene)


BROKEN = """
from snapshot_restore_py import register_after_restore

@register_after_restore
def never():
    raise ValueError("never")

def handler(event, context):
    return event
"""


def test_an_invocation_whose_hook_fails_is_refused_in_aws_s_words(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active(SnapStart=ON, Code={"ZipFile": package(BROKEN)})
        await it.engine.registry.versions.publish("f")
        await it.engine.registry.wait_settled("f", "1")
        with pytest.raises(ClientError) as caught:
            await it.call("invoke", FunctionName="f", Qualifier="1")
        response = caught.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert response["Error"]["Code"] == "SnapStartException"
        assert response["Error"]["Message"].startswith("The afterRestore() runtime hook")

    serve(scene)
