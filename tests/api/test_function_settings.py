"""Runtime management and recursion through boto3."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, RUNTIMES, House, package, run
from tests.api.served import RUNTIME, Serve, ServedHouse

from samovar.model.runtime_version import runtime_version_arn
from samovar.registry.runtimes import Runtimes

INVALID = 400, "InvalidParameterValueException"
HERE = runtime_version_arn("us-east-1", "python3.12", "3.12.1")
ELSEWHERE = runtime_version_arn("us-east-1", "python3.12", "3.12.2")


def shown(reply: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in reply.items() if key != "ResponseMetadata"}


def test_how_a_runtime_is_managed(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        get, put = "get_runtime_management_config", "put_runtime_management_config"
        assert shown(await it.call(get, FunctionName="f")) == {
            "UpdateRuntimeOn": "Auto",
            "FunctionArn": ARN + "f",
        }
        for asked in (
            {"UpdateRuntimeOn": "FunctionUpdate"},
            {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": HERE},
            {"UpdateRuntimeOn": "Auto"},
            {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": HERE},
        ):
            expected = {**asked, "FunctionArn": ARN + "f"}
            assert shown(await it.call(put, FunctionName="f", **asked)) == expected
            assert shown(await it.call(get, FunctionName="f")) == expected
            qualified = {**asked, "FunctionArn": ARN + "f:$LATEST"}
            assert shown(await it.call(get, FunctionName="f", Qualifier="$LATEST")) == qualified
        described = await it.call("get_function_configuration", FunctionName="f")
        assert described["RuntimeVersionConfig"] == {"RuntimeVersionArn": HERE}

    async def later(it: House) -> None:
        found = await it.call("get_runtime_management_config", FunctionName="f")
        assert (found["UpdateRuntimeOn"], found["RuntimeVersionArn"]) == ("Manual", HERE)

    run(tmp_path, scene)
    run(tmp_path, later)


def test_what_of_it_is_refused(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        put = "put_runtime_management_config"
        for params, told in (
            (
                {"UpdateRuntimeOn": "Manual"},
                (
                    *INVALID,
                    "The update mode Manual needs the RuntimeVersionArn that the function is to "
                    "run on; GetFunctionConfiguration tells the present one.",
                ),
            ),
            (
                {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": ELSEWHERE},
                (
                    *INVALID,
                    f"The runtime version {ELSEWHERE} is not served here. python3.12 is {HERE} "
                    "(3.12.1); to have another one, start Samovar with that interpreter.",
                ),
            ),
            (
                {"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": HERE},
                (
                    *INVALID,
                    "RuntimeVersionArn belongs to the update mode Manual, not to Auto; leave it "
                    "out.",
                ),
            ),
            (
                {"UpdateRuntimeOn": "Auto", "FunctionName": "g"},
                (404, "ResourceNotFoundException", f"Function not found: {ARN}g"),
            ),
            (
                {"UpdateRuntimeOn": "Auto", "Qualifier": "1"},
                (404, "ResourceNotFoundException", f"Function not found: {ARN}f:1"),
            ),
            (
                {"UpdateRuntimeOn": "Never"},
                (
                    400,
                    "ValidationException",
                    "1 validation error detected: Value 'Never' at 'updateRuntimeOn' failed to "
                    "satisfy constraint: Member must satisfy enum value set: [Auto, Manual, "
                    "FunctionUpdate]",
                ),
            ),
        ):
            assert await it.refused(put, **{"FunctionName": "f", **params}) == told
        for name in ("g", "g:1"):
            missing = await it.refused("get_runtime_management_config", FunctionName=name)
            assert missing == (404, "ResourceNotFoundException", f"Function not found: {ARN}{name}")
        found = await it.call("get_runtime_management_config", FunctionName="f")
        assert found["UpdateRuntimeOn"] == "Auto"

    run(tmp_path, scene)


def test_a_function_that_is_bound_keeps_its_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(RUNTIMES.served[0], runtime="python3.13", version="3.13.0")
    both = Runtimes([*RUNTIMES.served, newer])
    monkeypatch.setattr("tests.api.house.RUNTIMES", both)

    async def scene(it: House) -> None:
        await it.active()
        asked = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": HERE}
        await it.call("put_runtime_management_config", FunctionName="f", **asked)
        update = "update_function_configuration"
        assert await it.refused(update, FunctionName="f", Runtime="python3.13") == (
            *INVALID,
            "The function is bound to one version of its runtime (UpdateRuntimeOn Manual). To give "
            "it another runtime, first manage its runtime with Auto or FunctionUpdate.",
        )
        await it.call(update, FunctionName="f", Runtime="python3.12", Timeout=5)
        await it.engine.registry.wait_settled("f")
        auto = {"FunctionName": "f", "UpdateRuntimeOn": "Auto"}
        await it.call("put_runtime_management_config", **auto)
        await it.call(update, FunctionName="f", Runtime="python3.13")

    run(tmp_path, scene)


def test_a_function_that_is_bound_runs_on_that_version_or_not_at_all(
    serve: Serve, interpreters: Runtimes
) -> None:
    here = interpreters.get(RUNTIME)
    assert here is not None
    arn = runtime_version_arn("us-east-1", RUNTIME, here.version)
    updated = Runtimes([replace(here, version=f"{here.version}9")])  # said to be another one

    async def before(it: ServedHouse) -> None:
        for name in ("bound", "free", "follows"):
            await it.active(name)
        put = "put_runtime_management_config"
        bound = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": arn}
        await it.call(put, FunctionName="bound", **bound)
        await it.call(put, FunctionName="follows", UpdateRuntimeOn="FunctionUpdate")
        assert (await it.call("invoke", FunctionName="bound"))["StatusCode"] == 200

    async def after(it: ServedHouse) -> None:
        for name in ("free", "follows"):
            assert "FunctionError" not in await it.call("invoke", FunctionName=name)
        status, code, message = await it.refused("invoke", FunctionName="bound")
        assert (status, code) == (500, "ServiceException")
        assert f"{ARN}bound is to run on the runtime version {arn} and on no other" in message
        auto = {"FunctionName": "bound", "UpdateRuntimeOn": "Auto"}
        await it.call("put_runtime_management_config", **auto)
        assert "FunctionError" not in await it.call("invoke", FunctionName="bound")

    serve(before)
    replace(serve, runtimes=updated)(after)


def test_what_becomes_of_a_loop_is_kept(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        get, put = "get_function_recursion_config", "put_function_recursion_config"
        assert shown(await it.call(get, FunctionName="f")) == {"RecursiveLoop": "Terminate"}
        for wanted in ("Allow", "Terminate", "Allow"):
            asked = {"FunctionName": ARN + "f", "RecursiveLoop": wanted}
            assert shown(await it.call(put, **asked)) == {"RecursiveLoop": wanted}
            assert shown(await it.call(get, FunctionName="f")) == {"RecursiveLoop": wanted}
        for method, params in ((get, {}), (put, {"RecursiveLoop": "Allow"})):
            assert await it.refused(method, FunctionName="g", **params) == (
                404,
                "ResourceNotFoundException",
                f"Function not found: {ARN}g",
            )
        assert await it.refused(put, FunctionName="f", RecursiveLoop="Perhaps") == (
            400,
            "ValidationException",
            "1 validation error detected: Value 'Perhaps' at 'recursiveLoop' failed to satisfy "
            "constraint: Member must satisfy enum value set: [Allow, Terminate]",
        )

    async def later(it: House) -> None:
        found = await it.call("get_function_recursion_config", FunctionName="f")
        assert found["RecursiveLoop"] == "Allow"
        await it.call("delete_function", FunctionName="f")
        await it.active()
        found = await it.call("get_function_recursion_config", FunctionName="f")
        assert found["RecursiveLoop"] == "Terminate"

    run(tmp_path, scene)
    run(tmp_path, later)


# Calls itself with the boto3 that every function has, as deep as the event says.
LOOP = package(
    """
