"""LoggingConfig: what is given, added and kept (reference 2.4), and what comes of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import House, package, run
from tests.api.served import Serve, ServedHouse

GROUP = "/aws/lambda/f"
TEXT = {"LogFormat": "Text", "LogGroup": GROUP}
INFO = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
IN_JSON = {"LogFormat": "JSON", **INFO, "LogGroup": GROUP}
NO_LEVELS = (
    400,
    "InvalidParameterValueException",
    'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request '
    'or change the LogFormat to "Json" and try again.',
)

CREATED: list[tuple[Any, Any]] = [
    ({}, TEXT),
    ({"LogFormat": "Text"}, TEXT),
    ({"LogFormat": "JSON"}, IN_JSON),
    ({"LogFormat": "JSON", "SystemLogLevel": "WARN"}, {**IN_JSON, "SystemLogLevel": "WARN"}),
    (
        {"LogFormat": "JSON", "ApplicationLogLevel": "TRACE", "LogGroup": "/mine"},
        {**IN_JSON, "ApplicationLogLevel": "TRACE", "LogGroup": "/mine"},
    ),
]


@pytest.mark.parametrize(("given", "shown"), CREATED)
def test_what_create_makes_of_it(tmp_path: Path, given: Any, shown: Any) -> None:
    async def scene(it: House) -> None:
        await it.active(LoggingConfig=given)
        found = await it.call("get_function_configuration", FunctionName="f")
        (listed,) = (await it.call("list_functions"))["Functions"]
        for item in (found, listed):
            assert item["LoggingConfig"] == shown

    run(tmp_path, scene)


STEPS: list[tuple[Any, Any]] = [
    ({"LogFormat": "JSON"}, IN_JSON),  # adds both levels
    ({"ApplicationLogLevel": "DEBUG"}, {**IN_JSON, "ApplicationLogLevel": "DEBUG"}),
    (
        {"LogGroup": "/mine"},  # keeps the rest
        {**IN_JSON, "ApplicationLogLevel": "DEBUG", "LogGroup": "/mine"},
    ),
    (
        {"LogFormat": "JSON"},  # it was before
        {**IN_JSON, "ApplicationLogLevel": "DEBUG", "LogGroup": "/mine"},
    ),
    ({"LogFormat": "Text"}, {**TEXT, "LogGroup": "/mine"}),  # takes both levels away
    (
        {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
        {**IN_JSON, "SystemLogLevel": "DEBUG", "LogGroup": "/mine"},
    ),
    ({}, {**IN_JSON, "SystemLogLevel": "DEBUG", "LogGroup": "/mine"}),
]


def test_what_updates_make_of_it(tmp_path: Path) -> None:
    async def scene(it: House) -> None:
        await it.active()
        for given, shown in STEPS:
            update = await it.call(
                "update_function_configuration", FunctionName="f", LoggingConfig=given
            )
            assert update["LoggingConfig"] == shown, given
            await it.engine.registry.wait_settled("f")

    run(tmp_path, scene)


@pytest.mark.parametrize("level", [{"ApplicationLogLevel": "INFO"}, {"SystemLogLevel": "WARN"}])
@pytest.mark.parametrize("text", [{}, {"LogFormat": "Text"}], ids=["as it is", "said"])
def test_levels_are_for_json_only(tmp_path: Path, level: Any, text: Any) -> None:
    async def scene(it: House) -> None:
        await it.active()
        update = ("update_function_configuration", {"FunctionName": "f"})
        assert await it.refused(update[0], **update[1], LoggingConfig=level | text) == NO_LEVELS
        new = {
            "FunctionName": "g",
            "Runtime": "python3.12",
            "Role": "arn:aws:iam::000000000000:role/r",
            "Handler": "app.handler",
            "Code": {"ZipFile": package()},
        }
        refused = await it.refused("create_function", **new, LoggingConfig=level | text)
        assert refused == NO_LEVELS
        shown = await it.call("get_function_configuration", FunctionName="f")
        assert shown["LoggingConfig"] == TEXT

    run(tmp_path, scene)


HANDLER = """
import logging, os
log = logging.getLogger("app")
def handler(event, context):
    print("printed")
    for level in (logging.DEBUG, logging.INFO, logging.ERROR):
        log.log(level, "two\\nlines")
    if event.get("fail"):
        raise ValueError("no")
    return [os.environ.get("AWS_LAMBDA_LOG_" + name) for name in ("FORMAT", "LEVEL", "GROUP_NAME")]
"""


async def invoked(it: ServedHouse, event: Any) -> tuple[Any, list[str]]:
    """The result and the lines of the log's tail."""
    reply = await it.call(
        "invoke", FunctionName="f", LogType="Tail", Payload=json.dumps(event).encode()
    )
    tail = base64.b64decode(reply["LogResult"]).decode()
    return json.loads(reply["Payload"].read()), tail.splitlines()


def kinds(lines: list[str]) -> list[str]:
    """What each line of a JSON log is."""
    found = []
    for line in lines:
        if not line.startswith("{"):
            found.append(line)
            continue
        fields = json.loads(line)
        found.append(fields.get("type") or fields.get("log_level") or fields["level"])
    return found


def test_what_a_function_sees_and_its_log_shows(serve: Serve) -> None:
    async def scene(it: ServedHouse) -> None:
        await it.create(Code={"ZipFile": package(HANDLER)})
        await it.engine.registry.wait_settled("f")

        async def update(**logging: Any) -> None:
            await it.call("update_function_configuration", FunctionName="f", LoggingConfig=logging)
            await it.engine.registry.wait_settled("f")

        seen, lines = await invoked(it, {})
        assert seen == [None, None, GROUP]
        assert lines[0].startswith("START ")

        await update(LogFormat="JSON", LogGroup="/mine")
        seen, lines = await invoked(it, {})
        assert seen == ["JSON", "INFO", "/mine"]
        middle = ["printed", "INFO", "ERROR"]
        assert kinds(lines) == ["platform.start", *middle, "platform.report"]
        report = json.loads(lines[-1])["record"]
        assert report["status"] == "success"
        assert list(report["metrics"]) == [
            *("durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"),
            "initDurationMs",
        ]
        assert json.loads(lines[2])["requestId"] == report["requestId"]

        await update(ApplicationLogLevel="TRACE", SystemLogLevel="DEBUG")
        seen, lines = await invoked(it, {"fail": True})
        assert seen["errorType"] == "ValueError"
        assert kinds(lines) == [
            *("platform.start", "printed", "DEBUG", "INFO", "ERROR", "ERROR"),
            *("platform.runtimeDone", "platform.report"),
        ]
        uncaught, report = json.loads(lines[-3]), json.loads(lines[-1])["record"]
        assert uncaught["stackTrace"] == seen["stackTrace"]
        assert (report["status"], report["errorType"]) == ("error", "ValueError")

        await update(ApplicationLogLevel="FATAL", SystemLogLevel="WARN")
        _, lines = await invoked(it, {})
        assert kinds(lines) == ["printed"]
        _, lines = await invoked(it, {"fail": True})
        assert kinds(lines) == ["printed", "ERROR", "platform.runtimeDone", "platform.report"]

    serve(scene)
