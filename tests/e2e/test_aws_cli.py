"""The AWS CLI, as its page in the documentation shows it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.api import neighbour
from tests.e2e import aws_at_once, transcript
from tests.e2e.conftest import behind_a_lock
from tests.e2e.house import ARN, RUNTIME, Engine

from samovar.doors.http.operations.rendering import ARCHITECTURE

# What a user of the CLI does; the page leaves none out.
SHOWN = (
    *("create-function", "wait function-active-v2", "wait function-updated-v2", "invoke"),
    *("update-function-code", "update-function-configuration", "list-functions", "get-function"),
    *("list-versions-by-function", "tag-resource", "untag-resource", "list-tags"),
    *("publish-version", "create-alias", "get-alias", "list-aliases", "update-alias"),
    *("put-function-event-invoke-config", "update-function-event-invoke-config"),
    *("get-function-event-invoke-config", "list-function-event-invoke-configs"),
    "delete-function-event-invoke-config",
    *("create-event-source-mapping", "list-event-source-mappings"),
    *("get-event-source-mapping", "delete-event-source-mapping"),
    *("delete-alias", "add-permission", "get-policy", "remove-permission", "delete-function"),
)


@contextmanager
def beside(directory: Path) -> Iterator[tuple[str, str]]:
    """What stands beside the page's engine, with the queue that the page reads; the engine's flags.
    `directory` gets what it writes."""
    with neighbour.running(directory) as moto:
        with moto.client("sqs") as sqs:
            sqs.create_queue(QueueName="names")
        yield "--aws-endpoint", moto.url


def swap(engine: Engine) -> dict[str, str]:
    """What the page says, and what is true here."""
    return {
        "http://127.0.0.1:4566": engine.endpoint,
        "AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any": (
            f"AWS_ACCESS_KEY_ID={engine.key_id} AWS_SECRET_ACCESS_KEY={engine.secret}"
        ),
        "python3.12": RUNTIME,
        "x86_64": ARCHITECTURE,
    }


def first(directory: str, environment: dict[str, str]) -> dict[str, str]:
    """With this directory's programs before all others."""
    return {**environment, "PATH": f"{directory}{os.pathsep}{environment['PATH']}"}


def test_the_page_says_what_the_aws_cli_says(checkout: Path, tmp_path: Path) -> None:
    """With a key in the place of the page's, so that all that the CLI signs is verified as well."""
    page = (checkout / "docs" / "aws-cli.md").read_text()
    given = transcript.given_by(page)
    with (
        aws_at_once.in_path(tmp_path) as forked,
        beside(tmp_path) as flags,
        behind_a_lock(tmp_path, *flags) as locked,
    ):
        environment = first(forked, transcript.environment(locked.environment()))
        played = transcript.play(given, tmp_path, environment, swap(locked))
    assert transcript.replayed(page, played) == page


def test_the_page_leaves_no_command_out(checkout: Path) -> None:
    page = (checkout / "docs" / "aws-cli.md").read_text()
    assert [command for command in SHOWN if f"aws lambda {command} " not in page] == []


def test_what_is_forked_says_what_a_start_says(tmp_path: Path, locked: Engine) -> None:
    """So that the page, whose commands are forked, holds for the program that users start."""
    started = transcript.environment(locked.environment())
    queried = ("lambda", "list-functions", "--query", "Functions[].[FunctionName, 'ü']")
    refused = ("lambda", "get-function", "--function-name", "none")
    with aws_at_once.in_path(tmp_path) as directory:
        forked = first(directory, started)
        for command, code in ((queried, 0), (refused, 255)):
            start, fork = (
                subprocess.run(
                    ["sh", "-c", 'aws "$@"', "sh", *command],
                    capture_output=True,
                    check=False,
                    env=environment,
                )
                for environment in (started, forked)
            )
            assert start.returncode == code
            assert fork.returncode == code
            assert (fork.stdout, fork.stderr) == (start.stdout, start.stderr)


def test_a_key_is_asked_for(tmp_path: Path, locked: Engine) -> None:
    def invoked(engine: Engine) -> subprocess.CompletedProcess[str]:
        # An ARN is what stands most encoded in a path.
        return subprocess.run(
            ["aws", "lambda", "invoke", "--function-name", f"{ARN}none", str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=False,
            env=transcript.environment(engine.environment()),
        )

    found = invoked(locked)
    assert found.returncode != 0
    assert f"Function not found: {ARN}none:$LATEST" in found.stderr
    refused = invoked(replace(locked, secret="another"))
    assert refused.returncode != 0
    assert "(InvalidSignatureException) when calling the Invoke operation" in refused.stderr
    assert locked.secret not in refused.stderr
