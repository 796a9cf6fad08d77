"""The environment variables of a function: reference 2.2, the whole table."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from samovar.context.environment import Paths, Region, function_environment, log_stream_name
from samovar.model.function import CodePackage, Configuration, FunctionVersion
from samovar.model.invocation import Initialization
from samovar.registry.rules import RESERVED_VARIABLES

REGION = Region("eu-central-1", "http://127.0.0.1:4566")
STREAM = "2026/01/31/[$LATEST]0123456789abcdef0123456789abcdef"
CONFIGURATION = Configuration(
    handler="a/b.c.fn", runtime="python3.14", role="arn:aws:iam::000000000000:role/r"
)


def environment(
    *, region: Region = REGION, paths: Paths = Paths(),  # noqa: B008
    initialization: Initialization = Initialization.ON_DEMAND, version: str = "$LATEST",
    **configuration: Any,
) -> dict[str, str]:  # fmt: skip
    function = FunctionVersion(
        "my-function",
        "arn:aws:lambda:eu-central-1:000000000000:function:my-function",
        replace(CONFIGURATION, **configuration),
        CodePackage("00", 1),
        "revision",
        0.0,
        version,
    )
    return function_environment(function, STREAM, initialization, region, paths)


TABLE = {
    "_HANDLER": "a/b.c.fn",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_LAMBDA_FUNCTION_NAME": "my-function",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/my-function",
    "AWS_LAMBDA_LOG_STREAM_NAME": STREAM,
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.14",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
    "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
    "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
    "_AWS_XRAY_DAEMON_PORT": "2000",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "PWD": "/var/task",
    "TZ": ":UTC",
    "LANG": "en_US.UTF-8",
    "LC_CTYPE": "C.UTF-8",
    "SHLVL": "0",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": (
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:"
        "/opt/lib"
    ),
    "PYTHONPATH": "/var/runtime",
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


def test_the_whole_table_and_nothing_else() -> None:
    """No HOME, no USER, no AWS_LAMBDA_FUNCTION_TIMEOUT, and nothing of the engine's own."""
    made = environment()
    assert made.pop("AWS_ENDPOINT_URL") == "http://127.0.0.1:4566"  # ours: the neighbours
    assert {made.pop(name) != "" for name in CREDENTIALS} == {True}
    assert made == TABLE


def test_without_neighbours_there_is_no_endpoint() -> None:
    assert "AWS_ENDPOINT_URL" not in environment(region=Region("us-east-1", ""))


def test_neighbours_that_are_elsewhere_have_variables_of_their_own() -> None:
    endpoints = {"sqs": "http://127.0.0.1:1", "events": "http://127.0.0.1:2"}
    made = environment(region=Region("us-east-1", "", endpoints))
    assert made["AWS_ENDPOINT_URL_SQS"] == "http://127.0.0.1:1"
    assert made["AWS_ENDPOINT_URL_EVENTBRIDGE"] == "http://127.0.0.1:2"
    assert "AWS_ENDPOINT_URL" not in made


def test_credentials_are_nobodys() -> None:
    """An access key of the form that SDKs expect of a role's, whatever the engine's own are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CREDENTIALS:
            patch.setenv(name, "the-engines-own")
        made = environment()
    assert re.fullmatch(r"ASIA[A-Z0-9]{16}", made["AWS_ACCESS_KEY_ID"])
    assert "the-engines-own" not in made.values()


def test_what_the_configuration_says() -> None:
    made = environment(
        version="7", initialization=Initialization.PROVISIONED, memory_size=10240,
        log_group="/my/group", runtime="python3.11", handler="m.h",
    )  # fmt: skip
    assert made["AWS_LAMBDA_FUNCTION_VERSION"] == "7"
    assert made["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"
    assert made["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "10240"
    assert made["AWS_LAMBDA_LOG_GROUP_NAME"] == "/my/group"
    assert made["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
    assert made["_HANDLER"] == "m.h"


def test_where_things_are_without_namespaces() -> None:
    made = environment(paths=Paths("/code/1", "/run/runtime", "/usr/bin", ""))
    changed = {"LAMBDA_TASK_ROOT", "PWD", "LAMBDA_RUNTIME_DIR", "PYTHONPATH", "PATH"}
    assert {made[name] for name in ("LAMBDA_TASK_ROOT", "PWD")} == {"/code/1"}
    assert {made[name] for name in ("LAMBDA_RUNTIME_DIR", "PYTHONPATH")} == {"/run/runtime"}
    assert (made["PATH"], made["LD_LIBRARY_PATH"]) == ("/usr/bin", "")
    for name in TABLE.keys() - changed - {"LD_LIBRARY_PATH"}:
        assert made[name] == TABLE[name]


def test_the_users_variables_are_added() -> None:
    made = environment(environment={"TABLE": "t", "EMPTY": "", "Käthe": "☕"})
    assert (made["TABLE"], made["EMPTY"], made["Käthe"]) == ("t", "", "☕")
    assert environment(environment={}) == environment(environment=None)


def test_the_users_variables_win_but_for_the_reserved() -> None:
    """The reserved ones are refused when they are set; this is the second wall."""
    names = TABLE.keys() | CREDENTIALS | {"AWS_ENDPOINT_URL"}
    made = environment(environment=dict.fromkeys(names, "mine"))
    mine = {name for name, value in made.items() if value == "mine"}
    assert mine == names - RESERVED_VARIABLES
    assert {"PATH", "PYTHONPATH", "LANG", "TZ", "LD_LIBRARY_PATH", "AWS_ENDPOINT_URL"} <= mine


def test_every_reserved_variable_is_the_engines() -> None:
    # The first is set for each invocation; the second is a name that only old SDKs know.
    elsewhere = {"_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY"}
    assert RESERVED_VARIABLES - elsewhere == RESERVED_VARIABLES & environment().keys()
    assert not elsewhere & environment().keys()


def test_the_name_of_a_log_stream() -> None:
    """`YYYY/MM/DD/[version]<32 hex>`, by UTC, and no two alike."""
    names = {log_stream_name("$LATEST", 1_769_903_999.9) for _ in range(100)}
    assert len(names) == 100
    for name in names:
        assert re.fullmatch(r"2026/01/31/\[\$LATEST\][0-9a-f]{32}", name)
    assert log_stream_name("7", 1_769_904_000.0).startswith("2026/02/01/[7]")
