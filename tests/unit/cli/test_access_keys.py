"""An engine that asks for signatures, from its command line and from ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli, Started

Start = Callable[..., Started]
SECRET = "s3cret+of/the=engine"
TOKEN = "t0ken+of/the=hour"
FILE = (
    f"[default]\naws_access_key_id = AKIDENGINE\naws_secret_access_key = {SECRET}\n"
    "[hour]\naws_access_key_id = ASIAENGINE\naws_secret_access_key = x\n"
    f"aws_session_token = {TOKEN}\n"
)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.touch(0o600)
    file.write_text(FILE)
    return file


def test_a_session_with_keys(start: Start, cli: Cli, keys: Path, tmp_path: Path) -> None:
    engine = start("--host", "0.0.0.0", "-v", environment={"SAMOVAR_CREDENTIALS_FILE": str(keys)})
    assert engine.endpoint.startswith("http://127.0.0.1:")
    assert f"  requests      signed with a key of {keys}\n" in engine.lines
    there = {"AWS_ENDPOINT_URL_LAMBDA": engine.endpoint}

    for variables, code in (
        ({}, "UnrecognizedClientException"),
        ({"AWS_ACCESS_KEY_ID": "AKIDENGINE", "AWS_SECRET_ACCESS_KEY": "no"}, "InvalidSignature"),
        ({"AWS_SHARED_CREDENTIALS_FILE": str(keys), "AWS_REGION": "eu-west-3"}, "InvalidSignature"),
    ):
        refused = cli("functions", environment={**there, **variables})
        assert (refused.returncode, refused.stdout) == (4, "")
        assert refused.stderr.startswith(f"Error: {code}")
        assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refused.stderr
        assert SECRET not in refused.stderr

    for variables in (
        {"AWS_ACCESS_KEY_ID": "AKIDENGINE", "AWS_SECRET_ACCESS_KEY": SECRET},
        {"AWS_SHARED_CREDENTIALS_FILE": str(keys)},
        {"AWS_SHARED_CREDENTIALS_FILE": str(keys), "AWS_PROFILE": "hour"},
    ):
        found = cli("functions", "--json", environment={**there, **variables})
        assert (found.returncode, json.loads(found.stdout)) == (0, [])

    invoked = cli("invoke", "f", environment={**there, "AWS_SHARED_CREDENTIALS_FILE": str(keys)})
    assert invoked.returncode == 4
    assert "ResourceNotFoundException: Function not found" in invoked.stderr

    engine.process.terminate()
    out, err = engine.process.communicate()
    for text in (out, err, "".join(engine.lines)):
        for secret in (SECRET, TOKEN):
            assert secret not in text
    for file in engine.data_dir.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_half_a_key_is_told(cli: Cli) -> None:
    told = cli("functions", environment={"AWS_ACCESS_KEY_ID": "x"})
    assert told.returncode == 2
    assert "missing: AWS_SECRET_ACCESS_KEY" in told.stderr


def test_without_keys_it_listens_beyond_loopback_only_if_told(start: Start, cli: Cli) -> None:
    refused = cli("start", "--port", "0", "--host", "0.0.0.0")
    assert refused.returncode == 5
    assert "requests are not authenticated" in refused.stderr
    assert "--credentials-file" in refused.stderr
    assert "--allow-unsigned" in refused.stderr

    engine = start("--host", "0.0.0.0", "--allow-unsigned")
    assert "of anybody who reaches it: they are not authenticated" in "".join(engine.lines)
    assert cli("functions", "--endpoint-url", engine.endpoint).returncode == 0


@pytest.mark.parametrize("command", ["start", "doctor"])
def test_a_file_that_others_can_read_is_refused(cli: Cli, keys: Path, command: str) -> None:
    keys.chmod(0o644)
    refused = cli(command, "--port", "0", "--credentials-file", str(keys))
    assert refused.returncode != 0
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "mode 0644 gives rights to others" in said
    assert SECRET not in said


def test_the_demo_asks_for_no_keys(cli: Cli) -> None:
    told = cli("demo", "--help", environment={"SAMOVAR_CREDENTIALS_FILE": os.devnull})
    assert "--credentials-file" not in told.stdout
