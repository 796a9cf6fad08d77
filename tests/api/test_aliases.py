"""Aliases through boto3: every operation, and every text of what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.api.house import ARN, House, run
from tests.api.test_versions import REVISION, invalid, missing, publish

LIVE = {"FunctionName": "f", "Name": "live"}
NAME = r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)"


def validation(value: str, field: str, rule: str) -> tuple[int, str, str]:
    return (
        400,
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy "
        f"constraint: {rule}",
    )


def weights(**given: float) -> dict[str, dict[str, float]]:
    """`v2=0.5` is half of the invocations for version 2."""
    return {
        "AdditionalVersionWeights": {name.removeprefix("v"): share for name, share in given.items()}
    }


async def three(it: House) -> None:
    await it.active()
    for number in "123":
        await publish(it, Description=number)


def shown(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "ResponseMetadata"}


def test_from_creation_to_deletion(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await three(it)
        made = await it.call("create_alias", **LIVE, FunctionVersion="1")
        assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
        assert shown(made) == {
            "AliasArn": ARN + "f:live",
            "Name": "live",
            "FunctionVersion": "1",
            "Description": "",
            "RevisionId": made["RevisionId"],
        }
        assert shown(await it.call("get_alias", **LIVE)) == shown(made)
        for reference in ("f:live", ARN + "f:live"):
            found = await it.call("get_function_configuration", FunctionName=reference)
            assert (found["FunctionArn"], found["Version"]) == (ARN + "f:live", "1")
        changed = await it.call(
            "update_alias",
            **LIVE,
            FunctionVersion="2",
            Description="d",
            RoutingConfig=weights(v3=0.25),
            RevisionId=made["RevisionId"],
        )
        assert changed["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert (changed["FunctionVersion"], changed["Description"]) == ("2", "d")
        assert changed["RoutingConfig"] == weights(v3=0.25)
        assert changed["RevisionId"] != made["RevisionId"]
        stale = {**LIVE, "RevisionId": made["RevisionId"]}
        assert await it.refused("update_alias", **stale) == REVISION
        kept = await it.call("update_alias", **LIVE, Description="e")
        assert (kept["FunctionVersion"], kept["RoutingConfig"]) == ("2", weights(v3=0.25))
        for nothing in ({}, {"AdditionalVersionWeights": {}}):
            await it.call("update_alias", **LIVE, RoutingConfig=weights(v3=0.25))
            bare = await it.call("update_alias", **LIVE, RoutingConfig=nothing)
            assert "RoutingConfig" not in bare
        for _ in range(2):  # what is gone already is no error
            gone = await it.call("delete_alias", **LIVE)
            assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
        tip = await it.call("create_alias", **LIVE, FunctionVersion="$LATEST")
        assert tip["FunctionVersion"] == "$LATEST"

    run(tmp_path, scene)


def test_what_is_refused(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await three(it)
        refused = it.refused
        assert await refused("get_alias", **LIVE) == (
            404,
            "ResourceNotFoundException",
            f"Cannot find alias arn: {ARN}f:live",
        )
        assert await refused("update_alias", **LIVE) == (
            404,
            "ResourceNotFoundException",
            f"Alias not found: {ARN}f:live",
        )
        one = {**LIVE, "FunctionVersion": "1"}
        assert await refused("create_alias", **{**one, "FunctionName": "g"}) == missing(ARN + "g")
        assert await refused("create_alias", **{**one, "FunctionVersion": "10"}) == missing(
            ARN + "f:10"
        )
        assert await refused("create_alias", **one, RoutingConfig=weights(v10=0.5)) == missing(
            ARN + "f:10"
        )
        assert await refused("create_alias", **{**one, "Name": "12"}) == validation(
            "12", "name", f"Member must satisfy regular expression pattern: {NAME}"
        )
        assert await refused("create_alias", **one, Description="x" * 257) == validation(
            "x" * 257, "description", "Member must have length less than or equal to 256"
        )
        assert await refused("create_alias", **{**one, "FunctionVersion": "live"}) == validation(
            "live",
            "functionVersion",
            r"Member must satisfy regular expression pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+)",
        )
        heavy = await refused("create_alias", **one, RoutingConfig=weights(v2=1.5))
        assert heavy == validation(
            "{2=1.5}",
            "routingConfig.additionalVersionWeights",
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
            "Member must have value greater than or equal to 0.0, Member must not be null]",
        )
        assert await refused(
            "create_alias", **one, RoutingConfig=weights(v2=0.1, v3=0.1)
        ) == invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
        assert await refused("create_alias", **one, RoutingConfig=weights(v1=0.1)) == invalid(
            "Invalid function version 1. Function version 1 is already included in routing "
            "configuration."
        )
        latest = {**LIVE, "FunctionVersion": "$LATEST"}
        assert await refused("create_alias", **latest, RoutingConfig=weights(v1=0.1)) == invalid(
            "$LATEST is not supported for an alias pointing to more than 1 version"
        )
        await it.call("create_alias", **one)
        assert await refused("create_alias", **one) == (
            409,
            "ResourceConflictException",
            f"Alias already exists: {ARN}f:live",
        )

    run(tmp_path, scene)


def test_lists(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await three(it)
        for name, version in (("c", "1"), ("a", "2"), ("b", "1")):
            await it.call("create_alias", FunctionName="f", Name=name, FunctionVersion=version)
        first = await it.call("list_aliases", FunctionName="f", MaxItems=2)
        rest = await it.call("list_aliases", FunctionName="f", Marker=first["NextMarker"])
        found = first["Aliases"] + rest["Aliases"]
        assert [item["AliasArn"] for item in found] == [f"{ARN}f:{name}" for name in "abc"]
        assert "NextMarker" not in rest
        of_one = await it.call("list_aliases", FunctionName="f", FunctionVersion="1")
        assert [item["Name"] for item in of_one["Aliases"]] == ["b", "c"]

    run(tmp_path, scene)


def test_each_qualifier_has_a_policy_of_its_own(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await three(it)
        await it.call("create_alias", **LIVE, FunctionVersion="1")
        permission = {
            "StatementId": "s",
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
        }

        async def revisions() -> list[str]:
            shown = [
                await it.call("get_function_configuration", FunctionName="f"),
                await it.call("get_function_configuration", FunctionName="f:1"),
                await it.call("get_alias", **LIVE),
            ]
            return [item["RevisionId"] for item in shown]

        places: list[dict[str, str]] = [
            {"FunctionName": "f"},
            {"FunctionName": "f", "Qualifier": "1"},
            {"FunctionName": "f:live"},
        ]
        for at, place in enumerate(places):
            before = await revisions()
            stale = {**place, **permission, "RevisionId": before[at - 1]}
            status, code, _ = await it.refused("add_permission", **stale)
            assert (status, code) == (412, "PreconditionFailedException")
            added = await it.call("add_permission", **place, **permission, RevisionId=before[at])
            arn = ARN + ":".join(place.values()).replace("f:f", "f")
            assert json.loads(added["Statement"])["Resource"] == arn
            after = await revisions()
            assert [number for number in range(3) if before[number] != after[number]] == [at]
            found = await it.call("get_policy", **place)
            assert found["RevisionId"] == after[at]
            (statement,) = json.loads(found["Policy"])["Statement"]
            assert statement["Resource"] == arn
        assert await it.refused("add_permission", FunctionName="f:$LATEST", **permission) == (
            invalid("We currently do not support adding policies for $LATEST.")
        )
        assert await it.refused("add_permission", FunctionName="f:9", **permission) == missing(
            ARN + "f:9"
        )
        await it.call("remove_permission", FunctionName="f", Qualifier="live", StatementId="s")
        nothing = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
        assert await it.refused("get_policy", FunctionName="f:live") == nothing
        await it.call("get_policy", FunctionName="f:1")
        # A policy goes with its alias, and another one of the name has none.
        await it.call("add_permission", FunctionName="f:live", **permission)
        await it.call("delete_alias", **LIVE)
        await it.call("create_alias", **LIVE, FunctionVersion="1")
        assert await it.refused("get_policy", FunctionName="f:live") == nothing

    run(tmp_path, scene)
