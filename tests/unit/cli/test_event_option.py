"""An event on the command line: a file, stdin, or the JSON itself."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from samovar.doors.cli.event import read_event


@click.command()
@click.option("-e", "--event", callback=read_event)
def show(event: bytes | None) -> None:
    click.echo(repr(event))


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(show, arguments, input=stdin)


@pytest.mark.parametrize("text", ['{"a": 1}', " [1]", '"tea"', "7", "true", "null", "-1.5"])
def test_json_is_taken_as_it_is(text: str) -> None:
    assert run("-e", text).output == f"{text.encode()!r}\n"


def test_files_and_stdin_are_taken_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "event.json").write_bytes(b"{not json")
    (tmp_path / "7").write_bytes(b"8")
    assert run("-e", "event.json").output == "b'{not json'\n"
    assert run("-e", "7").output == "b'8'\n"  # what there is comes first
    assert run("-e", "-", stdin=b"\xff").output == "b'\\xff'\n"
    assert run().output == "None\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.json", "nowhere.json is neither a file nor JSON"),
        ("{tea}", "not JSON: "),
        ("/", "/: Is a directory"),
        ("a\0b", "neither a file nor JSON"),
    ],
)
def test_what_is_neither_is_told(text: str, said: str) -> None:
    done = run("-e", text)
    assert done.exit_code == 2
    assert said in done.output
