"""What has to change of a function so that it is as it is wished to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from samovar.doors.cli.deploy.pairs import read_file, read_pairs
from samovar.doors.cli.deploy.plan import Amount, Plan, Status, Wishes, to_create, to_update

NOW: dict[str, Any] = {
    "Handler": "app.handler",
    "Runtime": "python3.12",
    "Role": "arn:aws:iam::000000000000:role/r",
    "Timeout": 3,
    "MemorySize": 128,
    "Description": "",
    "CodeSha256": "same",
}


def update(
    wishes: Wishes,
    *,
    handler: str = "app.handler",
    sha256: str = "same",
    tags: dict[str, str] | None = None,
    **now: Any,
) -> Plan:
    return to_update("f", wishes, handler, sha256=sha256, current={**NOW, **now}, tags=tags or {})


def test_a_new_function_gets_what_is_wished_and_nothing_else() -> None:
    plan = to_create("f", Wishes(), "app.handler", "python3.12", "role")
    assert plan.create == {"Handler": "app.handler", "Runtime": "python3.12", "Role": "role"}
    assert plan.status is Status.CREATED
    wishes = Wishes(
        runtime="python3.13",
        timeout=10,
        memory=256,
        description="tea",
        environment={"A": "1"},
        layers=("arn:l:1",),
        tags={"t": "v"},
    )
    plan = to_create("f", wishes, "app.handler", "python3.13", "role")
    assert plan.create == {
        "Handler": "app.handler",
        "Runtime": "python3.13",
        "Role": "role",
        "Timeout": 10,
        "MemorySize": 256,
        "Description": "tea",
        "Environment": {"Variables": {"A": "1"}},
        "Layers": ["arn:l:1"],
        "Tags": {"t": "v"},
    }


def test_what_is_as_wished_is_not_touched() -> None:
    assert update(Wishes()).status is Status.UNCHANGED
    wishes = Wishes("python3.12", NOW["Role"], 3, 128, "", {}, ("arn:l:1",), {"t": "v"})
    plan = update(wishes, tags={"t": "v", "u": "w"}, Layers=[{"Arn": "arn:l:1", "CodeSize": 1}])
    assert (plan.status, plan.changed()) == (Status.UNCHANGED, [])


@pytest.mark.parametrize(
    ("wishes", "configuration"),
    [
        (Wishes(runtime="python3.13"), {"Runtime": "python3.13"}),
        (Wishes(role="r2"), {"Role": "r2"}),
        (Wishes(timeout=4), {"Timeout": 4}),
        (Wishes(memory=129), {"MemorySize": 129}),
        (Wishes(description="x"), {"Description": "x"}),
        (Wishes(environment={"B": "2"}), {"Environment": {"Variables": {"B": "2"}}}),
        (Wishes(layers=("arn:l:2",)), {"Layers": ["arn:l:2"]}),
        (Wishes(snap_start=True), {"SnapStart": {"ApplyOn": "PublishedVersions"}}),
    ],
)
def test_only_what_differs_is_changed(wishes: Wishes, configuration: dict[str, Any]) -> None:
    now = {"Environment": {"Variables": {"A": "1"}}, "Layers": [{"Arn": "arn:l:1"}]}
    plan = update(wishes, **now)
    assert (plan.configuration, plan.code, plan.tags) == (configuration, False, {})
    assert plan.changed() == list(configuration)


def test_code_handler_and_tags_are_changes_of_their_own() -> None:
    plan = update(Wishes(tags={"a": "1", "b": "2"}), sha256="new", tags={"a": "1"})
    assert (plan.code, plan.tags, plan.configuration) == (True, {"b": "2"}, {})
    assert plan.changed() == ["Code", "tag b"]
    assert update(Wishes(), handler="main.handler").configuration == {"Handler": "main.handler"}


def test_snap_start_is_turned_off_only_where_it_is_on() -> None:
    now = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}}
    assert update(Wishes(snap_start=True), **now).status is Status.UNCHANGED
    off = {"SnapStart": {"ApplyOn": "None"}}
    assert update(Wishes(snap_start=False), **now).configuration == off
    assert update(Wishes(snap_start=False)).status is Status.UNCHANGED


@pytest.mark.parametrize(
    ("wish", "now", "planned"),
    [
        (None, 5, None),
        (Amount(5), 5, None),
        (Amount(None), None, None),
        (Amount(0), None, Amount(0)),
        (Amount(6), 5, Amount(6)),
        (Amount(None), 0, Amount(None)),
    ],
)
def test_what_is_reserved_is_changed_only_where_it_differs(
    wish: Amount | None, now: int | None, planned: Amount | None
) -> None:
    wishes = Wishes(reserved=wish)
    plan = to_update("f", wishes, "app.handler", sha256="same", current=NOW, tags={}, reserved=now)
    assert plan.reserve == planned
    told = [] if planned is None else ["ReservedConcurrentExecutions"]
    assert (plan.changed(), plan.status is Status.UPDATED) == (told, planned is not None)
    made = to_create("f", wishes, "app.handler", "python3.12", "role")
    assert made.reserve == (wish if wish != Amount(None) else None)


def test_values_are_not_told() -> None:
    plan = update(Wishes(environment={"KEY": "secret"}))
    assert "secret" not in " ".join(plan.changed())


@click.command()
@click.option("--env", multiple=True, callback=read_pairs)
def show(env: dict[str, str]) -> None:
    click.echo(str(env))


def test_pairs_on_the_command_line() -> None:
    done = CliRunner().invoke(show, ["--env", "A=1", "--env", "B=x=y", "--env", "C="])
    assert done.output == "{'A': '1', 'B': 'x=y', 'C': ''}\n"
    for wrong in ("hunter2", "=hunter2"):
        done = CliRunner().invoke(show, ["--env", wrong])
        assert done.exit_code == 2
        assert "write it like KEY=VALUE" in done.output
        assert "hunter2" not in done.output.partition("Error")[2]


def test_a_file_of_variables(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# tea\nA=1\nexport B='two words'\nC=\"line\\nbreak\"\nD=$A\nE=\n")
    assert read_file(path) == {"A": "1", "B": "two words", "C": "line\nbreak", "D": "$A", "E": ""}
    path.write_text("ALONE\n")
    with pytest.raises(click.UsageError, match="ALONE has no value"):
        read_file(path)
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(click.UsageError, match="can't be read"):
        read_file(path)
