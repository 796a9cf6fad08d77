"""docs/cli.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from samovar.doors.cli.main import NAMES, command, main
from samovar.doors.cli.reference import with_subcommands
from samovar.settings import Settings

PATHS = dict(pair for name in NAMES for pair in with_subcommands(name, command(name)))
SETTINGS = {item.name for item in fields(Settings)}


def test_the_page_is_made_of_the_commands(checkout: Path, cli_environment: dict[str, str]) -> None:
    # In a process of its own: defaults are read from the environment when a command is defined.
    environment = {key: value for key, value in cli_environment.items() if key != "XDG_DATA_HOME"}
    made = subprocess.run(
        [sys.executable, "-m", "samovar.doors.cli.reference"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    page = (checkout / "docs" / "cli.md").read_text()
    assert page == made.stdout, "python -m samovar.doors.cli.reference > docs/cli.md"


@pytest.mark.parametrize("name", PATHS)
def test_the_page_and_the_help_have_the_same_options(checkout: Path, name: str) -> None:
    page = (checkout / "docs" / "cli.md").read_text()
    section = page.partition(f"\n## samovar {name}\n")[2].partition("\n## ")[0]
    shown = CliRunner().invoke(main, [*name.split(), "--help"]).output
    for option in PATHS[name].params:
        # Settings have a page of their own.
        if isinstance(option, click.Option) and option.name not in SETTINGS:
            for spelling in option.opts:
                assert f"`{spelling}`" in section
                assert spelling in shown


@pytest.mark.parametrize(
    "name", [name for name, shown in PATHS.items() if not isinstance(shown, click.Group)]
)
def test_every_command_that_prints_findings_has_json(name: str) -> None:
    spellings = [spelling for option in PATHS[name].params for spelling in option.opts]
    assert "--json" in spellings


@pytest.mark.parametrize("name", ["", *PATHS])
def test_help_fits_a_terminal_of_80_columns(name: str) -> None:
    shown = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=80).output
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert "..." not in shown.partition("Commands:")[2], "a summary was cut short"
