"""Reserved and provisioned concurrency and SnapStart at a terminal: the commands against a real
engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import Started

from samovar.doors.cli.concurrency import provisioned_text, reserved_text, snap_start_text
from samovar.doors.cli.main import main

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
HOW = """
import os
def handler(event, context):
    return [context.function_version, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
"""
Run = Callable[..., Result]


@pytest.fixture
def there(start: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, in a directory with a package, against an engine."""
    endpoint = start().endpoint
    monkeypatch.chdir(tmp_path)
    write(HOW)

    def run(*arguments: str) -> Result:
        environment = {"AWS_ENDPOINT_URL_LAMBDA": endpoint, "COLUMNS": "200"}
        return CliRunner(env=environment).invoke(main, arguments)

    return run


def write(source: str) -> None:
    Path("code").mkdir(exist_ok=True)
    Path("code/app.py").write_text(source)


def document(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def listed(there: Run, name: str, *flags: str) -> list[dict[str, Any]]:
    return [
        item for item in document(there("functions", "--json", *flags)) if name in item.values()
    ]


def line(there: Run, name: str, *flags: str) -> list[str]:
    """The last line of the list that is about a function."""
    shown = there("functions", *flags).stdout.splitlines()
    return [text for text in shown if text.startswith(f"{name} ")][-1].split()


def test_contexts_are_ready_when_the_command_ends_and_are_left_alone_then(there: Run) -> None:
    deploy = ("deploy", "code", "--name", "ahead", "--alias", "live")
    made = there(*deploy, "--provisioned", "2", "--reserved", "7")
    assert (made.exit_code, made.stdout) == (0, f"{ARN}ahead:live\n"), made.output
    assert "ahead has 7 reserved" in made.stderr
    assert "ahead:live has 2 provisioned, all of them ready" in made.stderr
    (found,) = listed(there, "ahead")
    assert (found["ReservedConcurrentExecutions"], found["Contexts"]) == (7, {"idle": 2})
    assert document(there("invoke", "ahead:live")) == ["1", "provisioned-concurrency"]

    again = document(there(*deploy, "--provisioned", "2", "--reserved", "7", "--json"))
    assert (again["Status"], again["ReservedConcurrentExecutions"]) == ("unchanged", 7)
    assert again["ProvisionedConcurrency"] == {
        "Qualifier": "live",
        "RequestedProvisionedConcurrentExecutions": 2,
        "AvailableProvisionedConcurrentExecutions": 2,
        "Status": "READY",
        "Changed": False,
    }
    shown = line(there, "ahead")
    assert shown[shown.index("7") : shown.index("7") + 3] == ["7", "live", "2/2"]
    (*_, version) = listed(there, "ahead", "--versions")
    assert [item["Status"] for item in version["ProvisionedConcurrency"]] == ["READY"]

    # Without the options what there is stays, and follows the alias.
    write(HOW + "# new\n")
    moved = document(there(*deploy, "--json"))
    assert (moved["Version"], moved["ReservedConcurrentExecutions"]) == ("2", 7)
    assert "ProvisionedConcurrency" not in moved
    more = document(there(*deploy, "--provisioned", "3", "--json"))
    assert more["ProvisionedConcurrency"]["Changed"] is True
    assert document(there("invoke", "ahead:live")) == ["2", "provisioned-concurrency"]

    gone = document(there(*deploy, "--provisioned", "none", "--reserved", "none", "--json"))
    assert gone["Changed"] == ["ReservedConcurrentExecutions"]
    assert gone["ProvisionedConcurrency"]["Changed"] is True
    (found,) = listed(there, "ahead")
    assert (found["ReservedConcurrentExecutions"], found["ProvisionedConcurrency"]) == (None, [])
    gone = document(there(*deploy, "--provisioned", "none", "--reserved", "none", "--json"))
    assert (gone["Changed"], gone["ProvisionedConcurrency"]["Changed"]) == ([], False)


def test_a_failed_init_ends_it_with_the_reason_and_a_good_one_is_tried_again(there: Run) -> None:
    deploy = ("deploy", "code", "--name", "sour", "--handler", "app.handler")
    write("raise ValueError('no tea')\n")
    failed = there(*deploy, "--publish", "--provisioned", "1")
    assert (failed.exit_code, failed.stdout) == (4, "")
    assert "sour:1 is FAILED (FUNCTION_ERROR_INIT_FAILURE)" in failed.stderr
    assert "samovar logs sour" in failed.stderr
    assert line(there, "sour", "--versions")[-5:-2] == ["1", "0/1", "failed"]
    # It is tried anew, although nothing is new.
    assert there(*deploy, "--publish", "--provisioned", "1").exit_code == 4
    write(HOW)
    assert there(*deploy, "--publish", "--provisioned", "1").stdout == f"{ARN}sour:2\n"


def test_snap_start_and_provisioned_concurrency_are_exchanged(there: Run) -> None:
    deploy = ("deploy", "code", "--name", "snap", "--alias", "live")
    assert there(*deploy, "--provisioned", "1").exit_code == 0
    for wrong in (("--provisioned", "1"), ("--provisioned", "1", "--dry-run"), ()):
        refused = there(*deploy, "--snap-start", *wrong)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "SnapStart excludes provisioned concurrency" in refused.stderr
    assert "which snap:live has" in refused.stderr
    assert len(listed(there, "snap", "--versions")) == 2  # nothing was published
    made = document(there(*deploy, "--snap-start", "--provisioned", "none", "--json"))
    assert (made["SnapStart"], made["Changed"]) == ("PublishedVersions", ["SnapStart"])
    found = listed(there, "snap", "--versions")
    # Where the host has no templates, contexts start on demand.
    assert document(there("invoke", "snap:live")) in (["2", "snap-start"], ["2", "on-demand"])
    assert [snap_start_text(item) for item in found[:2]] == ["next version", "-"]
    refused = there(*deploy, "--provisioned", "1")
    assert (refused.exit_code, refused.stdout) == (2, "")
    back = document(there(*deploy, "--no-snap-start", "--provisioned", "1", "--json"))
    assert (back["SnapStart"], back["ProvisionedConcurrency"]["Status"]) == ("None", "READY")

    flags = ("--name", "plan", "--alias", "live", "--provisioned", "2", "--reserved", "3")
    planned = there("deploy", "code", *flags, "--dry-run")
    assert "would reserve 3 of it" in planned.stderr
    assert "have live stand for the version and have 2 contexts provisioned" in planned.stderr
    assert listed(there, "plan") == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--provisioned", "2"), "say --publish or --alias NAME"),
        (("--publish", "--provisioned", "0"), "from 1 on"),
        (("--publish", "--provisioned", "tea"), "from 1 on"),
        (("--reserved", "-1"), "from 0 on"),
    ],
)
def test_amounts_that_are_none(flags: tuple[str, ...], said: str) -> None:
    refused = CliRunner().invoke(main, ["deploy", "code", *flags])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr


