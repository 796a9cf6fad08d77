"""Event invoke configs and dead-letter queues through boto3."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ARN, House, run

PUT, UPDATE = "put_function_event_invoke_config", "update_function_event_invoke_config"
GET, DELETE = "get_function_event_invoke_config", "delete_function_event_invoke_config"
LIST = "list_function_event_invoke_configs"
F = {"FunctionName": "f"}
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
BUS = "arn:aws:events:us-east-1:000000000000:event-bus/default"
BUCKET = "arn:aws:s3:::bucket"
NOTHING: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}
INVALID, MISSING = "InvalidParameterValueException", "ResourceNotFoundException"


def to(success: str | None = None, failure: str | None = None) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if success is not None:
        config["OnSuccess"] = {"Destination": success}
    if failure is not None:
        config["OnFailure"] = {"Destination": failure}
    return {"DestinationConfig": config}


def told(reply: dict[str, Any]) -> dict[str, Any]:
    """What a reply says besides when and how."""
    return {key: reply[key] for key in reply.keys() - {"LastModified", "ResponseMetadata"}}


def test_put_replaces_and_update_merges(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        put = await it.call(PUT, **F, MaximumRetryAttempts=1, **to(QUEUE))
        assert put["LastModified"].timestamp() == pytest.approx(
            (await it.call(GET, **F))["LastModified"].timestamp()
        )
        assert told(put) == {
            "FunctionArn": f"{ARN}f:$LATEST",
            "MaximumRetryAttempts": 1,
            "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}, "OnFailure": {}},
        }
        updated = await it.call(UPDATE, **F, MaximumEventAgeInSeconds=60, **to(None, BUCKET))
        assert told(updated) == {
            "FunctionArn": f"{ARN}f:$LATEST",
            "MaximumRetryAttempts": 1,
            "MaximumEventAgeInSeconds": 60,
            "DestinationConfig": {
                "OnSuccess": {"Destination": QUEUE},
                "OnFailure": {"Destination": BUCKET},
            },
        }
        assert told(await it.call(GET, **F)) == told(updated)
        put = await it.call(PUT, **F, MaximumRetryAttempts=0)
        assert told(put) == {
            "FunctionArn": f"{ARN}f:$LATEST",
            "MaximumRetryAttempts": 0,
            "DestinationConfig": NOTHING,
        }

    run(tmp_path, scene)


def test_each_qualifier_has_its_own_which_goes_with_it(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Publish=True)
        await it.engine.registry.wait_settled("f", "1")
        await it.call("create_alias", **F, Name="live", FunctionVersion="1")
        for number, qualifier in enumerate(("1", "live", "$LATEST")):
            await it.call(PUT, **F, Qualifier=qualifier, MaximumRetryAttempts=number)
        found = await it.call(LIST, **F)
        assert [
            (config["FunctionArn"], config["MaximumRetryAttempts"])
            for config in found["FunctionEventInvokeConfigs"]
        ] == [(f"{ARN}f:$LATEST", 2), (f"{ARN}f:1", 0), (f"{ARN}f:live", 1)]
        page = await it.call(LIST, **F, MaxItems=2)
        rest = await it.call(LIST, **F, Marker=page["NextMarker"])
        assert len(page["FunctionEventInvokeConfigs"]) == 2
        assert len(rest["FunctionEventInvokeConfigs"]) == 1
        effective = it.engine.registry.event_invoke.effective
        assert [effective("f", one).retries for one in (None, "1", "live")] == [2, 0, 1]
        await it.call("delete_alias", **F, Name="live")
        await it.call("create_alias", **F, Name="live", FunctionVersion="1")
        assert await it.refused(GET, **F, Qualifier="live") == (
            404,
            MISSING,
            f"The function {ARN}f:live doesn't have an EventInvokeConfig",
        )

    run(tmp_path, scene)


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(it: House) -> None:
        await it.active(DeadLetterConfig={"TargetArn": QUEUE})
        await it.call(PUT, **F, MaximumRetryAttempts=1, **to(BUS, TOPIC))

    async def second(it: House) -> None:
        config = it.engine.registry.event_invoke.effective("f", None)
        assert (config.retries, config.age) == (1, 21600)
        assert (config.on_success, config.on_failure) == (BUS, TOPIC)
        shown = await it.call("get_function_configuration", **F)
        assert shown["DeadLetterConfig"] == {"TargetArn": QUEUE}
        await it.call(DELETE, **F)
        assert await it.refused(DELETE, **F) == (
            404,
            MISSING,
            f"The function {ARN}f:$LATEST doesn't have an EventInvokeConfig",
        )

    run(tmp_path, first)
    run(tmp_path, second)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "You must specify at least one of error handling or destination setting."),
        (
            {"DestinationConfig": {}},
            "You must specify at least one of error handling or destination setting.",
        ),
        (to(f"{ARN}none"), f"The destination ARN {ARN}none is invalid."),
        (to(f"{ARN}g:7"), f"The destination ARN {ARN}g:7 is invalid."),
        (to(None, f"{ARN}f"), "You can't specify the function as a destination for itself."),
        (to(f"{ARN}f:$LATEST"), "You can't specify the function as a destination for itself."),
        (
            to(BUCKET),
            "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination="
            f"{BUCKET}), onFailure=null) is invalid.",
        ),
        (
            to(QUEUE, "arn:aws:kinesis:us-east-1:000000000000:stream/s"),
            "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination="
            f"{QUEUE}), onFailure=OnFailure(destination=arn:aws:kinesis:us-east-1:000000000000:"
            "stream/s)) is invalid.",
        ),
    ],
    ids=["nothing", "empty", "unknown", "version", "itself", "itself again", "bucket", "stream"],
)
def test_what_can_not_be_meant_is_refused(given: dict[str, Any], text: str, tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await it.active("g")
        for method in (PUT, UPDATE):
            await it.call(PUT, **F, MaximumRetryAttempts=1)
            assert await it.refused(method, **F, **given) == (400, INVALID, text)
            assert told(await it.call(GET, **F))["DestinationConfig"] == NOTHING

    run(tmp_path, scene)


@pytest.mark.parametrize("method", [PUT, UPDATE, GET, DELETE, LIST])
def test_a_function_or_qualifier_that_is_not_there(method: str, tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        given = {"MaximumRetryAttempts": 1} if method in (PUT, UPDATE) else {}
        unknown = (404, MISSING, "The function doesn't exist.")
        assert await it.refused(method, FunctionName="none", **given) == unknown
        if method != LIST:
            assert await it.refused(method, **F, Qualifier="7", **given) == unknown
        if method == UPDATE:
            assert (await it.refused(UPDATE, **F, **given))[:2] == (404, MISSING)

    run(tmp_path, scene)


def test_an_empty_arn_takes_a_destination_away(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await it.call(PUT, **F, MaximumRetryAttempts=1, **to(QUEUE, TOPIC))
        updated = await it.call(UPDATE, **F, **to(""))
        assert updated["DestinationConfig"] == {
            "OnSuccess": {},
            "OnFailure": {"Destination": TOPIC},
        }

    run(tmp_path, scene)


def test_a_function_s_dead_letter_queue_is_that_of_its_versions(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(DeadLetterConfig={"TargetArn": QUEUE}, Publish=True)
        await it.engine.registry.wait_settled("f", "1")
        changed = await it.call(
            "update_function_configuration", **F, DeadLetterConfig={"TargetArn": TOPIC}
        )
        assert changed["DeadLetterConfig"] == {"TargetArn": TOPIC}
        version = await it.call("get_function_configuration", **F, Qualifier="1")
        assert version["DeadLetterConfig"] == {"TargetArn": TOPIC}
        await it.engine.registry.wait_settled("f")
        cleared = await it.call(
            "update_function_configuration", **F, DeadLetterConfig={"TargetArn": ""}
        )
        assert "DeadLetterConfig" not in cleared

    run(tmp_path, scene)


@pytest.mark.parametrize("arn", [BUCKET, f"{ARN}g", BUS, "arn:aws:sqs:us-east-1:000000000000:"])
def test_a_dead_letter_queue_is_a_queue_or_a_topic(arn: str, tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        refused = await it.refused("create_function", **_new(DeadLetterConfig={"TargetArn": arn}))
        assert refused[:2] == (400, INVALID)
        assert arn in refused[2]

    run(tmp_path, scene)


def _new(**more: Any) -> dict[str, Any]:
    from tests.api.house import ROLE, package

    return {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": package()},
        **more,
    }


@pytest.mark.parametrize(
    ("given", "code", "part"),
    [
        (to("late"), "ValidationException", "Value 'late' at 'destinationConfig.onSuccess."),
        (to(None, f"{QUEUE}{'q' * 350}"), "ValidationException", "less than or equal to 350"),
        (to("arn:aws:sqs:us-east-1:000000000000:größe"), INVALID, "onFailure=null) is invalid."),
        (to(None, "kafka://topic"), INVALID, "OnFailure(destination=kafka://topic)) is invalid."),
        ({"MaximumRetryAttempts": 3}, "ValidationException", "less than or equal to 2"),
        ({"MaximumRetryAttempts": -1}, "ValidationException", "greater than or equal to 0"),
        ({"MaximumEventAgeInSeconds": 59}, "ValidationException", "greater than or equal to 60"),
        ({"MaximumEventAgeInSeconds": 10**30}, None, ""),
    ],
    ids=["no ARN", "long", "letters", "kafka", "3 retries", "-1 retries", "59 s", "ages"],
)
def test_odd_values(given: dict[str, Any], code: str | None, part: str, tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        status, found, text = await it.refused(PUT, **F, **given)
        assert status == 400
        assert code in (None, found)
        assert part in text
        assert (await it.refused(GET, **F))[:2] == (404, MISSING)

    run(tmp_path, scene)


def test_a_reference_says_the_qualifier_in_any_of_its_forms(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Publish=True)
        await it.engine.registry.wait_settled("f", "1")
        for at, number in (
            ({"FunctionName": "f:1"}, 0),
            ({"FunctionName": f"{ARN}f:1", "Qualifier": "1"}, 1),
            ({"FunctionName": "000000000000:function:f", "Qualifier": "1"}, 2),
        ):
            put = await it.call(PUT, **at, MaximumRetryAttempts=number)
            assert put["FunctionArn"] == f"{ARN}f:1"
            assert told(await it.call(GET, FunctionName="f:1"))["MaximumRetryAttempts"] == number
        unequal = {"FunctionName": "f:1", "Qualifier": "$LATEST"}
        assert await it.refused(PUT, **unequal, MaximumRetryAttempts=0) == (
            400,
            INVALID,
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
        assert (await it.refused(GET, **F))[:2] == (404, MISSING)

    run(tmp_path, scene)


def test_functions_of_others_can_be_destinations_and_own_ones_by_qualifier(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        await it.active("g", Publish=True)
        await it.engine.registry.wait_settled("g", "1")
        await it.call("create_alias", FunctionName="g", Name="live", FunctionVersion="1")
        elsewhere = "arn:aws:lambda:eu-west-1:000000000000:function:f"
        others = "arn:aws:lambda:us-east-1:111111111111:function:f:live"
        own = [f"{ARN}g{qualifier}" for qualifier in ("", ":1", ":live", ":$LATEST")]
        for arn in (elsewhere, others, *own):
            put = await it.call(PUT, **F, **to(arn, arn))
            assert put["DestinationConfig"]["OnFailure"] == {"Destination": arn}

    run(tmp_path, scene)


def test_none_of_many_changes_at_once_is_lost(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Publish=True)
        await it.engine.registry.wait_settled("f", "1")
        before = await it.call("get_function_configuration", **F)
        await it.call(PUT, **F, MaximumRetryAttempts=2)
        await asyncio.gather(
            *(it.call(UPDATE, **F, MaximumRetryAttempts=number % 2) for number in range(6)),
            *(it.call(UPDATE, **F, MaximumEventAgeInSeconds=60 + number) for number in range(6)),
            it.call(UPDATE, **F, **to(QUEUE)),
            it.call(UPDATE, **F, **to(None, TOPIC)),
            it.call(PUT, **F, Qualifier="1", MaximumRetryAttempts=0),
        )
        found = await it.call(GET, **F)
        assert found["MaximumRetryAttempts"] in (0, 1)
        assert found["MaximumEventAgeInSeconds"] in range(60, 66)
        assert told(found)["DestinationConfig"] == to(QUEUE, TOPIC)["DestinationConfig"]
        # A client that holds a revision of the function is not refused for it.
        after = await it.call("get_function_configuration", **F)
        assert after["RevisionId"] == before["RevisionId"]

    run(tmp_path, scene)


def test_a_config_stays_with_an_alias_that_moves_and_goes_with_its_function(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active(Publish=True)
        await it.engine.registry.wait_settled("f", "1")
        await it.call("create_alias", **F, Name="live", FunctionVersion="1")
        for qualifier in ("live", "1", "$LATEST"):
            await it.call(PUT, **F, Qualifier=qualifier, MaximumRetryAttempts=0)
        await it.call("update_alias", **F, Name="live", FunctionVersion="$LATEST")
        assert (await it.call(GET, **F, Qualifier="live"))["MaximumRetryAttempts"] == 0
        await it.call("delete_function", **F, Qualifier="1")
        found = await it.call(LIST, **F)
        assert len(found["FunctionEventInvokeConfigs"]) == 2
        await it.call("delete_function", **F)
        assert it.engine.registry.event_invoke.effective("f", "live").retries == 2
        await it.active()
        assert (await it.call(LIST, **F))["FunctionEventInvokeConfigs"] == []

    run(tmp_path, scene)


def test_a_dead_letter_queue_is_part_of_the_configuration(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        settle = it.engine.registry.wait_settled
        before = await it.call("get_function_configuration", **F)
        assert "DeadLetterConfig" not in before
        letters = {"DeadLetterConfig": {"TargetArn": QUEUE}}
        wrong = {"RevisionId": "00000000-0000-0000-0000-000000000000"}
        refused = await it.refused("update_function_configuration", **F, **letters, **wrong)
        assert refused[:2] == (412, "PreconditionFailedException")
        updated = await it.call(
            "update_function_configuration", **F, **letters, RevisionId=before["RevisionId"]
        )
        assert updated["LastUpdateStatus"] == "InProgress"
        assert updated["RevisionId"] != before["RevisionId"]
        await settle("f")
        made = await it.call("publish_version", **F)
        await settle("f", "1")
        await it.call("update_function_configuration", **F, Timeout=9)  # what is not named stays
        await settle("f")
        shown = [
            made,
            (await it.call("get_function", **F))["Configuration"],
            await it.call("get_function_configuration", **F, Qualifier="1"),
            *(await it.call("list_functions", FunctionVersion="ALL"))["Functions"],
            *(await it.call("list_versions_by_function", **F))["Versions"],
        ]
        assert len(shown) == 7
        assert [item.get("DeadLetterConfig") for item in shown] == [{"TargetArn": QUEUE}] * 7
        # A block that is given replaces what there is, as any of a configuration's does.
        cleared = await it.call("update_function_configuration", **F, DeadLetterConfig={})
        assert "DeadLetterConfig" not in cleared

    run(tmp_path, scene)
