"""Naming a function in every operation: the forms that work, and what is told of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, package, run

ACCOUNT = "000000000000"
OTHER_REGION = f"arn:aws:lambda:ap-southeast-1:{ACCOUNT}:function:f"
OTHER_ACCOUNT = "arn:aws:lambda:us-east-1:123456789012:function:f"

# Every operation that means one function, and what it needs besides.
OPERATIONS: dict[str, dict[str, Any]] = {
    "get_function": {},
    "get_function_configuration": {},
    "list_versions_by_function": {},
    "invoke": {},
    "update_function_configuration": {},
    "update_function_code": {"ZipFile": package()},
    "delete_function": {},
}


@pytest.mark.parametrize(
    "reference",
    [
        "f",
        "function:f",
        f"{ACCOUNT}:function:f",
        f"us-east-1:{ACCOUNT}:function:f",
        ARN + "f",
        "arn:aws-us-gov:lambda:us-east-1:000000000000:function:f",
    ],
)
def test_every_operation_takes_every_form(tmp_path: Path, reference: str) -> None:
    async def scene(it: House) -> None:
        created = await it.create(reference)
        assert (created["FunctionName"], created["FunctionArn"]) == ("f", ARN + "f")
        for operation, params in OPERATIONS.items():
            await it.engine.registry.wait_settled("f")
            found = await it.call(operation, FunctionName=reference, **params)
            shown = found.get("Configuration", found)
            assert shown.get("FunctionArn", ARN + "f") == ARN + "f"
        assert (await it.call("list_functions"))["Functions"] == []

    run(tmp_path, scene)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_no_operation_finds(tmp_path: Path, operation: str) -> None:
    # Invoke's own look-up always means a version, and says so.
    version = ":$LATEST" if operation == "invoke" else ""

    async def scene(it: House) -> None:
        await it.active()
        for reference, status, code, message in (
            ("none", 404, "ResourceNotFoundException", f"Function not found: {ARN}none{version}"),
            (
                ARN.removesuffix(":"),  # an ARN without a name is read as a function named so
                404,
                "ResourceNotFoundException",
                f"Function not found: {ARN}function{version}",
            ),
            (
                OTHER_REGION,
                404,
                "ResourceNotFoundException",
                "Functions from 'ap-southeast-1' are not reachable in this region ('us-east-1')",
            ),
            (
                OTHER_ACCOUNT,
                403,
                "AccessDeniedException",
                f"The function {OTHER_ACCOUNT} belongs to the account 123456789012; this engine "
                f"serves the account {ACCOUNT} and knows no policy that would let you in.",
            ),
        ):
            params = {"FunctionName": reference, **OPERATIONS[operation]}
            assert await it.refused(operation, **params) == (status, code, message)

    run(tmp_path, scene)


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration", "invoke"])
def test_qualifiers_that_nothing_is_found_under(tmp_path: Path, operation: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        for qualifier in ("$latest", "1", "live", "$LATEST.PUBLISHED"):
            missing = (404, "ResourceNotFoundException", f"Function not found: {ARN}f:{qualifier}")
            refused = await it.refused(operation, FunctionName="f", Qualifier=qualifier)
            assert refused == missing
            refused = await it.refused(operation, FunctionName=f"{ARN}f:{qualifier}")
            assert refused == missing
        for reference in ("f:1", f"{ARN}f:1", f"{ACCOUNT}:function:f:$LATEST"):
            assert await it.refused(operation, FunctionName=reference, Qualifier="2") == (
                400,
                "InvalidParameterValueException",
                "The derived qualifier from the function name does not match the specified "
                "qualifier.",
            )
        same = await it.call(operation, FunctionName="f:$LATEST", Qualifier="$LATEST")
        shown = same.get("Configuration", same)
        assert shown.get("FunctionArn", f"{ARN}f:$LATEST") == f"{ARN}f:$LATEST"

    run(tmp_path, scene)


def test_tags_of_what_is_not_there(tmp_path: Path) -> None:
    operations: dict[str, dict[str, Any]] = {
        "list_tags": {},
        "tag_resource": {"Tags": {"a": "b"}},
        "untag_resource": {"TagKeys": ["a"]},
    }

    async def scene(it: House) -> None:
        await it.active()
        for operation, params in operations.items():
            for resource, status, message in (
                (ARN + "none", 404, f"Function not found: {ARN}none"),
                (
                    OTHER_REGION,
                    404,
                    "Functions from 'ap-southeast-1' are not reachable in this region "
                    "('us-east-1')",
                ),
                (
                    ARN + "f:$LATEST",
                    400,
                    "Tags on function aliases and versions are not supported. Please specify a "
                    "function ARN.",
                ),
            ):
                refused = await it.refused(operation, Resource=resource, **params)
                assert (refused[0], refused[2]) == (status, message)
            other = ARN.replace("function:", "capacity-provider:")
            resource = f"{other}c"
            refused = await it.refused(operation, Resource=resource, **params)
            assert refused == (
                501,
                "NotImplementedException",
                "Samovar does not carry out the tags of capacity-provider resources yet: "
                + resource,
            )

    run(tmp_path, scene)


def test_tags_have_a_limit(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Tags={f"k{number}": "" for number in range(49)})
        await it.call("tag_resource", Resource=ARN + "f", Tags={"k49": "", "k0": "new"})
        too_many = (
            400,
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.",
        )
        refused = await it.refused("tag_resource", Resource=ARN + "f", Tags={"k50": ""})
        assert refused == too_many
        tags = (await it.call("list_tags", Resource=ARN + "f"))["Tags"]
        assert (len(tags), tags["k0"]) == (50, "new")
        keys = list(tags)
        done = await it.call("untag_resource", Resource=ARN + "f", TagKeys=keys)
        assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert "Tags" not in await it.call("get_function", FunctionName="f")

    run(tmp_path, scene)


def test_lists_go_on_after_fifty_whatever_is_asked(tmp_path: Path) -> None:
    names = [f"f{number:02}" for number in range(52)]

    async def scene(it: House) -> None:
        for name in names:
            await it.create(name)
        first = await it.call("list_functions", MaxItems=10000)
        assert [item["FunctionName"] for item in first["Functions"]] == names[:50]
        await it.call("delete_function", FunctionName="f49")  # the marker's own function
        second = await it.call("list_functions", Marker=first["NextMarker"])
        assert [item["FunctionName"] for item in second["Functions"]] == names[50:]
        assert "NextMarker" not in second
        configuration = await it.call("get_function_configuration", FunctionName="f00")
        states = {"State", "StateReason", "StateReasonCode", "RuntimeVersionConfig"}
        states |= {"LastUpdateStatus", "ResponseMetadata"}
        item = first["Functions"][0]
        assert set(item) == set(configuration) - states
        assert await it.refused("list_functions", Marker="nonsense") == (
            400,
            "InvalidParameterValueException",
            "The Marker is not one that ListFunctions gave: pass an earlier NextMarker.",
        )

    run(tmp_path, scene)
