"""The AWS CLI, as its page in the documentation shows it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e import transcript
from tests.e2e.house import RUNTIME, Engine

from samovar.doors.http.operations.rendering import ARCHITECTURE

# What a user of the CLI does; the page leaves none out.
SHOWN = (
    *("create-function", "wait function-active-v2", "wait function-updated-v2", "invoke"),
    *("update-function-code", "update-function-configuration", "list-functions", "get-function"),
    *("list-versions-by-function", "tag-resource", "untag-resource", "list-tags"),
    *("add-permission", "get-policy", "remove-permission", "delete-function"),
)


def swap(engine: Engine) -> dict[str, str]:
    """What the page says, and what is true here."""
    return {
        "http://127.0.0.1:4566": engine.endpoint,
        "python3.12": RUNTIME,
        "x86_64": ARCHITECTURE,
    }


def test_the_page_says_what_the_aws_cli_says(
    checkout: Path, tmp_path: Path, engine: Engine
) -> None:
    page = (checkout / "docs" / "aws-cli.md").read_text()
    given = transcript.given_by(page)
    environment = transcript.environment(engine.environment())
    played = transcript.play(given, tmp_path, environment, swap(engine))
    assert transcript.replayed(page, played) == page


def test_the_page_leaves_no_command_out(checkout: Path) -> None:
    page = (checkout / "docs" / "aws-cli.md").read_text()
    assert [command for command in SHOWN if f"aws lambda {command} " not in page] == []
