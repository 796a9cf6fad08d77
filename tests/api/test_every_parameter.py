"""Every parameter of the operations that are carried out is carried out, or refused by name."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from tests.api import parameters
from tests.api.coverage import members
from tests.api.house import ARN, ROLE, House, package, run, until

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"


@pytest.mark.parametrize("operation", parameters.CARRIED)
def test_somebody_has_decided_about_every_parameter(operation: str) -> None:
    carried = parameters.CARRIED[operation]
    refused = set(parameters.REFUSED.get(operation, {}))
    assert members(operation) - carried - refused == set()
    assert not carried & refused
    assert set(parameters.DEFAULTS.get(operation, {})) <= refused


def valid(operation: str) -> dict[str, Any]:
    """A request that goes through; every operation but Create means the function `f`."""
    create = {
        "FunctionName": "g",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": package()},
    }
    found: dict[str, dict[str, Any]] = {
        "CreateFunction": create,
        "UpdateFunctionCode": {"FunctionName": "f", "ZipFile": package()},
        "ListFunctions": {},
        "PublishLayerVersion": {"LayerName": "l", "Content": {"ZipFile": package()}},
        "CreateEventSourceMapping": {"FunctionName": "f", "EventSourceArn": QUEUE},
        "UpdateEventSourceMapping": {"UUID": "0" * 36},
    }
    return deepcopy(found.get(operation, {"FunctionName": "f"}))


def given(operation: str, path: str, value: Any) -> dict[str, Any]:
    """A request that goes through but for `value` at `path`."""
    params = valid(operation)
    *outer, inner = path.split(".")
    place = params
    for name in outer:
        place = place.setdefault(name, {})
    place[inner] = value
    return params


def refused_as(path: str, carried: set[str]) -> str:
    """A structure of which nothing is carried out is refused as a whole."""
    parts = path.split(".")
    outer = [".".join(parts[:count]) for count in range(1, len(parts))]
    known = [one for one in outer if any(name.startswith(f"{one}.") for name in carried)]
    return ".".join(parts[: len(known) + 1])


@pytest.mark.parametrize("operation", parameters.REFUSED)
def test_what_is_not_carried_out_is_refused_by_name(tmp_path: Path, operation: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        before = await it.call("get_function_configuration", FunctionName="f")
        for path, value in parameters.REFUSED[operation].items():
            if path not in members(operation):
                continue  # of a newer model than the installed one
            named = refused_as(path, parameters.CARRIED[operation])
            advice = "leave it out."
            if path in parameters.DEFAULTS.get(operation, {}):
                advice = "leave it out, or at its default."
            assert await it.refused(xform_name(operation), **given(operation, path, value)) == (
                400,
                "InvalidParameterValueException",
                f"Samovar does not carry out the parameter {named} of {operation} yet; {advice}",
            )
        after = await it.call("get_function_configuration", FunctionName="f")
        assert after["RevisionId"] == before["RevisionId"]
        listed = await it.call("list_functions")
        assert [item["FunctionName"] for item in listed["Functions"]] == ["f"]
        assert it.engine.finished == []

    run(tmp_path, scene)


async def mapped(it: House) -> str:
    """The UUID of a mapping that can be updated."""
    asked = valid("CreateEventSourceMapping")
    made: str = (await it.call("create_event_source_mapping", **asked))["UUID"]
    await until(lambda: it.engine.registry.event_sources.get(made).state.settled)
    return made


@pytest.mark.parametrize("operation", parameters.DEFAULTS)
def test_a_value_that_asks_for_what_happens_anyway_is_taken(tmp_path: Path, operation: str) -> None:
    async def scene(it: House) -> None:
        await it.active()
        for path, values in parameters.DEFAULTS[operation].items():
            for value in values:
                params = given(operation, path, value)
                if "UUID" in params:
                    params["UUID"] = await mapped(it)
                await it.call(xform_name(operation), **params)
                await it.engine.registry.wait_settled("f")
                if operation == "CreateFunction":
                    await it.call("delete_function", FunctionName="g")

    run(tmp_path, scene)


def test_what_create_is_given_is_what_is_there(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "Handler": "pkg/app.handler",
        "Description": "Größe \U0001fad6 " + "d" * 240,
        "Timeout": 900,
        "MemorySize": 10240,
        "Environment": {"Variables": {"K1": "", "K_2": "wert \u00fc"}},
        "EphemeralStorage": {"Size": 10240},
    }

    async def scene(it: House) -> None:
        tags = {"team": "tea", "k" * 128: "v" * 256}
        await it.active(**asked, Tags=tags, LoggingConfig={"LogGroup": "/mine"})
        found = await it.call("get_function", FunctionName="f")
        shown = found["Configuration"]
        assert {key: shown[key] for key in asked} == asked
        assert shown["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/mine"}
        assert found["Tags"] == tags == (await it.call("list_tags", Resource=ARN + "f"))["Tags"]

    run(tmp_path, scene)


def test_what_an_update_is_given_is_what_is_there_and_nothing_else_moves(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {"Handler": "other.handler"},
        {"Role": "arn:aws:iam::000000000000:role/service-role/other"},
        {"Description": "another"},
        {"Timeout": 1},
        {"MemorySize": 129},
        {"Environment": {"Variables": {"CC": "3"}}},
        {"EphemeralStorage": {"Size": 513}},
        {"Environment": {"Variables": {}}},
        {"Description": ""},
    ]

    async def scene(it: House) -> None:
        await it.active(Environment={"Variables": {"AA": "1", "BB": "2"}}, Tags={"a": "b"})
        moving = {"RevisionId", "LastModified", "ResponseMetadata"}
        before = await it.call("get_function_configuration", FunctionName="f")
        for change in changes:
            await it.call("update_function_configuration", FunctionName="f", **change)
            await it.engine.registry.wait_settled("f")
            after = await it.call("get_function_configuration", FunctionName="f")
            moved = {key for key in after if after[key] != before.get(key)} - moving
            assert moved == set(change)
            assert {key: after[key] for key in change} == change
            before = after
        assert (await it.call("get_function", FunctionName="f"))["Tags"] == {"a": "b"}

    run(tmp_path, scene)
