"""What a function finds around itself: variables, interpreter, the context object, rights."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, error, result

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.registry.runtimes import Runtimes

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
STREAM = r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}"
TRACE = r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:\d+"
# Reference 2.2: AWS's record of a python3 environment.
EXPECTED = {
    "_HANDLER": "surroundings.variables",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "192",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
    "AWS_EXECUTION_ENV": f"AWS_Lambda_{PYTHON}",
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
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:"
    "/var/task/lib:/opt/lib",
    "PYTHONPATH": "/var/runtime",
}
# Paths, which are others where there are no namespaces.
PLACES = {"LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "PWD", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
SECRET = "the-engines-own-secret"
RESERVED = [  # developer guide, «Reserved environment variables»
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
]


def test_the_variables_are_aws_s_and_no_others(
    run_engine: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SAMOVAR_PORT", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "VIRTUAL_ENV", "HOME"):
        monkeypatch.setenv(name, SECRET)

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.variables", memory_size=192)
        seen = await result(engine)
        variables = dict(seen["python"])
        assert re.fullmatch(STREAM, variables.pop("AWS_LAMBDA_LOG_STREAM_NAME"))
        assert re.fullmatch(TRACE, variables.pop("_X_AMZN_TRACE_ID"))
        for name in CREDENTIALS:
            assert re.fullmatch("[A-Za-z0-9]+", variables.pop(name))
        if not run_engine.walled:
            assert variables.pop("TMPDIR").startswith(str(run_engine.data_dir))
        expected = EXPECTED
        if not run_engine.walled:
            assert variables["PWD"] == variables["LAMBDA_TASK_ROOT"] != "/var/task"
            assert variables["PYTHONPATH"] == variables["LAMBDA_RUNTIME_DIR"]
            variables = {name: value for name, value in variables.items() if name not in PLACES}
            expected = {name: value for name, value in EXPECTED.items() if name not in PLACES}
        assert variables == expected
        assert {k: v for k, v in seen["subprocess"].items() if k != "_"} == seen["python"]
        assert SECRET not in json.dumps(seen)
        assert seen["clock"] == ["UTC", "00"]

    run_engine(scenario, region="eu-central-1")


def test_the_users_own_variables_win_and_neighbours_are_named(run_engine: RunEngine) -> None:
    endpoint = "http://127.0.0.1:9"
    own = {
        "TZ": "Asia/Tokyo",
        "LANG": "pl_PL.UTF-8",
        "PATH": "/bin:/usr/bin",
        "PYTHONPATH": "/tmp/own",
        "LD_LIBRARY_PATH": "/tmp/lib",
        "HOME": "/tmp",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8",
        "GREETING": "dzień dobry",
    }

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.variables", "plain")
        await create(engine, "surroundings.variables", "own", environment=own)
        await create(engine, "surroundings.interpreter", "path", environment=own)
        seen = await result(engine, name="plain")
        assert seen["python"]["AWS_ENDPOINT_URL"] == endpoint
        assert "HOME" not in seen["python"]
        seen = await result(engine, name="own")
        assert {name: seen["python"][name] for name in own} == own
        assert {name: seen["subprocess"][name] for name in own} == own
        assert seen["clock"] == ["JST", "09"]
        assert "/tmp/own" in (await result(engine, name="path"))["path"]

    run_engine(scenario, aws_endpoint=endpoint)


def test_reserved_names_are_refused_in_awss_words(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for names in (*([name] for name in RESERVED), ["AWS_REGION", "_HANDLER"]):
            variables = {"FINE": "x"} | dict.fromkeys(names, "mine")
            with pytest.raises(ClientError) as refused:
                await create(engine, "surroundings.variables", environment=variables)
            assert refused.value.error is AWS.INVALID_PARAMETER
            assert refused.value.message == (
                "Lambda was unable to configure your environment variables because the environment "
                "variables you have provided contains reserved keys that are currently not "
                "supported for modification. Reserved keys used in this request: "
                + ", ".join(names)
            )

    run_open(scenario)


def test_how_the_interpreter_is_set_up(run_engine: RunEngine, runtimes: Runtimes) -> None:
    interpreter = runtimes.require(PYTHON)

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.interpreter")
        await create(engine, "surroundings.variables", "variables")
        seen = await result(engine)
        variables = (await result(engine, name="variables"))["python"]
        zipped = f"{PYTHON.replace('.', '')}.zip"
        if run_engine.walled:
            expected = [
                "/var/task",
                f"/opt/python/lib/{PYTHON}/site-packages",
                "/opt/python",
                "/var/runtime",
                f"/var/lang/lib/{zipped}",
                f"/var/lang/lib/{PYTHON}",
                f"/var/lang/lib/{PYTHON}/lib-dynload",
            ]
            assert seen["path"] == expected
            assert seen["executable"] == f"/var/lang/bin/{PYTHON}"
        else:
            assert seen["path"][1] == variables["LAMBDA_RUNTIME_DIR"]
            assert [path.rpartition("/")[2] for path in seen["path"][2:]] == [
                zipped,
                PYTHON,
                "lib-dynload",
            ]
            assert seen["executable"] == interpreter.executable
        assert seen["argv"] == [""]
        assert seen["umask"] == 0o022
        assert seen["encodings"] == ["utf-8", "utf-8"]
        assert seen["stdin"] == ""
        assert seen["builtins"] == [True, True, True]
        assert seen["again"] == f"({sys.version_info.major}, {sys.version_info.minor})\n"

    run_engine(scenario)


def test_exit_and_quit_end_the_process(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.leave")
        for name in ("exit", "quit"):
            outcome = await engine.invoke("f", name)
            assert error(outcome)["errorMessage"] == (
                f"RequestId: {outcome.request_id} Error: Runtime exited with error: exit status 5"
            )

    run_open(scenario)


CLIENT = {
    "client": {
        "installation_id": "i-1",
        "app_title": "Tea",
        "app_version_name": "1.0",
        "app_version_code": "100",
        "app_package_name": "org.example.tea",
        "unknown": "left out",
    },
    "custom": {"key": ["value"]},
    "env": {"locale": "pl"},
}


def test_the_context_object(run_engine: RunEngine) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.about", memory_size=256, timeout=7)
        outcome = await engine.invoke("f")
        seen: dict[str, Any] = json.loads(outcome.payload)
        assert set(seen["names"]) >= {
            "aws_request_id",
            "client_context",
            "function_name",
            "function_version",
            "get_remaining_time_in_millis",
            "identity",
            "invoked_function_arn",
            "log",
            "log_group_name",
            "log_stream_name",
            "memory_limit_in_mb",
            "tenant_id",
        }
        assert seen["aws_request_id"] == outcome.request_id
        assert (seen["function_name"], seen["function_version"]) == ("f", "$LATEST")
        assert seen["memory_limit_in_mb"] == "256"  # a string, as on AWS
        assert seen["invoked_function_arn"] == arn
        assert seen["log_group_name"] == "/aws/lambda/f"
        assert {seen["log_stream_name"]} == run_engine.log.streams()
        assert (seen["identity"], seen["client_context"]) == ([None, None], None)
        assert seen["tenant_id"] is None
        left, decreasing = seen["left"]
        assert 0 < left <= 7000
        assert decreasing
        assert re.fullmatch(TRACE, seen["trace"])

        trace = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"
        mine = "1b4e28ba-2fa1-4c3d-883f-0016d3cca427"
        outcome = await engine.invoke(
            "f",
            qualifier="$LATEST",
            trace=trace,
            request_id=mine,
            client_context=json.dumps(CLIENT),
        )
        seen = json.loads(outcome.payload)
        assert seen["aws_request_id"] == outcome.request_id == mine
        assert seen["invoked_function_arn"] == f"{arn}:$LATEST"
        assert seen["trace of a child"] == seen["trace"] + "\n"
        assert re.fullmatch(re.escape(trace) + ";Lineage=1:[0-9a-f]{8}:0", seen["trace"])
        assert seen["client_context"]["custom"] == CLIENT["custom"]
        assert seen["client_context"]["env"] == CLIENT["env"]
        assert CLIENT["client"] == seen["client_context"]["client"] | {"unknown": "left out"}
        # Nothing of it stays for the next.
        seen = await result(engine)
        assert seen["client_context"] is None
        assert re.fullmatch(TRACE, seen["trace"])
        assert not seen["trace"].startswith(trace)

    run_engine(scenario)


def test_rights_that_no_function_has(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.rights")
        await create(engine, "surroundings.files", "files")
        seen = await result(engine)
        assert seen["no_new_privs"] == "1"
        assert seen["open files"] == [1024, 1024]
        assert seen["core"] == [0, 0]
        # The worker's own descriptors stand at the top.
        assert await result(engine, name="files") == ["EMFILE", 1019]
        if not run_engine.walled:
            return  # functions run as the engine's user there, which `samovar doctor` tells
        assert 0 not in seen["ids"][:4]
        assert seen["ids"][4] == []
        assert set(seen["capabilities"].values()) == {"0" * 16}
        assert seen["more files"] == "not allowed to raise maximum limit"
        assert seen["become root"] in ("EPERM", "EINVAL")  # the latter: no such uid in there
        assert seen["whoami"] == "sbx_user1051"

    run_engine(scenario)


def test_loopback_is_the_machines_own(run_engine: RunEngine) -> None:
    """Neighbours (S3, SQS …) stand on this machine."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "surroundings.call", timeout=20)
        async with Gate() as gate:
            gate.open()
            answer = await asyncio.gather(*(engine.invoke("f", gate.event()) for _ in range(2)))
        assert [outcome.payload for outcome in answer] == [b'"x"'] * 2

    run_engine(scenario)
