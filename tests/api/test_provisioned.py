"""Provisioned concurrency through boto3; `tests/process/test_provisioned.py` has the contexts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.api.house import ARN, House, run

from samovar.model.provisioning import Progress

INVALID = 400, "InvalidParameterValueException"
NOT_FOUND = 404, "ResourceNotFoundException"
CONFLICT = 409, "ResourceConflictException"
PUT, GET, DELETE = (f"{verb}_provisioned_concurrency_config" for verb in ("put", "get", "delete"))
LIST = "list_provisioned_concurrency_configs"
FAILURE = "FUNCTION_ERROR_INIT_FAILURE"


def asked(count: int, qualifier: str = "1", name: str = "f") -> dict[str, Any]:
    return {
        "FunctionName": name,
        "Qualifier": qualifier,
        "ProvisionedConcurrentExecutions": count,
    }


def of(qualifier: str = "1", name: str = "f") -> dict[str, Any]:
    return {"FunctionName": name, "Qualifier": qualifier}


def shown(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply but for the time, whose form is looked at."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", reply["LastModified"])
    return {k: v for k, v in reply.items() if k not in ("ResponseMetadata", "LastModified")}


def config(requested: int, ready: int, status: str, allocated: int | None = None) -> dict[str, Any]:
    return {
        "RequestedProvisionedConcurrentExecutions": requested,
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready if allocated is None else allocated,
        "Status": status,
    }


async def published(it: House, *aliases: str, name: str = "f") -> None:
    await it.active(name)
    await it.engine.registry.versions.publish(name)
    await it.engine.registry.wait_settled(name, "1")
    for alias in aliases:
        await it.engine.registry.aliases.create(name, alias, "1")


def test_the_life_of_a_config(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await published(it)
        progress = [Progress()]
        it.engine.registry.provisioned.progress_of = lambda _: progress[-1]
        put = await it.call(PUT, **asked(5))
        assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
        assert shown(put) == config(5, 0, "IN_PROGRESS")
        for there, expected in (
            (Progress(), config(5, 0, "IN_PROGRESS")),
            (Progress(3, 3), config(5, 3, "IN_PROGRESS")),
            (Progress(3, 3, FAILURE), {**config(5, 3, "FAILED"), "StatusReason": FAILURE}),
            (Progress(4, 5), config(5, 4, "READY", 5)),  # one is being replaced
            (Progress(5, 5), config(5, 5, "READY")),
        ):
            progress.append(there)
            assert shown(await it.call(GET, **of())) == expected
        listed = await it.call(LIST, FunctionName="f")
        (item,) = listed["ProvisionedConcurrencyConfigs"]
        assert shown(item) == {"FunctionArn": ARN + "f:1", **config(5, 5, "READY")}
        assert "NextMarker" not in listed
        limit = (await it.call("get_account_settings"))["AccountLimit"]
        assert limit["UnreservedConcurrentExecutions"] == 995
        for _ in range(2):
            done = await it.call(DELETE, **of())
            assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert await it.refused(GET, **of()) == (
            404,
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned Concurrency Config found for this function",
        )
        assert (await it.call(LIST, FunctionName="f"))["ProvisionedConcurrencyConfigs"] == []

    run(tmp_path, scene)


def test_a_list_in_pages(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await published(it, "a", "b", "c")
        for alias in "abc":
            await it.call(PUT, **asked(1, alias))
        first = await it.call(LIST, FunctionName="f", MaxItems=2)
        rest = await it.call(LIST, FunctionName="f", Marker=first["NextMarker"])
        found = [*first["ProvisionedConcurrencyConfigs"], *rest["ProvisionedConcurrencyConfigs"]]
        assert [item["FunctionArn"] for item in found] == [f"{ARN}f:{alias}" for alias in "abc"]
        assert "NextMarker" not in rest
        for size in (0, 51):
            refused = await it.refused(LIST, FunctionName="f", MaxItems=size)
            assert refused[1] == "ValidationException"
        missing = await it.refused(LIST, FunctionName="none")
        assert missing == (*NOT_FOUND, f"Function not found: {ARN}none")

    run(tmp_path, scene)


def test_what_is_refused(tmp_path: Path) -> None:
    unpublished = (
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    )
    unqualified = "The function resource provided must be an alias or a published version."
    missing = f"Cannot find alias arn: {ARN}f:none"

    async def scene(it: House) -> None:
        await published(it, "live")
        await it.engine.registry.aliases.create("f", "latest", "$LATEST")
        for params, expected in (
            (asked(1, "$LATEST"), (*INVALID, unpublished)),
            (asked(1, "latest"), (*INVALID, unpublished)),
            (asked(1, "none"), (*NOT_FOUND, missing)),
            (asked(1, "10"), (*NOT_FOUND, f"Function not found: {ARN}f:10")),
            (asked(1, "1", "g"), (*NOT_FOUND, f"Function not found: {ARN}g:1")),
            (
                asked(0),
                (
                    400,
                    "ValidationException",
                    "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' "
                    "failed to satisfy constraint: Member must have value greater than or equal "
                    "to 1",
                ),
            ),
            (
                asked(1001),
                (
                    *INVALID,
                    "Specified ConcurrentExecutions for function is greater than account's "
                    "unreserved concurrency [1000].",
                ),
            ),
            (
                asked(901),
                (
                    *INVALID,
                    "Specified ConcurrentExecutions for function decreases account's "
                    "UnreservedConcurrentExecution below its minimum value of [100].",
                ),
            ),
        ):
            assert await it.refused(PUT, **params) == expected
        for method in (GET, DELETE):
            assert await it.refused(method, **of("$LATEST")) == (*INVALID, unqualified)
            assert await it.refused(method, **of("none")) == (*NOT_FOUND, missing)
            for name, qualifier in (("f", "10"), ("g", "1"), ("g", "live")):
                refused = await it.refused(method, **of(qualifier, name))
                assert refused == (*NOT_FOUND, f"Function not found: {ARN}{name}:{qualifier}")
        assert (await it.call(LIST, FunctionName="f"))["ProvisionedConcurrencyConfigs"] == []

    run(tmp_path, scene)


def test_reserved_and_provisioned_together(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await published(it, "live")
        await it.call(PUT, **asked(2, "live"))
        reserve = {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
        assert await it.refused("put_function_concurrency", **reserve) == (
            *INVALID,
            " ReservedConcurrentExecutions  1 should not be lower than function's total "
            "provisioned concurrency [2].",
        )
        await it.call("put_function_concurrency", **{**reserve, "ReservedConcurrentExecutions": 2})
        assert await it.refused(PUT, **asked(3, "live")) == (
            *INVALID,
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function",
        )
        limit = (await it.call("get_account_settings"))["AccountLimit"]
        assert limit["UnreservedConcurrentExecutions"] == 998

    run(tmp_path, scene)


def test_a_version_and_its_alias(tmp_path: Path) -> None:
    already = (
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
        "version"
    )

    async def scene(it: House) -> None:
        await published(it, "live")
        await it.call(PUT, **asked(1))
        assert await it.refused(PUT, **asked(1, "live")) == (*CONFLICT, already)
        await it.call(DELETE, **of())
        await it.call(PUT, **asked(1, "live"))
        assert await it.refused(PUT, **asked(1)) == (
            *CONFLICT,
            "Version is pointed by a Provisioned Concurrency alias",
        )
        await it.engine.registry.aliases.delete("f", "live")
        await it.call(PUT, **asked(1))

    run(tmp_path, scene)


def test_an_alias_of_two_versions(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await published(it, "live")
        await it.call("update_function_configuration", FunctionName="f", Timeout=5)
        await it.engine.registry.wait_settled("f")
        await it.engine.registry.versions.publish("f")
        await it.engine.registry.wait_settled("f", "2")
        update = it.engine.registry.aliases.update
        await update("f", "live", routing={"2": 0.5})
        refused = await it.refused(PUT, **asked(1, "live"))
        assert refused == (
            *INVALID,
            "Invalid alias configuration for Provisioned Concurrency",
        )
        await update("f", "live", routing={})
        await it.call(PUT, **asked(2, "live"))
        await update("f", "live", routing={"2": 0.5})
        found = it.engine.registry.provisioned.wanted(ARN + "f").values()
        assert {kept.version.version: kept.contexts for kept in found} == {"1": 1, "2": 1}

    run(tmp_path, scene)
