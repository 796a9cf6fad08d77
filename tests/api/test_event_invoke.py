"""Event invoke configs and dead-letter queues through boto3."""

from __future__ import annotations

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
