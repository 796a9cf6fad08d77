"""The function operations through boto3."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, ROLE, House, package, run

from samovar.doors.http.operations.rendering import ARCHITECTURE


def test_an_empty_vpc_config_is_shown_only_if_it_was_given(tmp_path: Path) -> None:
    empty = {
        "SubnetIds": [],
        "SecurityGroupIds": [],
        "VpcId": "",
        "Ipv6AllowedForDualStack": False,
    }

    async def scene(it: House) -> None:
        await it.active("created", VpcConfig={})
        await it.active("updated")
        get = "get_function_configuration"
        assert (await it.call(get, FunctionName="created"))["VpcConfig"] == empty
        assert "VpcConfig" not in await it.call(get, FunctionName="updated")
        update = "update_function_configuration"
        found = await it.call(update, FunctionName="updated", VpcConfig={"SubnetIds": []})
        assert found["VpcConfig"] == empty
        await it.engine.registry.wait_settled("updated")
        await it.call(update, FunctionName="updated", Timeout=4)
        assert (await it.call(get, FunctionName="updated"))["VpcConfig"] == empty
        listed = (await it.call("list_functions"))["Functions"]
        assert [item["VpcConfig"] for item in listed] == [empty] * 2

    run(tmp_path, scene)


def test_create_answers_as_aws_does(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        code = package()
        found = await it.create(
            Code={"ZipFile": code}, Environment={}, Tags={"team": "tea"}, Publish=False
        )
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 201
        metadata = found.pop("ResponseMetadata")
        assert len(metadata["RequestId"]) == 36
        assert len(found.pop("RevisionId")) == 36
        assert found.pop("LastModified").endswith("+0000")
        runtime = found.pop("RuntimeVersionConfig")["RuntimeVersionArn"]
        assert runtime.startswith("arn:aws:lambda:us-east-1::runtime:")
        assert found == {
            "FunctionName": "f",
            "FunctionArn": ARN + "f",
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "app.handler",
            "CodeSize": len(code),
            "CodeSha256": b64encode(hashlib.sha256(code).digest()).decode(),
            "Description": "",
            "Timeout": 3,
            "MemorySize": 128,
            "Version": "$LATEST",
            "TracingConfig": {"Mode": "PassThrough"},
            "State": "Pending",
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
            "PackageType": "Zip",
            "Architectures": [ARCHITECTURE],
            "EphemeralStorage": {"Size": 512},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
            "Environment": {"Variables": {}},
        }

    run(tmp_path, scene)


def test_the_waiters_end(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        def wait(name: str) -> None:
            it.client.get_waiter(name).wait(
                FunctionName="f", WaiterConfig={"Delay": 0, "MaxAttempts": 200}
            )

        await it.create()
        for name in ("function_exists", "function_active", "function_active_v2"):
            await asyncio.to_thread(wait, name)
        updated = await it.call("update_function_configuration", FunctionName="f", Timeout=5)
        assert updated["State"] == "Active"
        assert updated["LastUpdateStatus"] == "InProgress"
        assert updated["LastUpdateStatusReasonCode"] == "Creating"
        for name in ("function_updated", "function_updated_v2"):
            await asyncio.to_thread(wait, name)
        found = await it.call("get_function_configuration", FunctionName="f")
        assert (found["State"], found["LastUpdateStatus"]) == ("Active", "Successful")
        assert "StateReason" not in found
        assert found["Timeout"] == 5

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("reference", "qualifier", "arn"),
    [
        ("f", None, ARN + "f"),
        ("f:$LATEST", None, ARN + "f:$LATEST"),
        ("function:f", "$LATEST", ARN + "f:$LATEST"),
        ("000000000000:function:f", None, ARN + "f"),
        (ARN + "f", None, ARN + "f"),
        (ARN + "f:$LATEST", "$LATEST", ARN + "f:$LATEST"),
    ],
)
def test_every_way_to_name_a_function(
    tmp_path: Path, reference: str, qualifier: str | None, arn: str
) -> None:
    async def scene(it: House) -> None:
        await it.active()
        params = {"FunctionName": reference}
        if qualifier:
            params["Qualifier"] = qualifier
        found = await it.call("get_function", **params)
        assert found["Configuration"]["FunctionArn"] == arn
        assert found["Configuration"]["Version"] == "$LATEST"
        assert "Tags" not in found

    run(tmp_path, scene)


def test_the_code_location_gives_the_package(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        code = package("# as it was\n")
        await it.active(Code={"ZipFile": code}, Tags={"a": "b"})
        found = await it.call("get_function", FunctionName="f")
        assert found["Tags"] == {"a": "b"}
        assert found["Code"]["RepositoryType"] == "S3"
        url = found["Code"]["Location"]

        def fetch(url: str) -> bytes:
            with urllib.request.urlopen(url) as reply:
                assert reply.headers["content-type"] == "application/zip"
                return bytes(reply.read())

        assert await asyncio.to_thread(fetch, url) == code
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(fetch, url[:-4] + "xxxx")
        with caught.value:
            assert caught.value.code == 404

    run(tmp_path, scene)


def test_lists_leave_states_out_and_have_pages(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        for name in ("c", "a", "b"):
            await it.active(name)
        first = await it.call("list_functions", MaxItems=2)
        assert [item["FunctionName"] for item in first["Functions"]] == ["a", "b"]
        rest = await it.call("list_functions", Marker=first["NextMarker"], FunctionVersion="ALL")
        assert [item["FunctionArn"] for item in rest["Functions"]] == [ARN + "c:$LATEST"]
        assert "NextMarker" not in rest
        item = first["Functions"][0]
        for absent in ("State", "LastUpdateStatus", "RuntimeVersionConfig", "StateReason"):
            assert absent not in item
        assert item["FunctionArn"] == ARN + "a"
        assert item["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}

    run(tmp_path, scene)


def test_a_function_that_was_never_published_has_one_version(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        (listed,) = (await it.call("list_functions", FunctionVersion="ALL"))["Functions"]
        for params in ({}, {"MaxItems": 1}, {"Marker": ""}):
            found = await it.call("list_versions_by_function", FunctionName="f", **params)
            assert found["Versions"] == [listed]
            assert (listed["FunctionArn"], listed["Version"]) == (ARN + "f:$LATEST", "$LATEST")
            assert "NextMarker" not in found
        assert await it.refused("list_versions_by_function", FunctionName="g") == (
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}g",
        )
        assert await it.refused("list_versions_by_function", FunctionName="f", Marker="1") == (
            400,
            "InvalidParameterValueException",
            "The Marker is not one that ListVersionsByFunction gave: pass an earlier NextMarker.",
        )

    run(tmp_path, scene)


def test_update_code(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        before = await it.call("get_function_configuration", FunctionName="f")
        code = package("# new\n")
        dry = await it.call("update_function_code", FunctionName="f", ZipFile=code, DryRun=True)
        assert dry["CodeSha256"] == b64encode(hashlib.sha256(code).digest()).decode()
        after = await it.call("get_function_configuration", FunctionName="f")
        assert after["CodeSha256"] == before["CodeSha256"]
        done = await it.call(
            "update_function_code",
            FunctionName=ARN + "f",
            ZipFile=code,
            RevisionId=after["RevisionId"],
            Architectures=[ARCHITECTURE],
        )
        assert done["CodeSha256"] == dry["CodeSha256"]
        assert done["LastUpdateStatus"] == "InProgress"
        assert done["FunctionArn"] == ARN + "f"
        await it.engine.registry.wait_settled("f")
        refused = await it.refused(
            "update_function_code", FunctionName="f", ZipFile=code, RevisionId="old"
        )
        assert refused[:2] == (412, "PreconditionFailedException")

    run(tmp_path, scene)


def test_update_configuration_replaces_structures_and_leaves_the_rest(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(
            Environment={"Variables": {"AA": "1", "BB": "2"}},
            EphemeralStorage={"Size": 1024},
            LoggingConfig={"LogFormat": "Text", "LogGroup": "/mine"},
        )

        async def update(**changes: Any) -> Any:
            found = await it.call("update_function_configuration", FunctionName="f", **changes)
            await it.engine.registry.wait_settled("f")
            return found

        found = await update(Environment={"Variables": {"CC": "3"}}, Description="d")
        assert found["Environment"] == {"Variables": {"CC": "3"}}
        assert found["Description"] == "d"
        assert found["EphemeralStorage"] == {"Size": 1024}
        assert found["LoggingConfig"]["LogGroup"] == "/mine"
        found = await update(Environment={}, Description="")
        assert found["Environment"] == {"Variables": {}}
        assert found["Description"] == ""
        # What of LoggingConfig is not given stays, unlike the variables of Environment.
        found = await update(LoggingConfig={"LogFormat": "Text"})
        assert found["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/mine"}
        found = await update(LoggingConfig={"LogGroup": "/yours"})
        assert found["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/yours"}

    run(tmp_path, scene)


def test_delete(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        refused = await it.refused("delete_function", FunctionName="f", Qualifier="$LATEST")
        assert refused == (
            400,
            "InvalidParameterValueException",
            "$LATEST version cannot be deleted without deleting the function.",
        )
        refused = await it.refused("delete_function", FunctionName="f:live")
        assert refused[2] == "Deletion of aliases is not currently supported."
        version = await it.call("delete_function", FunctionName="f", Qualifier="7")
        assert version["StatusCode"] == 204
        await it.call("get_function", FunctionName="f")
        gone = await it.call("delete_function", FunctionName="f")
        assert gone["StatusCode"] == gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        refused = await it.refused("get_function", FunctionName="f")
        assert refused == (
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}f",
        )
        refused = await it.refused("delete_function", FunctionName="f")
        assert refused[:2] == (404, "ResourceNotFoundException")

    run(tmp_path, scene)


def test_tags(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Tags={"a": "1"})
        await it.call("tag_resource", Resource=ARN + "f", Tags={"b c": "ü+ :=", "a": "2"})
        found = await it.call("list_tags", Resource=ARN + "f")
        assert found["Tags"] == {"a": "2", "b c": "ü+ :="}
        done = await it.call("untag_resource", Resource=ARN + "f", TagKeys=["b c", "none"])
        assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert (await it.call("list_tags", Resource=ARN + "f"))["Tags"] == {"a": "2"}
        refused = await it.refused("tag_resource", Resource=ARN + "f:1", Tags={"a": "b"})
        assert refused[2].startswith("Tags on function aliases and versions are not supported.")
        refused = await it.refused("tag_resource", Resource=ARN + "f", Tags={})
        assert refused[2] == "An error occurred and the request cannot be processed."
        refused = await it.refused("list_tags", Resource=ARN + "none")
        assert refused[0] == 404
        refused = await it.refused("list_tags", Resource="f")
        assert refused[1] == "ValidationException"
        refused = await it.refused("untag_resource", Resource=ARN + "f")
        assert "Value null at 'tagKeys'" in refused[2]

    run(tmp_path, scene)


def test_account_settings(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found = await it.call("get_account_settings")
        assert found["AccountLimit"] == {
            "TotalCodeSize": 80530636800,
            "CodeSizeUnzipped": 262144000,
            "CodeSizeZipped": 52428800,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 1000,
        }
        assert found["AccountUsage"] == {"TotalCodeSize": len(package()), "FunctionCount": 1}

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("changes", "status", "code", "text"),
    [
        (
            {"FunctionName": "n" * 65},
            400,
            "InvalidParameterValueException",
            "Member must have length less than or equal to 64",
        ),
        (
            {"Runtime": "cobol"},
            400,
            "InvalidParameterValueException",
            "Value cobol at 'runtime' failed to satisfy constraint: Member must satisfy enum",
        ),
        ({"Runtime": "python3.7"}, 400, "InvalidParameterValueException", "no longer supported"),
        ({"Runtime": "python3.13"}, 400, "InvalidParameterValueException", "no interpreter for"),
        ({"Timeout": 901}, 400, "ValidationException", "Value '901' at 'timeout'"),
        ({"Timeout": "3"}, 400, "SerializationException", "can not be converted to an Integer"),
        ({"Code": {}}, 400, "InvalidParameterValueException", "Please provide a source"),
        ({"Code": {"S3Bucket": "bucket"}}, 400, "InvalidParameterValueException", "S3Key is miss"),
        (
            {"Code": {"ZipFile": b"x", "S3Bucket": "bucket", "S3Key": "k"}},
            400,
            "InvalidParameterValueException",
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
        (
            {"Code": {"ZipFile": b"no zip"}},
            400,
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        (
            {"Environment": {"Variables": {"AWS_REGION": "mars-1"}}},
            400,
            "InvalidParameterValueException",
            "Reserved keys used in this request: AWS_REGION",
        ),
        ({"Role": "nobody"}, 400, "ValidationException", "at 'role'"),
        ({"FunctionName": "f:1"}, 400, "InvalidParameterValueException", "qualifier"),
        (
            {"FunctionName": "arn:aws:lambda:eu-north-1:000000000000:function:f"},
            404,
            "ResourceNotFoundException",
            "Functions from 'eu-north-1' are not reachable in this region ('us-east-1')",
        ),
        (
            {"FunctionName": "arn:aws:lambda:us-east-1:111111111111:function:f"},
            403,
            "AccessDeniedException",
            "111111111111",
        ),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_bad_input_to_create(
    tmp_path: Path, changes: dict[str, Any], status: int, code: str, text: str
) -> None:
    async def scene(it: House) -> None:
        params = {
            "FunctionName": "f",
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": package()},
            **changes,
        }
        found = await it.refused("create_function", **params)
        assert found[:2] == (status, code)
        assert text in found[2]

    run(tmp_path, scene)


def test_creating_twice(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        found = await it.refused(
            "create_function",
            FunctionName="f",
            Runtime="python3.12",
            Role=ROLE,
            Handler="a.b",
            Code={"ZipFile": package()},
        )
        assert found == (409, "ResourceConflictException", "Function already exist: f")

    run(tmp_path, scene)


def test_everything_survives_a_new_engine_on_the_same_directory(tmp_path: Path) -> None:
    async def before(it: House) -> Any:
        await it.active(Tags={"a": "b"})
        return (await it.call("get_function", FunctionName="f"))["Configuration"]

    async def after(it: House) -> Any:
        found = await it.call("get_function", FunctionName="f")
        assert found["Tags"] == {"a": "b"}
        return found["Configuration"]

    assert run(tmp_path, before) == run(tmp_path, after)


def test_a_link_names_the_host_that_the_client_used(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()

        def location(host: str) -> str:
            connection = http.client.HTTPConnection("127.0.0.1", it.port)
            try:
                path = "/2015-03-31/functions/f"
                connection.request("GET", path, headers={"Host": host})
                return str(json.loads(connection.getresponse().read())["Code"]["Location"])
            finally:
                connection.close()

        found = await asyncio.to_thread(location, "localhost:5000")
        assert found.startswith("http://localhost:5000/_samovar/code/")

    run(tmp_path, scene)
