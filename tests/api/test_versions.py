"""Versions through boto3: what is published, and every text of what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, ROLE, House, package, run

from samovar.model.function import FunctionVersion

OTHER = package("def handler(event, context):\n    return 2\n")
REVISION = (
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the "
    "GetFunction/GetAlias API to retrieve the latest Revision Id",
)


def invalid(message: str) -> tuple[int, str, str]:
    return 400, "InvalidParameterValueException", message


def missing(arn: str) -> tuple[int, str, str]:
    return 404, "ResourceNotFoundException", f"Function not found: {arn}"


async def publish(it: House, name: str = "f", **given: Any) -> FunctionVersion:
    """A version of it, once it is Active."""
    found = await it.call("publish_version", FunctionName=name, **given)
    return await it.engine.registry.wait_settled(name, found["Version"])


def test_publish_a_version(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Description="own", Environment={"Variables": {"AB": "c"}})
        latest = await it.call("get_function_configuration", FunctionName="f")
        sha = latest["CodeSha256"]
        made = await it.call(
            "publish_version",
            FunctionName="f",
            CodeSha256=sha,
            RevisionId=latest["RevisionId"],
            Description="first",
        )
        assert made.pop("ResponseMetadata")["HTTPStatusCode"] == 201
        same = ("Role", "Handler", "CodeSha256", "Environment", "LoggingConfig", "MemorySize")
        assert {key: made[key] for key in same} == {key: latest[key] for key in same}
        told = ("FunctionArn", "Version", "Description", "State", "StateReasonCode")
        assert [made[key] for key in told] == [ARN + "f:1", "1", "first", "Pending", "Creating"]
        assert "LastUpdateStatus" not in made
        await it.engine.registry.wait_settled("f", "1")
        assert (
            await it.refused("publish_version", FunctionName="f", RevisionId=latest["RevisionId"])
            == REVISION
        )
        again = await it.call("publish_version", FunctionName="f")
        assert (again["Version"], again["Description"]) == ("1", "first")
        assert (again["State"], again["LastUpdateStatus"]) == ("Active", "Successful")
        assert again["RevisionId"] == made["RevisionId"]
        assert await it.refused("publish_version", FunctionName="f", CodeSha256="abc") == invalid(
            f"CodeSHA256 (abc) is different from current CodeSHA256 in $LATEST ({sha}). Please try "
            "again with the CodeSHA256 in $LATEST."
        )
        assert await it.refused("publish_version", FunctionName="g") == missing(ARN + "g")

    run(tmp_path, scene)


def test_published_with_the_function_and_with_its_code(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        made = await it.create(Publish=True)
        assert (made["FunctionArn"], made["Version"], made["State"]) == (ARN + "f", "1", "Pending")
        await it.engine.registry.wait_settled("f")
        updated = await it.call(
            "update_function_code", FunctionName="f", ZipFile=OTHER, Publish=True
        )
        told = (updated["FunctionArn"], updated["Version"], updated["State"])
        assert told == (ARN + "f:2", "2", "Pending")
        await it.engine.registry.wait_settled("f")
        await it.engine.registry.wait_settled("f", "2")
        found = {}
        for qualifier in ("1", "2", "$LATEST"):
            shown = await it.call("get_function", FunctionName="f", Qualifier=qualifier)
            assert shown["Configuration"]["FunctionArn"] == f"{ARN}f:{qualifier}"
            assert shown["Configuration"]["Version"] == qualifier
            found[qualifier] = shown["Configuration"]["CodeSha256"]
        assert found["1"] != found["2"] == found["$LATEST"]
        same = await it.call("update_function_code", FunctionName="f", ZipFile=OTHER, Publish=True)
        assert (same["Version"], same["State"]) == ("2", "Active")
        await it.engine.registry.wait_settled("f")
        dry = await it.call(
            "update_function_code", FunctionName="f", ZipFile=package(), Publish=True, DryRun=True
        )
        assert (dry["FunctionArn"], dry["Version"]) == (ARN + "f", "$LATEST")
        usage = (await it.call("get_account_settings"))["AccountUsage"]
        size = len(package()) + 2 * len(OTHER)
        assert usage == {"TotalCodeSize": size, "FunctionCount": 1}

    run(tmp_path, scene)


def test_what_is_a_change_since_the_last_version(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await publish(it)
        for changes, number in (
            ({}, "1"),
            ({"Timeout": 3, "Layers": [], "SnapStart": {"ApplyOn": "None"}}, "1"),
            ({"LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}}, "1"),
            ({"LoggingConfig": {"LogGroup": "/other"}}, "2"),
            ({"Timeout": 4}, "3"),
            ({"Environment": {"Variables": {}}}, "4"),  # which is shown from then on
            ({"Description": "d"}, "5"),
        ):
            await it.call("update_function_configuration", FunctionName="f", **changes)
            await it.engine.registry.wait_settled("f")
            assert (await publish(it)).version == number, changes

    run(tmp_path, scene)


def test_lists_of_versions(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await it.active("g")
        await publish(it)
        await publish(it, Description="2")
        everything = ["$LATEST", "1", "2"]
        found = await it.call("list_versions_by_function", FunctionName=ARN + "f")
        assert [item["Version"] for item in found["Versions"]] == everything
        arns = [f"{ARN}f:{number}" for number in everything]
        assert [item["FunctionArn"] for item in found["Versions"]] == arns
        assert "NextMarker" not in found
        assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & set(found["Versions"][1])
        first = await it.call("list_versions_by_function", FunctionName="f", MaxItems=2)
        rest = await it.call(
            "list_versions_by_function", FunctionName="f", Marker=first["NextMarker"]
        )
        assert [item["Version"] for item in first["Versions"] + rest["Versions"]] == everything
        of_all = await it.call("list_functions", FunctionVersion="ALL")
        assert [item["FunctionArn"] for item in of_all["Functions"]] == [*arns, ARN + "g:$LATEST"]
        plain = await it.call("list_functions")
        assert [item["FunctionArn"] for item in plain["Functions"]] == [ARN + "f", ARN + "g"]

    run(tmp_path, scene)


def test_delete_a_version(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await publish(it)
        await publish(it, Description="2")
        await it.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1")
        refused = it.refused
        assert await refused("delete_function", FunctionName="f", Qualifier="1") == (
            409,
            "ResourceConflictException",
            "Unable to delete version because the following aliases reference it: [live]",
        )
        assert await refused("delete_function", FunctionName="f:$LATEST") == invalid(
            "$LATEST version cannot be deleted without deleting the function."
        )
        assert await refused("delete_function", FunctionName=ARN + "f:live") == invalid(
            "Deletion of aliases is not currently supported."
        )
        gone = await it.call("delete_function", FunctionName="f", Qualifier="9")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        gone = await it.call("delete_function", FunctionName="f:2")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert await refused("get_function", FunctionName="f", Qualifier="2") == missing(
            ARN + "f:2"
        )
        await it.call("delete_alias", FunctionName="f", Name="live")
        await it.call("delete_function", FunctionName="f", Qualifier="1")
        assert (await publish(it)).version == "3"
        await it.call("delete_function", FunctionName="f")
        for qualifier in ("$LATEST", "3"):
            assert await refused("get_function", FunctionName="f", Qualifier=qualifier) == missing(
                f"{ARN}f:{qualifier}"
            )

    run(tmp_path, scene)


CHANGES: dict[str, dict[str, Any]] = {
    "update_function_code": {"ZipFile": OTHER},
    "update_function_configuration": {"Timeout": 9},
    "publish_version": {},
    "list_versions_by_function": {},
    "create_alias": {"Name": "x", "FunctionVersion": "1"},
    "get_alias": {"Name": "live"},
    "list_aliases": {},
    "update_alias": {"Name": "live"},
    "delete_alias": {"Name": "live"},
}


def test_what_is_asked_of_a_function_as_a_whole(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await publish(it)
        await it.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1")
        before = await it.call("list_versions_by_function", FunctionName="f")
        for method, params in CHANGES.items():
            for reference in ("f:1", "f:live", ARN + "f:live"):
                assert await it.refused(method, FunctionName=reference, **params) == invalid(
                    "This operation is permitted on Lambda functions only. Aliases and versions do "
                    "not support this operation. Please specify either a function name or an "
                    "unqualified function ARN."
                )
            assert await it.refused(method, FunctionName="f:77", **params) == missing(ARN + "f:77")
        after = await it.call("list_versions_by_function", FunctionName="f")
        assert after["Versions"] == before["Versions"]
        await it.call("update_function_configuration", FunctionName="f:$LATEST", Timeout=9)
        for resource in ("f:1", "f:live"):
            assert await it.refused("list_tags", Resource=ARN + resource) == invalid(
                "Tags on function aliases and versions are not supported. Please specify a "
                "function ARN."
            )

    run(tmp_path, scene)


def test_how_the_runtime_of_a_version_is_managed(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await publish(it)
        await it.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1")
        at = {"FunctionName": "f", "Qualifier": "1"}
        await it.call("put_runtime_management_config", **at, UpdateRuntimeOn="FunctionUpdate")
        for reference, expected in (
            ("f", "Auto"),
            ("f:$LATEST", "Auto"),
            ("f:1", "FunctionUpdate"),
            ("f:live", "FunctionUpdate"),
        ):
            found = await it.call("get_runtime_management_config", FunctionName=reference)
            assert found["UpdateRuntimeOn"] == expected
            assert found["FunctionArn"] == ARN + reference
        unknown = {"FunctionName": "f", "Qualifier": "9"}
        assert await it.refused("get_runtime_management_config", **unknown) == missing(ARN + "f:9")
        # It goes with its version.
        await it.call("delete_alias", FunctionName="f", Name="live")
        await it.call("delete_function", **at)
        assert (await it.engine.registry._store.load())[0].key == ARN + "f"
        assert len(await it.engine.registry._store.load()) == 1

    run(tmp_path, scene)


@pytest.mark.parametrize("mode", ["RequestResponse", "DryRun"])
def test_what_an_invocation_means(tmp_path: Path, mode: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await publish(it)
        await it.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1")
        asked: list[tuple[dict[str, str], str, str]] = [
            ({"FunctionName": "f"}, "f", "$LATEST"),
            ({"FunctionName": "f", "Qualifier": "$LATEST"}, "f:$LATEST", "$LATEST"),
            ({"FunctionName": "f", "Qualifier": "1"}, "f:1", "1"),
            ({"FunctionName": "f:1"}, "f:1", "1"),
            ({"FunctionName": "f", "Qualifier": "live"}, "f:live", "1"),
            ({"FunctionName": "f:live"}, "f:live", "1"),
            ({"FunctionName": ARN + "f:live"}, "f:live", "1"),
            ({"FunctionName": "000000000000:function:f:live", "Qualifier": "live"}, "f:live", "1"),
        ]
        for params, arn, version in asked:
            found = await it.call("invoke", **params, InvocationType=mode)
            if mode == "DryRun":
                assert found["StatusCode"] == 204
                continue
            assert found["ExecutedVersion"] == version
            told = found["Payload"].read()
            assert f'"arn": "{ARN}{arn}"'.encode() in told
            stream = await it.call("invoke_with_response_stream", **params)
            assert stream["ExecutedVersion"] == version
        for qualifier in ("7", "gone", "$latest"):
            assert await it.refused(
                "invoke", FunctionName="f", Qualifier=qualifier, InvocationType=mode
            ) == missing(f"{ARN}f:{qualifier}")
        assert await it.refused("invoke", FunctionName="f:1", Qualifier="live") == invalid(
            "The derived qualifier from the function name does not match the specified qualifier."
        )

    run(tmp_path, scene)


def test_a_function_of_the_same_name_begins_anew(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.create(Publish=True)
        await it.engine.registry.wait_settled("f", "1")
        await it.call("delete_function", FunctionName="f")
        made = await it.call(
            "create_function",
            FunctionName="f",
            Runtime="python3.12",
            Role=ROLE,
            Handler="app.handler",
            Code={"ZipFile": OTHER},
            Publish=True,
        )
        assert made["Version"] == "1"

    run(tmp_path, scene)
