"""Reserved concurrency through boto3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, RawClient, invocation, request, run
from tests.api.served import Serve, ServedHouse

INVALID = 400, "InvalidParameterValueException"
NOT_FOUND = 404, "ResourceNotFoundException"
PUT, GET, DELETE = (f"{verb}_function_concurrency" for verb in ("put", "get", "delete"))


def shown(reply: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in reply.items() if key != "ResponseMetadata"}


async def account(it: House) -> tuple[int, int]:
    limit = (await it.call("get_account_settings"))["AccountLimit"]
    return limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]


def test_what_is_reserved(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        assert shown(await it.call(GET, FunctionName="f")) == {}
        assert "Concurrency" not in await it.call("get_function", FunctionName="f")
        for wanted in (5, 0, 900):
            asked = {"ReservedConcurrentExecutions": wanted}
            assert shown(await it.call(PUT, FunctionName="f", **asked)) == asked
            assert shown(await it.call(GET, FunctionName=ARN + "f")) == asked
            assert shown(await it.call(GET, FunctionName="f:$LATEST")) == asked
            assert (await it.call("get_function", FunctionName="f"))["Concurrency"] == asked
            assert await account(it) == (1000, 1000 - wanted)
        done = await it.call(DELETE, FunctionName="f")
        assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert shown(await it.call(GET, FunctionName="f")) == {}
        assert await account(it) == (1000, 1000)
        await it.call(DELETE, FunctionName="f")
        await it.call(PUT, FunctionName="f", ReservedConcurrentExecutions=900)
        await it.call("delete_function", FunctionName="f")
        await it.active()
        assert shown(await it.call(GET, FunctionName="f")) == {}
        await it.call(PUT, FunctionName="f", ReservedConcurrentExecutions=3)

    async def later(it: House) -> None:
        found = shown(await it.call(GET, FunctionName="f"))
        assert found == {"ReservedConcurrentExecutions": 3}
        assert await account(it) == (1000, 997)

    run(tmp_path, scene)
    run(tmp_path, later)


def test_what_can_not_be_reserved(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await it.active("g")
        await it.call(PUT, FunctionName="g", ReservedConcurrentExecutions=400)
        unqualified = (
            *INVALID,
            "This operation is permitted on Lambda functions only. Aliases and versions do not "
            "support this operation. Please specify either a function name or an unqualified "
            "function ARN.",
        )
        for name in ("f:1", "f:$LATEST", ARN + "f:live"):
            put = await it.refused(PUT, FunctionName=name, ReservedConcurrentExecutions=1)
            assert put == await it.refused(DELETE, FunctionName=name) == unqualified
        for method in (PUT, GET, DELETE):
            params = {"ReservedConcurrentExecutions": 1} if method == PUT else {}
            refused = await it.refused(method, FunctionName="none", **params)
            assert refused == (*NOT_FOUND, f"Function not found: {ARN}none:$LATEST")
        for name in ("f:7", "none:7"):
            refused = await it.refused(GET, FunctionName=name)
            assert refused == (*NOT_FOUND, f"Function not found: {ARN}{name}")
        assert await it.refused(PUT, FunctionName="f") == (
            400,
            "ValidationException",
            "1 validation error detected: Value null at 'reservedConcurrentExecutions' failed to "
            "satisfy constraint: Member must not be null",
        )
        assert await it.refused(PUT, FunctionName="f", ReservedConcurrentExecutions=-1) == (
            400,
            "ValidationException",
            "1 validation error detected: Value '-1' at 'reservedConcurrentExecutions' failed to "
            "satisfy constraint: Member must have value greater than or equal to 0",
        )
        assert shown(await it.call(GET, FunctionName="f")) == {}

    run(tmp_path, scene)


def test_the_minimum_that_stays_unreserved(tmp_path: Path) -> None:
    message = (
        "Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [100]."
    )

    async def scene(it: House) -> None:
        await it.active()
        await it.active("g")
        await it.call(PUT, FunctionName="g", ReservedConcurrentExecutions=400)
        refused = await it.refused(PUT, FunctionName="f", ReservedConcurrentExecutions=501)
        assert refused == (*INVALID, message)
        async with RawClient.to(it.port) as raw:
            body = json.dumps({"ReservedConcurrentExecutions": 501}).encode()
            await raw.send(request("PUT", "/2017-10-31/functions/f/concurrency", body))
            # Of the few errors that have no Type.
            assert (await raw.reply()).json == {"message": message}
        await it.call(PUT, FunctionName="f", ReservedConcurrentExecutions=500)
        assert await account(it) == (1000, 100)
        await it.call("delete_function", FunctionName="g")
        await it.call(PUT, FunctionName="f", ReservedConcurrentExecutions=900)

    run(tmp_path, scene)


def test_a_function_that_is_turned_off(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.active()
        await it.call(PUT, FunctionName="f", ReservedConcurrentExecutions=0)
        async with RawClient.to(it.port) as raw:
            await raw.send(invocation("f"))
            reply = await raw.reply()
            assert (reply.status, reply.headers["retry-after"]) == (429, "1")
            assert reply.headers["x-amzn-errortype"] == "TooManyRequestsException"
            assert reply.json == {
                "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
                "Type": "User",
                "message": "Rate Exceeded.",
            }
            await it.call(DELETE, FunctionName="f")
            await raw.send(invocation("f"))
            assert (await raw.reply()).status == 200

    serve(scene)


@pytest.mark.parametrize(
    ("chosen", "most"),
    [
        ({"account_concurrency": 10}, 0),
        ({"account_concurrency": 10, "unreserved_minimum": 0}, 10),
        ({"account_concurrency": 2000}, 1900),
    ],
    ids=["small", "all of it", "large"],
)
def test_an_account_of_another_size(tmp_path: Path, chosen: dict[str, int], most: int) -> None:
    async def scene(it: House) -> None:
        await it.active()
        refused = await it.refused(PUT, FunctionName="f", ReservedConcurrentExecutions=most + 1)
        assert "below its minimum value" in refused[2]
        await it.call(PUT, FunctionName="f", ReservedConcurrentExecutions=most)
        assert await account(it) == (
            chosen["account_concurrency"],
            chosen["account_concurrency"] - most,
        )

    run(tmp_path, scene, **chosen)
