"""The commands against a real engine, each in a process of its own."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import boto3
import pytest
from PIL import Image
from tests.prepared import Prepared
from tests.unit.cli.conftest import PATIENCE, Cli, Started, going_on, prepared_command

from samovar.invocation.identity import is_uuid

Start = Callable[..., Started]


def accept_events(cli: Cli, there: dict[str, str]) -> None:
    """Events for `greet`, of which one is in event.json."""
    accepted = cli("invoke", "greet", "-e", '{"name": "me"}', "--async", environment=there)
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert is_uuid(accepted.stdout.strip())
    accepted = cli("invoke", "greet", "-e", "event.json", "--async", "--json", environment=there)
    document = json.loads(accepted.stdout)
    assert document.pop("StatusCode") == 202
    assert is_uuid(document.pop("RequestId"))
    assert document == {}
    for option in (["--log"], ["--client-context", "{}"]):
        wrong = cli("invoke", "greet", "--async", *option, environment=there)
        assert (wrong.returncode, f"{option[0]} has no effect" in wrong.stderr) == (2, True)
    nobody = cli("invoke", "nobody", "--async", environment=there)
    assert (nobody.returncode, nobody.stdout) == (4, "")


def readme_examples(checkout: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (checkout / "README.md").read_text(), re.DOTALL)


def wait_for_busy_context(endpoint: str) -> None:
    """Until a context runs an invocation; AssertionError after PATIENCE seconds."""
    pause = threading.Event()
    for _ in range(PATIENCE * 20):
        with urlopen(f"{endpoint}/_samovar/contexts") as reply:
            if b'"busy"' in reply.read():
                return
        pause.wait(0.05)
    raise AssertionError("no context became busy")


def create(endpoint: str, package: bytes, runtime: str, region: str = "us-east-1") -> None:
    client = boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    try:
        client.create_function(
            FunctionName="f",
            Runtime=runtime,
            Role="arn:aws:iam::000000000000:role/any",
            Handler="f.handler",
            Code={"ZipFile": package},
            Timeout=60,
        )
        client.get_waiter("function_active_v2").wait(FunctionName="f")
    finally:
        client.close()


def zipped(source: str) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("f.py", source)
    return buffer.getvalue()


RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def test_a_session_at_a_terminal(start: Start, cli: Cli, checkout: Path, tmp_path: Path) -> None:
    engine = start()
    there = {"AWS_ENDPOINT_URL_LAMBDA": engine.endpoint}
    assert RUNTIME in "".join(engine.lines)

    empty = cli("functions", environment=there)
    assert (empty.returncode, empty.stdout) == (0, "")
    assert f"no functions at {engine.endpoint}" in empty.stderr

    # The README's own words, with the port that was free.
    source = readme_examples(checkout)[0].replace("http://127.0.0.1:4566", engine.endpoint)
    example = subprocess.run(
        [sys.executable, "-c", source.replace('"python3.11"', repr(RUNTIME))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert example.stdout == "Hello, tea\n", example.stderr

    listed = cli("functions", environment=there)
    assert listed.stdout.splitlines()[1].split()[:6] == [
        "greet",
        "Active",
        RUNTIME,
        "greet.handler",
        "128",
        "MB",
    ]
    documents = json.loads(cli("functions", "--json", environment=there).stdout)
    assert [item["FunctionName"] for item in documents] == ["greet"]

    invoked = cli("invoke", "greet", "-e", "-", "--log", environment=there, stdin='{"name": "me"}')
    assert (invoked.returncode, invoked.stdout) == (0, '"Hello, me"')
    assert "REPORT RequestId" in invoked.stderr
    assert re.search(r"^(cold|warm) start, context \S+: .*handler", invoked.stderr, re.MULTILINE)

    (tmp_path / "event.json").write_text('{"name": "you"}')
    invoked = cli("invoke", "greet", "-e", "event.json", "--endpoint-url", engine.endpoint)
    assert (invoked.stdout, invoked.stderr) == ('"Hello, you"', "")

    accept_events(cli, there)

    failed = cli("invoke", "greet", environment=there)
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["errorType"] == "KeyError"

    refused = cli("invoke", "nobody", environment=there)
    assert refused.returncode == 4
    assert "ResourceNotFoundException" in refused.stderr
    assert "Traceback" not in refused.stderr
    mistyped = cli("invoke", "gret", environment=there)
    assert (mistyped.returncode, "Did you mean greet?" in mistyped.stderr) == (4, True)

    second = cli("start", "--port", "0", "--data-dir", str(engine.data_dir))
    assert second.returncode == 6
    assert str(engine.process.pid) in second.stderr

    engine.process.send_signal(signal.SIGTERM)
    _, said = engine.process.communicate(timeout=PATIENCE)
    assert engine.process.returncode == 0
    assert "stopping" in said
    gone = cli("functions", environment=there)
    assert gone.returncode == 3
    assert "samovar start" in gone.stderr


def test_settings_come_from_flags_and_from_the_environment(start: Start, cli: Cli) -> None:
    """Flags win; what a function sees of them says that they arrived."""
    engine = start(
        *("--host", "localhost", "--region", "eu-west-1", "--time-scale", "0.5"),
        *("--aws-endpoint", "http://127.0.0.1:9/flag", "--isolation", "none"),
        environment={
            "SAMOVAR_HOST": "192.0.2.1",
            "SAMOVAR_PORT": "1",
            "SAMOVAR_DATA_DIR": "/proc/nowhere",
            "SAMOVAR_REGION": "us-west-2",
            "SAMOVAR_AWS_ENDPOINT": "http://127.0.0.1:9/variable",
            "SAMOVAR_ACCOUNT_ID": "123456789012",
            "SAMOVAR_TIME_SCALE": "2",
            "SAMOVAR_IDLE_TIMEOUT": "1e3",
            "SAMOVAR_INIT_TIMEOUT": "9.5",
            "SAMOVAR_ISOLATION": "namespaces",
            "SAMOVAR_SPARES": "0",
            "SAMOVAR_MAX_CONTEXTS": "3",
            "SAMOVAR_MAX_WAITING": "1",
            "SAMOVAR_WORKER_UIDS": "51052-51152",
        },
    )
    assert engine.endpoint.startswith("http://127.0.0.1:")
    said = "".join(engine.lines)
    assert "region        eu-west-1, account 123456789012" in said
    assert f"data          {engine.data_dir}" in said
    assert "mount namespace" not in said  # the variable asked for it
    source = """
