"""A function's states, revisions and conflicts, as clients see them go by."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.api.house import ARN, House, package, run

from samovar.model.function import FunctionVersion

IN_PROGRESS = (
    409,
    "ResourceConflictException",
    "The operation cannot be performed at this time. An update is in progress for resource: "
    f"{ARN}f",
)
PENDING = (
    409,
    "ResourceConflictException",
    f"The operation cannot be performed at this time. The resource {ARN}f is currently in the "
    "following state: 'Pending'. StateReasonCode: 'Creating'",
)
STATES = (
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
)
SETTLED = {"State": "Active", "LastUpdateStatus": "Successful"}


def states(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in STATES if key in found}


@asynccontextmanager
async def held(it: House) -> AsyncIterator[None]:
    """Creations and updates stay under way within the block."""
    gate = asyncio.Event()

    async def hold(_: FunctionVersion) -> None:
        await gate.wait()

    async def go(_: FunctionVersion) -> None:
        pass

    it.engine.registry.make_ready_with(hold)
    try:
        yield
    finally:
        it.engine.registry.make_ready_with(go)
        gate.set()


async def configuration(it: House) -> Any:
    """What both operations that show a function say of it."""
    found = await it.call("get_function_configuration", FunctionName="f")
    whole = (await it.call("get_function", FunctionName="f"))["Configuration"]
    assert {key: value for key, value in found.items() if key != "ResponseMetadata"} == whole
    return whole


def test_every_transition_is_a_revision_and_only_changes_are_modifications(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        revisions, modified = [], []

        def note(found: Any, expected: dict[str, Any]) -> None:
            assert states(found) == expected
            assert str(uuid.UUID(found["RevisionId"], version=4)) == found["RevisionId"]
            assert re.fullmatch(
                r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", found["LastModified"]
            )
            revisions.append(found["RevisionId"])
            modified.append(found["LastModified"])

        creating = {
            "State": "Pending",
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
        }
        updating = {
            "State": "Active",
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }
        async with held(it):
            note(await it.create(), creating)
            assert (await configuration(it))["RevisionId"] == revisions[0]
        await it.engine.registry.wait_settled("f")
        note(await configuration(it), SETTLED)
        code = package()
        for update, changes in (
            ("update_function_configuration", {"Timeout": 7}),
            ("update_function_configuration", {}),  # an update of nothing is one all the same
            ("update_function_code", {"ZipFile": code}),
            ("update_function_code", {"ZipFile": code}),
        ):
            async with held(it):
                note(await it.call(update, FunctionName="f", **changes), updating)
                assert (await configuration(it))["RevisionId"] == revisions[-1]
            await it.engine.registry.wait_settled("f")
            note(await configuration(it), SETTLED)
        await it.call("tag_resource", Resource=f"{ARN}f", Tags={"a": "b"})
        assert (await configuration(it))["RevisionId"] == revisions[-1]
        assert len(set(revisions)) == len(revisions) == 10
        for at in range(0, len(modified), 2):
            assert modified[at] == modified[at + 1]
        assert modified == sorted(modified)

    run(tmp_path, scene)


def test_what_a_pending_function_refuses(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        async with held(it):
            await it.create()
            state = "The function is currently in the following state: Pending"
            for kind in ("RequestResponse", "DryRun"):
                assert await it.refused("invoke", FunctionName="f", InvocationType=kind) == (
                    409,
                    "ResourceConflictException",
                    f"The operation cannot be performed at this time. {state}",
                )
            await refuses_changes(it, PENDING)
            listed = await it.call("list_functions")
            assert [item["FunctionName"] for item in listed["Functions"]] == ["f"]
            assert (await it.call("delete_function", FunctionName="f"))["StatusCode"] == 204
        assert (await it.refused("get_function", FunctionName="f"))[0] == 404

    run(tmp_path, scene)


async def refuses_changes(it: House, expected: tuple[int, str, str]) -> None:
    update = "update_function_code"
    assert await it.refused(update, FunctionName="f", ZipFile=package()) == expected
    dry = await it.refused(update, FunctionName="f", ZipFile=package(), DryRun=True)
    assert dry == expected
    assert await it.refused("update_function_configuration", FunctionName="f") == expected
    assert await it.refused("tag_resource", Resource=f"{ARN}f", Tags={"a": "b"}) == expected
    assert await it.refused("untag_resource", Resource=f"{ARN}f", TagKeys=["a"]) == expected


def test_while_an_update_is_in_progress_the_old_version_serves(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        async with held(it):
            await it.call("update_function_configuration", FunctionName="f", Timeout=9)
            old = it.engine.registry.resolve("f")
            assert (old.configuration.timeout, (await configuration(it))["Timeout"]) == (3, 9)
            assert (await it.call("invoke", FunctionName="f"))["StatusCode"] == 200
            await refuses_changes(it, IN_PROGRESS)
        await it.engine.registry.wait_settled("f")
        assert it.engine.registry.resolve("f").configuration.timeout == 9

    run(tmp_path, scene)


def test_a_revision_that_is_not_the_latest(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        created = await it.create()
        await it.engine.registry.wait_settled("f")
        stale = {"FunctionName": "f", "RevisionId": created["RevisionId"]}
        expected = (
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
        assert await it.refused("update_function_configuration", **stale) == expected
        assert await it.refused("update_function_code", ZipFile=package(), **stale) == expected
        latest = (await configuration(it))["RevisionId"]
        updated = await it.call(
            "update_function_configuration", FunctionName="f", RevisionId=latest, Timeout=4
        )
        assert updated["Timeout"] == 4

    run(tmp_path, scene)
