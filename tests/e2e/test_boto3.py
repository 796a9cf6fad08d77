"""boto3 as applications use it: waiters, paginators, retries, threads."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from tests.e2e.house import ARN, AT_ONCE, ECHO, Engine, new, zipped

MEGABYTE = 1024 * 1024
THREADS = 8


def body(reply: Any) -> Any:
    return json.load(reply["Payload"])


def test_the_life_of_a_function(aws: Any) -> None:
    code = zipped({"app.py": ECHO})
    made = aws.create_function(**new("f", Code={"ZipFile": code}, Tags={"team": "tea"}))
    assert (made["State"], made["FunctionArn"]) == ("Pending", ARN + "f")
    aws.get_waiter("function_exists").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)

    reply = aws.invoke(FunctionName="f", Payload=b'{"a": 1}', LogType="Tail")
    assert body(reply) == {"event": {"a": 1}, "edition": "none"}
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
    log = base64.b64decode(reply["LogResult"]).decode()
    assert f"START RequestId: {reply['ResponseMetadata']['RequestId']} Version: $LATEST\n" in log
    assert "got {'a': 1}\n" in log

    found = aws.get_function(FunctionName="f")
    assert found["Tags"] == {"team": "tea"}
    with urllib.request.urlopen(found["Code"]["Location"]) as link:
        assert link.read() == code
    digest = base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert found["Configuration"]["CodeSha256"] == digest

    aws.update_function_configuration(FunctionName="f", Environment={"Variables": {"EDITION": "2"}})
    aws.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    assert body(aws.invoke(FunctionName="f"))["edition"] == "2"

    newer = zipped({"app.py": "def handler(event, context):\n    raise KeyError('gone')\n"})
    aws.update_function_code(FunctionName="f", ZipFile=newer)
    aws.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
    failed = aws.invoke(FunctionName="f")
    assert failed["FunctionError"] == "Unhandled"
    assert body(failed)["errorType"] == "KeyError"

    aws.delete_function(FunctionName="f")
    with pytest.raises(aws.exceptions.ResourceNotFoundException):
        aws.get_function(FunctionName="f")
    with pytest.raises(WaiterError):
        aws.get_waiter("function_exists").wait(
            FunctionName="f", WaiterConfig={"Delay": 0, "MaxAttempts": 2}
        )


def test_paginators_find_every_function_once(aws: Any) -> None:
    names = [f"f-{number:02}" for number in range(53)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda name: aws.create_function(**new(name)), reversed(names)))
    pages = aws.get_paginator("list_functions")
    for size in (None, 7):
        found = pages.paginate(PaginationConfig={"PageSize": size} if size else {})
        assert [item["FunctionName"] for page in found for item in page["Functions"]] == names
    whole = pages.paginate(FunctionVersion="ALL").build_full_result()
    assert {item["Version"] for item in whole["Functions"]} == {"$LATEST"}
    versions = aws.get_paginator("list_versions_by_function").paginate(FunctionName="f-00")
    (only,) = versions.build_full_result()["Versions"]
    assert only["FunctionArn"] == ARN + "f-00:$LATEST"
    query = pages.paginate().search("Functions[?ends_with(FunctionName, '7')].FunctionName")
    assert list(query) == [name for name in names if name.endswith("7")]


def test_threads_and_large_payloads(engine: Engine) -> None:
    aws = engine.client(max_pool_connections=THREADS, retries={"mode": "standard"})
    try:
        aws.create_function(**new("f", Timeout=30))
        aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)

        def ask(number: int) -> bool:
            event = {"number": number, "text": "x" * (number * MEGABYTE // 4)}
            reply = aws.invoke(FunctionName="f", Payload=json.dumps(event))
            return bool(body(reply)["event"] == event)

        with ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(ask, range(16)))
        with pytest.raises(aws.exceptions.ClientError) as caught:
            aws.invoke(FunctionName="f", Payload=json.dumps("x" * 6 * MEGABYTE))
        told = caught.value.response
        assert told["Error"]["Code"] == "RequestEntityTooLargeException"
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 413
        large = zipped({"app.py": ECHO, "ballast": bytes(range(256)) * 4 * 1024 * 40})
        aws.update_function_code(FunctionName="f", ZipFile=large)
        aws.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig=AT_ONCE)
        assert ask(1)
        location = aws.get_function(FunctionName="f")["Code"]["Location"]
        with urllib.request.urlopen(location) as link:
            assert "ballast" in zipfile.ZipFile(io.BytesIO(link.read())).namelist()
    finally:
        aws.close()


def test_no_retry_mode_repeats_what_would_fail_again(engine: Engine) -> None:
    for mode in ("legacy", "standard", "adaptive"):
        aws = engine.client(retries={"mode": mode, "max_attempts": 5})
        with pytest.raises(aws.exceptions.ResourceNotFoundException) as unknown:
            aws.invoke(FunctionName="nobody")
        with pytest.raises(aws.exceptions.ClientError) as refused:
            aws.list_capacity_providers()
        aws.close()
        for caught in (unknown, refused):
            assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