import os
def handler(event, context):
    return [context.invoked_function_arn, os.environ["AWS_REGION"],
            os.environ["AWS_ENDPOINT_URL"]]
"""
    create(engine.endpoint, zipped(source), RUNTIME, "eu-west-1")
    invoked = cli("invoke", "f", "--endpoint-url", engine.endpoint)
    arn, region, endpoint = json.loads(invoked.stdout)
    assert arn == "arn:aws:lambda:eu-west-1:123456789012:function:f"
    assert (region, endpoint) == ("eu-west-1", "http://127.0.0.1:9/flag")


@pytest.mark.parametrize(
    ("flags", "variables", "status", "said"),
    [
        (["--host", "0.0.0.0"], {}, 5, "host='0.0.0.0': must be a loopback address"),
        (["--data-dir", "/proc/x"], {}, 5, "data_dir='/proc/x': "),
        ([], {"SAMOVAR_AWS_ENDPOINT": "tea"}, 5, "aws_endpoint='tea': must be a URL like http://"),
        (["--interpreters", "python3.12=/none"], {}, 5, "interpreters=python3.12=/none: it can't"),
        (["--interpreters", "cobol=/bin/sh"], {}, 5, "'cobol' is not a runtime that Samovar"),
        (["--spares", "many"], {}, 2, "spares='many': must be a whole number"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_line(
    cli: Cli, flags: list[str], variables: dict[str, str], status: int, said: str
) -> None:
    start = ("start", "--port", "0", "--data-dir", "data")
    refused = cli(*start, *flags, environment=variables)
    assert (refused.returncode, refused.stdout) == (status, "")
    assert said in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_told(start: Start, cli: Cli) -> None:
    port = start().endpoint.rpartition(":")[2]
    refused = cli("start", "--port", port, "--data-dir", "other")
    assert refused.returncode == 5
    assert "something listens there already; stop it, or choose another --port" in refused.stderr


def test_the_first_signal_waits_for_an_invocation_and_the_second_does_not(
    start: Start, cli_environment: dict[str, str]
) -> None:
    engine = start()
    create(
        engine.endpoint, zipped("import time\ndef handler(e, c):\n    time.sleep(50)\n"), RUNTIME
    )
    caller = Prepared(
        prepared_command("invoke", "f", "--endpoint-url", engine.endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=cli_environment,
    )
    try:
        wait_for_busy_context(engine.endpoint)
        engine.process.send_signal(signal.SIGINT)
        assert engine.process.stderr is not None
        assert "once more to force it" in engine.process.stderr.readline()
        assert caller.poll() is None
        engine.process.send_signal(signal.SIGINT)
        assert engine.process.wait(timeout=PATIENCE) == 128 + signal.SIGINT
        _, said = caller.communicate(timeout=PATIENCE)
        assert caller.returncode == 3, said
    finally:
        caller.kill()
        caller.communicate()
    # That zygotes and workers are gone too is what the leak check sees to.


def test_an_invocation_in_progress_is_answered_before_the_engine_stops(
    start: Start, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    engine = start()
    source = "import time\ndef handler(e, c):\n    time.sleep(1.5)\n    return 'done'\n"
    create(engine.endpoint, zipped(source), RUNTIME)
    caller = Prepared(
        prepared_command("invoke", "f", "--endpoint-url", engine.endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=cli_environment,
    )
    try:
        wait_for_busy_context(engine.endpoint)
        engine.process.send_signal(signal.SIGTERM)
        out, said = caller.communicate(timeout=PATIENCE)
        assert (caller.returncode, out) == (0, '"done"'), said
        engine.process.communicate(timeout=PATIENCE)
        assert engine.process.returncode == 0
    finally:
        caller.kill()
        caller.communicate()


def test_start_serves_on_when_nobody_reads_what_it_says(start: Start, cli: Cli) -> None:
    engine = start()
    assert engine.process.stdout is not None
    engine.process.stdout.close()
    assert cli("functions", "--endpoint-url", engine.endpoint).returncode == 0
    engine.process.stdout = None


def test_the_demo_tells_what_becomes_of_an_upload(cli: Cli, tmp_path: Path) -> None:
    shown = cli("demo", "--output", "there", "--json", "--time-scale", "0.002")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    good, bad = told["uploads"]
    assert (good["status"], bad["status"]) == (202, 202)
    assert good["event"]["Records"][0]["s3"]["object"]["key"] == "uploads/a+samovar.jpg"
    record = told["on_success"]
    assert record["requestContext"]["requestId"] == good["request_id"]
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestPayload"] == good["event"]
    assert told["row"]["request"] == good["request_id"]
    with Image.open(tmp_path / told["thumbnail"]) as picture:
        assert (picture.format, picture.width) == ("JPEG", int(told["row"]["width"]))

    assert [attempt["number"] for attempt in told["attempts"]] == [1, 2, 3]
    assert [attempt["wait"] for attempt in told["attempts"]] == [60, 120, None]
    letter, failure = told["dead_letter"], told["on_failure"]
    assert letter["body"] == bad["event"]
    assert letter["attributes"] == {
        "RequestID": bad["request_id"],
        "ErrorCode": "200",
        "ErrorMessage": "uploads/no picture.jpg is no picture",
    }
    assert failure["requestContext"]["condition"] == "RetriesExhausted"
    assert failure["requestContext"]["approximateInvokeCount"] == 3
    assert failure["responsePayload"]["errorType"] == "ValueError"
    assert [call["start"] for call in told["calls"]] == ["cold"] + ["warm"] * 10


def test_an_interrupted_demo_leaves_nothing_behind(
    cli_environment: dict[str, str], tmp_path: Path
) -> None:
    command = prepared_command("demo", "--output", str(tmp_path), "--time-scale", "1")
    environment = {**cli_environment, "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)}
    with going_on(command, environment) as process:
        assert process.stdout is not None
        lines = []
        while "attempt 1 failed" not in (line := process.stdout.readline()):
            assert line, process.communicate()
            lines.append(line)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
    engine, moto = re.findall(r"http://127.0.0.1:(\d+)", "".join(lines))[:2]
    for port in (engine, moto):
        with socket.socket() as there:
            assert there.connect_ex(("127.0.0.1", int(port))) == errno.ECONNREFUSED
    assert not list(tmp_path.glob("samovar-demo-*"))


def test_measured_calls_make_thumbnails_and_say_where_the_time_went(
    cli: Cli, tmp_path: Path
) -> None:
    shown = cli("demo", "--calls", "--output", "there", "--json", "--data-dir", "data")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    calls = document["calls"]
    rounds = [call["round"] for call in calls]
    assert rounds[:31] == ["cold"] + ["warm"] * 20 + ["at once"] * 8 + [
        "first, on demand",
        "first, provisioned",
    ]
    assert [call["start"] for call in calls[29:31]] == ["cold", "provisioned"]
    # Where the host has no templates, it is said.
    (*_, snap_start) = calls
    assert rounds[31:] == ["first, SnapStart"] or "left out: first, SnapStart" in shown.stderr
    assert snap_start["context"] not in {call["context"] for call in calls[:-1]}
    assert calls[0]["start"] == "cold"
    assert calls[0]["phases"].keys() >= {"environment", "package", "init", "handler"}
    assert {(call["start"], call["context"]) for call in calls[1:21]} == {
        ("warm", calls[0]["context"])
    }
    assert len({call["context"] for call in calls[21:29]}) > 1
    sizes = {}
    for path in document["thumbnails"]:
        with Image.open(tmp_path / path) as picture:
            sizes[Path(path).name] = (picture.format, max(picture.size))
    assert sizes == {f"thumbnail-{size}.jpg": ("JPEG", size) for size in (512, 256, 128, 64)}
    # The data directory that was named is kept, and the function in it replaced.
    assert (tmp_path / "data").is_dir()
    shown = cli("demo", "--calls", "--data-dir", "data")
    assert shown.returncode == 0, shown.stderr
    for said in ("environment", "p99", "samovar-demo/thumbnail-512.jpg", "at once"):
        assert said in shown.stdout
    assert (tmp_path / "samovar-demo" / "thumbnail-512.jpg").exists()


def test_the_demo_refuses_an_output_that_it_cannot_write_to(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = cli("demo", "--output", "file/there")
    assert refused.returncode == 2
    assert "--output" in refused.stderr


def test_doctor_tries_every_wall(cli: Cli, tmp_path: Path) -> None:
    shown = cli("doctor", "--json", "--data-dir", "data")
    facts = json.loads(shown.stdout)
    subjects = [fact["subject"] for fact in facts]
    assert RUNTIME in subjects
    walls = {fact["subject"]: fact["verdict"] for fact in facts if fact["subject"][:4] == "wall"}
    assert walls
    if os.geteuid() == 0:
        assert set(walls.values()) == {"ok"}, facts
    assert not (tmp_path / "data").exists(), "doctor only looks"
    missing = [fact for fact in facts if fact["verdict"] == "missing"]
    assert shown.returncode == (8 if missing else 0)


def test_doctor_tells_what_is_left_out_by_will(cli: Cli) -> None:
    shown = cli("doctor", "--isolation", "none", "--data-dir", "data")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "isolation is set to none" in shown.stdout


def test_the_readmes_program_of_ones_own(
    checkout: Path, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    program = subprocess.run(
        [sys.executable, "-c", readme_examples(checkout)[1]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=cli_environment,
        timeout=PATIENCE,
    )
    assert program.stdout == "cold b'\"Hello, tea\"'\n", program.stderr


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["start", "-h"]])
def test_help_and_version(cli: Cli, command: list[str]) -> None:
    shown = cli(*command)
    assert shown.returncode == 0
    assert "samovar" in shown.stdout
