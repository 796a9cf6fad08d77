"""Code signing configs through boto3, and what they let through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, package, request, run
from tests.api.served import Serve, ServedHouse

PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/abcdef0123"
PUBLISHERS = {"SigningProfileVersionArns": [PROFILE]}
NONE = ARN.replace("function:", "code-signing-config:csc-") + "0" * 17
NEXT = package("def handler(event, context):\n    return 2\n")


def unverified(config: str, what: str = "f") -> tuple[int, str, str]:
    return (
        400,
        "CodeVerificationFailedException",
        "Lambda cannot deploy the function. The function or layer might be signed using a "
        "signature that the client is not configured to accept. Check the provided signature for "
        f"{what}. (Samovar cannot verify AWS Signer's signatures and takes every package for "
        "unsigned; "
        f"{config} lets one through only if its UntrustedArtifactOnDeployment is Warn.)",
    )


def no_config(arn: str) -> tuple[int, str, str]:
    message = f"The Lambda code signing configuration {arn} can not be found."
    return 404, "ResourceNotFoundException", message


async def made(it: House, policy: str | None = None, **changes: Any) -> Any:
    params: dict[str, Any] = {"AllowedPublishers": PUBLISHERS, **changes}
    if policy is not None:
        params["CodeSigningPolicies"] = {"UntrustedArtifactOnDeployment": policy}
    reply = await it.call("create_code_signing_config", **params)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 201
    return reply["CodeSigningConfig"]


def test_create_read_update_list_and_delete(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        plain = await made(it)
        assert re.fullmatch(r"csc-[a-z0-9]{17}", plain["CodeSigningConfigId"])
        assert plain["LastModified"].endswith("+0000")
        assert plain == {
            "CodeSigningConfigId": plain["CodeSigningConfigId"],
            "CodeSigningConfigArn": ARN.replace("function:", "code-signing-config:")
            + plain["CodeSigningConfigId"],
            "AllowedPublishers": PUBLISHERS,
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
            "LastModified": plain["LastModified"],
        }
        arn = plain["CodeSigningConfigArn"]
        full = await made(it, "Enforce", Description="ours", Tags={"team": "tea"})
        assert full["Description"] == "ours"
        assert full["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Enforce"}
        get = "get_code_signing_config"
        assert (await it.call(get, CodeSigningConfigArn=arn))["CodeSigningConfig"] == plain
        expected = plain
        for change in (
            {"Description": "theirs"},
            {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}},
            {"AllowedPublishers": {"SigningProfileVersionArns": [PROFILE, PROFILE + "4"]}},
            {"Description": ""},
        ):
            found = await it.call("update_code_signing_config", CodeSigningConfigArn=arn, **change)
            changed = found["CodeSigningConfig"]
            expected = {**expected, **change, "LastModified": changed["LastModified"]}
            assert changed == expected
            assert (await it.call(get, CodeSigningConfigArn=arn))["CodeSigningConfig"] == expected
        listed = (await it.call("list_code_signing_configs"))["CodeSigningConfigs"]
        by_arn = sorted([expected, full], key=lambda item: item["CodeSigningConfigArn"])
        assert listed == by_arn
        gone = await it.call("delete_code_signing_config", CodeSigningConfigArn=arn)
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert await it.refused(get, CodeSigningConfigArn=arn) == no_config(arn)

    async def later(it: House) -> None:
        (left,) = (await it.call("list_code_signing_configs"))["CodeSigningConfigs"]
        assert (left["Description"], left["AllowedPublishers"]) == ("ours", PUBLISHERS)
        tags = await it.call("list_tags", Resource=left["CodeSigningConfigArn"])
        assert tags["Tags"] == {"team": "tea"}

    run(tmp_path, scene)
    run(tmp_path, later)


def test_what_is_not_there(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        for method in (
            "get_code_signing_config",
            "update_code_signing_config",
            "delete_code_signing_config",
            "list_functions_by_code_signing_config",
        ):
            assert await it.refused(method, CodeSigningConfigArn=NONE) == no_config(NONE)
        for method in ("list_tags", "tag_resource"):
            params = {"Tags": {"a": "b"}} if method == "tag_resource" else {}
            assert await it.refused(method, Resource=NONE, **params) == no_config(NONE)
        missing = (
            404,
            "CodeSigningConfigNotFoundException",
            "The code signing configuration cannot be found. Check that the provided configuration "
            f"is not deleted: {NONE}",
        )
        put = "put_function_code_signing_config"
        assert await it.refused(put, FunctionName="f", CodeSigningConfigArn=NONE) == missing
        with pytest.raises(AssertionError, match="went through"):
            await it.refused("get_function", FunctionName="f")
        config = (await made(it))["CodeSigningConfigArn"]
        unknown = 404, "ResourceNotFoundException", f"Function not found: {ARN}g"
        assert await it.refused(put, FunctionName="g", CodeSigningConfigArn=config) == unknown
        for method in ("get_function_code_signing_config", "delete_function_code_signing_config"):
            assert await it.refused(method, FunctionName="g") == unknown
        with pytest.raises(it.client.exceptions.CodeSigningConfigNotFoundException):
            await it.create("g", CodeSigningConfigArn=NONE)
        async with RawClient.to(it.port) as client:
            path = "/2020-06-30/functions/f/code-signing-config"
            body = f'{{"CodeSigningConfigArn":"{NONE}"}}'.encode()
            await client.send(request("PUT", path, body))
            reply = await client.reply()
            assert set(reply.json) == {"Type", "Message"}
            assert reply.json["Type"] == "User"

    run(tmp_path, scene)


def test_how_many_publishers(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await made(it, AllowedPublishers={"SigningProfileVersionArns": [PROFILE] * 20})
        for count, rule in (
            (0, "greater than or equal to 1"),
            (21, "less than or equal to 20"),
        ):
            publishers = {"SigningProfileVersionArns": [PROFILE] * count}
            status, code, message = await it.refused(
                "create_code_signing_config", AllowedPublishers=publishers
            )
            assert (status, code) == (400, "ValidationException")
            at = "'allowedPublishers.signingProfileVersionArns' failed to satisfy constraint: "
            assert message.endswith(f"{at}Member must have length {rule}")
        listed = await it.call("list_code_signing_configs")
        assert len(listed["CodeSigningConfigs"]) == 1

    run(tmp_path, scene)


def test_enforce_takes_no_package(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        config = (await made(it, "Enforce"))["CodeSigningConfigArn"]
        create = {
            "FunctionName": "f",
            "Runtime": "python3.12",
            "Role": "arn:aws:iam::000000000000:role/r",
            "Handler": "app.handler",
            "Code": {"ZipFile": package()},
        }
        refused = await it.refused("create_function", **create, CodeSigningConfigArn=config)
        assert refused == unverified(config)
        assert (await it.refused("get_function", FunctionName="f"))[0] == 404
        await it.active()  # without a config
        before = await it.call("get_function_configuration", FunctionName="f")
        found = await it.call(
            "put_function_code_signing_config", FunctionName="f", CodeSigningConfigArn=config
        )
        assert (found["FunctionName"], found["CodeSigningConfigArn"]) == ("f", config)
        # What is there stays there; what is new is refused, tried out or not.
        await it.call("invoke", FunctionName="f")
        for dry in (False, True):
            update = {"FunctionName": "f", "ZipFile": NEXT, "DryRun": dry}
            assert await it.refused("update_function_code", **update) == unverified(config)
        after = await it.call("get_function_configuration", FunctionName="f")
        assert after["CodeSha256"] == before["CodeSha256"]
        # Configuration is no code, but layers are.
        layer = await it.call(
            "publish_layer_version", LayerName="l", Content={"ZipFile": package()}
        )
        arn = layer["LayerVersionArn"]
        update = {"FunctionName": "f", "Layers": [arn]}
        refused = await it.refused("update_function_configuration", **update)
        assert refused == unverified(config, arn)
        await it.call("update_function_configuration", FunctionName="f", Timeout=4)
        await it.engine.registry.wait_settled("f")
        await it.call(
            "update_code_signing_config",
            CodeSigningConfigArn=config,
            CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Warn"},
        )
        await it.call("update_function_code", FunctionName="f", ZipFile=NEXT)
        await it.engine.registry.wait_settled("f")
        await it.call(
            "update_code_signing_config",
            CodeSigningConfigArn=config,
            CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
        )
        taken = await it.call("delete_function_code_signing_config", FunctionName="f")
        assert taken["ResponseMetadata"]["HTTPStatusCode"] == 204
        await it.call("update_function_code", FunctionName="f", ZipFile=package())

    run(tmp_path, scene)


def test_which_function_has_which(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        one, other = [(await made(it))["CodeSigningConfigArn"] for _ in range(2)]
        get, put = "get_function_code_signing_config", "put_function_code_signing_config"
        functions = "list_functions_by_code_signing_config"
        await it.active("a", CodeSigningConfigArn=one)
        await it.active("b")
        found = await it.call(get, FunctionName="a")
        assert (found["FunctionName"], found["CodeSigningConfigArn"]) == ("a", one)
        assert set(await it.call(get, FunctionName="b")) == {"ResponseMetadata"}
        await it.call(put, FunctionName=ARN + "b", CodeSigningConfigArn=one)
        found = await it.call(functions, CodeSigningConfigArn=one)
        assert found["FunctionArns"] == [ARN + "a", ARN + "b"]
        page = await it.call(functions, CodeSigningConfigArn=one, MaxItems=1)
        assert page["FunctionArns"] == [ARN + "a"]
        page = await it.call(functions, CodeSigningConfigArn=one, Marker=page["NextMarker"])
        assert (page["FunctionArns"], "NextMarker" in page) == ([ARN + "b"], False)
        status, code, message = await it.refused(functions, CodeSigningConfigArn=one, Marker="x")
        assert (status, code) == (400, "InvalidParameterValueException")
        assert "not one that ListFunctionsByCodeSigningConfig gave" in message
        status, code, message = await it.refused(
            "delete_code_signing_config", CodeSigningConfigArn=one
        )
        assert (status, code) == (409, "ResourceConflictException")
        assert message.startswith(f"The code signing configuration {one} is in use.")
        await it.call(put, FunctionName="a", CodeSigningConfigArn=other)
        await it.call("delete_function", FunctionName="b")
        assert (await it.call(functions, CodeSigningConfigArn=one))["FunctionArns"] == []
        await it.call("delete_code_signing_config", CodeSigningConfigArn=one)

    async def later(it: House) -> None:
        found = await it.call("get_function_code_signing_config", FunctionName="a")
        (config,) = (await it.call("list_code_signing_configs"))["CodeSigningConfigs"]
        assert found["CodeSigningConfigArn"] == config["CodeSigningConfigArn"]

    run(tmp_path, scene)
    run(tmp_path, later)


def test_their_tags(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        made_ = await made(it, Tags={"a": "1"})
        arn = made_["CodeSigningConfigArn"]
        await it.call("tag_resource", Resource=arn, Tags={"b": "2", "c": "3"})
        await it.call("untag_resource", Resource=arn, TagKeys=["a", "never"])
        assert (await it.call("list_tags", Resource=arn))["Tags"] == {"b": "2", "c": "3"}
        found = await it.call("get_code_signing_config", CodeSigningConfigArn=arn)
        assert found["CodeSigningConfig"] == made_  # tags are no change of it
        many = {f"k{number}": "" for number in range(49)}
        too_many = (
            400,
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.",
        )
        assert await it.refused("tag_resource", Resource=arn, Tags=many) == too_many
        refused = await it.refused(
            "create_code_signing_config",
            AllowedPublishers=PUBLISHERS,
            Tags={**many, "x": "", "y": ""},
        )
        assert refused == too_many

    run(tmp_path, scene)


def test_a_warning_is_counted_and_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(it: ServedHouse) -> None:
        config = (await made(it, "Warn"))["CodeSigningConfigArn"]
        await it.active(CodeSigningConfigArn=config)
        await it.call("update_function_code", FunctionName="f", ZipFile=NEXT, DryRun=True)
        await it.call("update_function_code", FunctionName="f", ZipFile=NEXT)
        counted = b'samovar_unsigned_deployments_total{function="f"} 2.0'
        assert counted in it.engine.metrics_text()
        line = f"f was deployed without a signature that {config} asks for"
        assert caplog.messages.count(line) == 2

    serve(scene)
