"""`Layers` of functions: what is shown, and what can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.house import House, run
from tests.api.test_layers import ARN, NOT_ALLOWED, OTHER_ACCOUNT, publish

FIVE = "Cannot reference more than 5 layers."
TWO = (
    "Two different versions of the same layer are not allowed to be referenced in the same "
    "function. {0} and {1} are versions of the same layer."
)
ELSEWHERE = ARN.replace("us-east-1", "eu-west-1")
REGION = (
    "Layers are not in the same region as the function. Layers are expected to be in region "
    "us-east-1."
)
REFUSALS = {
    "six": ([ARN + f"{name}:1" for name in "abcdef"], FIVE),
    "no version": ([ARN + "a:1", ARN + "a:9"], f"Layer version {ARN}a:9 does not exist."),
    "no layer": ([ARN + "never:1"], f"Layer version {ARN}never:1 does not exist."),
    "another region": ([ELSEWHERE + "a:1"], REGION),
    "two versions": ([ARN + "a:1", ARN + "b:1", ARN + "a:2"], TWO.format(ARN + "a:1", ARN + "a:2")),
    "one version twice": ([ARN + "a:1"] * 2, TWO.format(ARN + "a:1", ARN + "a:1")),
    "version 0": ([ARN + "a:0"], "Layer Version Cannot be less than 1"),
    "AWS's own": (
        ["arn:aws:lambda:::awslayer:AmazonLinux1803"],
        "arn:aws:lambda:::awslayer:AmazonLinux1803 is no layer version of an account, the only "
        "ones that Samovar knows; name one by its ARN, which ends with «:layer:<name>:<number>».",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_function_can_not_have(tmp_path: Path, case: str) -> None:
    layers, text = REFUSALS[case]
    told = (400, "InvalidParameterValueException", text)

    async def scene(it: House) -> None:
        for name in "aabcdef":
            await publish(it, name)
        await it.active()
        before = await it.call("get_function_configuration", FunctionName="f")
        asked = {"FunctionName": "f", "Layers": layers}
        assert await it.refused("update_function_configuration", **asked) == told
        create = {"Runtime": "python3.12", "Role": before["Role"], "Handler": "app.handler"}
        code = {"ZipFile": b"not even looked at"}
        asked |= {"FunctionName": "g", "Code": code, **create}
        assert await it.refused("create_function", **asked) == told
        after = await it.call("get_function_configuration", FunctionName="f")
        assert after["RevisionId"] == before["RevisionId"]
        assert "Layers" not in after

    run(tmp_path, scene)


def test_layers_of_others_are_refused_by_name(tmp_path: Path) -> None:
    arn = OTHER_ACCOUNT + ":3"

    async def scene(it: House) -> None:
        await it.active()
        asked = {"FunctionName": "f", "Layers": [arn]}
        assert await it.refused("update_function_configuration", **asked) == (
            403,
            "AccessDeniedException",
            NOT_ALLOWED.replace(OTHER_ACCOUNT, arn),
        )

    run(tmp_path, scene)


@pytest.mark.parametrize("arn", ["l", "l:1", ARN + "l", ARN + "l:x", ARN + "l:1:2"])
def test_what_is_no_arn_of_a_version(tmp_path: Path, arn: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        status, code, text = await it.refused(
            "update_function_configuration", FunctionName="f", Layers=[arn]
        )
        assert (status, code) == (400, "ValidationException")
        assert text.startswith(
            f"1 validation error detected: Value '[{arn}]' at 'layers' failed to satisfy "
            "constraint: Member must satisfy constraint: ["
        )

    run(tmp_path, scene)


def test_layers_are_shown_replaced_and_removed(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        made = [await publish(it, name, "#" * at) for at, name in enumerate("edcba")]
        arns = [item["LayerVersionArn"] for item in made]
        shown = [
            {"Arn": item["LayerVersionArn"], "CodeSize": item["Content"]["CodeSize"]}
            for item in made
        ]
        created = await it.create(Layers=arns)
        assert created["Layers"] == shown
        await it.engine.registry.wait_settled("f")
        assert (await it.call("list_functions"))["Functions"][0]["Layers"] == shown

        async def change(**changes: object) -> object:
            asked = {"FunctionName": "f", **changes}
            answer = await it.call("update_function_configuration", **asked)
            await it.engine.registry.wait_settled("f")
            found = await it.call("get_function", FunctionName="f")
            assert answer.get("Layers") == found["Configuration"].get("Layers")
            return answer.get("Layers")

        assert await change(Timeout=9) == shown
        assert await change(Layers=[arns[3], arns[1]]) == [shown[3], shown[1]]
        await it.call("delete_layer_version", LayerName="b", VersionNumber=1)
        assert await change(Description="still there") == [shown[3], shown[1]]
        assert await change(Layers=[]) is None

    run(tmp_path, scene)