def test_what_is_off_says_what_to_do_and_what_belongs_together_is_deleted_in_order(
    there: Run,
) -> None:
    assert there("deploy", "code", "--name", "off", "--reserved", "0").exit_code == 0
    assert "off" in line(there, "off")[1:]
    for command in (("invoke", "off"), ("bench", "off", "--cold", "0")):
        refused = there(*command)
        assert refused.exit_code == 4
        assert "as many in flight as it has reserved" in refused.stderr

    there("deploy", "code", "--name", "gone", "--alias", "live")
    refused = there("delete", "gone:1", "--yes")
    assert refused.exit_code == 4
    assert "[live]" in refused.stderr
    assert "in progress" not in refused.stderr
    deleted = there("delete", "gone:1", "gone:live", "gone:1", "--yes", "--json")
    assert document(deleted) == [f"{ARN}gone:live", f"{ARN}gone:1"]
    assert [item["Version"] for item in listed(there, "gone", "--versions")] == ["$LATEST"]
    there("deploy", "code", "--name", "gone", "--alias", "live")
    deleted = there("delete", "gone", "gone:live", "--yes", "--json")
    assert document(deleted) == [f"{ARN}gone:live", f"{ARN}gone"]
    assert there("delete", "gone:live", "--yes").exit_code == 4


def test_texts() -> None:
    assert [reserved_text(count) for count in (None, 0, 5)] == ["-", "off", "5"]
    config = {
        "FunctionArn": f"{ARN}f:live",
        "RequestedProvisionedConcurrentExecutions": 5,
        "AvailableProvisionedConcurrentExecutions": 2,
        "Status": "IN_PROGRESS",
    }
    other = {**config, "FunctionArn": f"{ARN}f:7", "Status": "FAILED"}
    assert provisioned_text([config, other]) == "live 2/5, 7 2/5 failed"
    assert provisioned_text([]) == "-"
    on = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert snap_start_text({"Version": "3", "SnapStart": on}) == "on"
    assert snap_start_text({"Version": "3"}) == "-"