import json
import boto3
from botocore.config import Config

def handler(event, context):
    if event["left"] == 0:
        return 0
    client = boto3.client(
        "lambda",
        endpoint_url=event["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    event = {**event, "left": event["left"] - 1}
    try:
        reply = client.invoke(FunctionName=context.function_name, Payload=json.dumps(event))
    except client.exceptions.RecursiveInvocationException as error:
        return [error.response["Error"]["Message"], 1]
    told = json.load(reply["Payload"])
    return [told[0], told[1] + 1] if isinstance(told, list) else told + 1
"""
)


def test_a_loop_is_stopped_unless_it_is_allowed(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active("loops", Code={"ZipFile": LOOP}, Timeout=60, MemorySize=512)

        async def depth(left: int) -> Any:
            payload = json.dumps({"left": left, "endpoint": it.url})
            reply = await it.call("invoke", FunctionName="loops", Payload=payload)
            return json.load(reply["Payload"])

        message, stopped = await depth(17)
        assert stopped == 16  # invocations that ran
        assert f"{ARN}loops was invoked in a recursive loop and is stopped" in message
        allow = {"FunctionName": "loops", "RecursiveLoop": "Allow"}
        await it.call("put_function_recursion_config", **allow)
        assert await depth(17) == 17

    serve(scene)
