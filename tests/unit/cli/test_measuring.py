"""Measuring a function of one's own: `samovar bench`, and the fixture for one's own tests.

What is held here is what was measured and how it is told, never how long it took.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.cli.conftest import PATIENCE, Started

from samovar.doors.cli.main import main

Start = Callable[..., Started]
HELLO = "def handler(event, context):\n    return 'Hello, ' + event['name']\n"


@pytest.fixture
def bench(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `samovar bench greet`, on a function that is deployed."""
    endpoint = start().endpoint
    (tmp_path / "greet").mkdir()
    (tmp_path / "greet" / "app.py").write_text(HELLO)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["bench", "greet", *arguments])

    done = CliRunner().invoke(main, ["deploy", str(tmp_path / "greet")])
    assert done.exit_code == 0, done.output
    return run


EVENT = ("-e", '{"name": "tea"}')


def test_cold_ones_are_cold_and_warm_ones_warm(bench: Callable[..., Result]) -> None:
    few = ("--cold", "3", "--warm", "20", "--concurrency", "4", "--pause", "0")
    done = bench(*EVENT, *few, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["asked"] == {"cold": 3, "warm": 20, "concurrency": 4, "pause": 0}
    assert (found["event_bytes"], found["memory_mb"]) == (15, 128)
    assert (found["cold"]["count"], found["cold"]["left_out"]) == (3, 0)
    assert list(found["cold"]["milliseconds"]) == [
        *("environment", "package", "init", "handler", "rest", "total"),
    ]
    for shares in found["cold"]["milliseconds"].values():
        assert 0 <= shares["p50"] <= shares["p90"] <= shares["p99"] <= shares["max"]
    cold = [row for row in found["samples"] if row["round"] == "cold"]
    assert [row["start"] for row in cold] == ["cold"] * 3
    assert len({row["context"] for row in cold}) == 3
    warm = [row for row in found["samples"] if row["round"] == "warm"]
    # The callers' pace decides whether one of them finds no idle context.
    assert [row["start"] for row in warm].count("warm") == found["warm"]["count"] > 0
    assert found["warm"]["count"] + found["warm"]["left_out"] == len(warm) == 20
    assert len({row["context"] for row in warm}) <= 4
    assert len({row["request_id"] for row in found["samples"]}) == 23
    assert found["warm"]["per_second"] > 0

    done = bench(*EVENT, "--cold", "2", "--warm", "0", "--pause", "0", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["round"], row["start"]) for row in rows] == [("cold", "cold")] * 2

    done = bench(*EVENT, "--cold", "1", "--warm", "2", "--pause", "0")
    assert (done.exit_code, done.stderr) == (0, "")
    for said in ("cold, 1", "warm, 2", "init", "p99"):
        assert said in done.stdout
    assert "\x1b" not in done.output


def test_versions_of_a_function_side_by_side(bench: Callable[..., Result], tmp_path: Path) -> None:
    deploy = ("deploy", str(tmp_path / "greet"), "--alias")
    for flags in ((*deploy, "ahead", "--provisioned", "1"), (*deploy, "snap", "--snap-start")):
        done = CliRunner().invoke(main, flags)
        assert done.exit_code == 0, done.output
    few = ("--cold", "2", "--warm", "2", "--pause", "0")
    done = bench("greet:ahead", "greet:snap", *EVENT, *few, "--json")
    assert done.exit_code == 0, done.output
    plain, ahead, snap = json.loads(done.stdout)
    starts = [[row["start"] for row in one["samples"]] for one in (plain, ahead, snap)]
    assert starts == [["cold"] * 2 + ["warm"] * 2, ["provisioned"] * 4, starts[0]]
    assert (ahead["version"], ahead["cold"]["count"], ahead["warm"]["count"]) == ("1", 2, 2)
    assert (ahead["cold"]["provisioned"], plain["cold"]["provisioned"]) == (2, 0)
    assert (plain["snap_start"], ahead["snap_start"], snap["version"]) == (False, False, "2")
    done = bench("greet:ahead", *EVENT, *few)
    assert [text.split()[:2] for text in done.stdout.splitlines()[2:5]] == [
        ["function", "first"],
        ["greet", "cold"],
        ["greet:ahead", "provisioned"],
    ]
    for flags in (("--csv",), ("--qualifier", "1")):
        refused = bench("greet:1", *flags)
        assert (refused.exit_code, refused.stdout) == (2, "")
    assert bench("greet:7").exit_code == 4


def test_errors_of_the_function_are_counted_and_told(bench: Callable[..., Result]) -> None:
    done = bench("-e", "{}", "--cold", "1", "--warm", "2", "--pause", "0", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["cold"]["errors"], found["warm"]["errors"]) == (1, 2)
    assert {row["error"] for row in found["samples"]} == {"KeyError"}
    assert "greet failed (KeyError)" in done.stderr


def test_what_can_not_be_measured_is_refused(bench: Callable[..., Result]) -> None:
    for flags, status, said in (
        (("--json", "--csv"), 2, "choose one"),
        (("--cold", "0", "--warm", "0"), 2, "nothing to measure"),
        (("--qualifier", "7"), 4, "ResourceNotFoundException"),
        (("--endpoint-url", "http://127.0.0.1:9"), 3, "samovar start"),
    ):
        refused = bench(*flags)
        assert (refused.exit_code, refused.stdout) == (status, ""), refused.output
        assert said in refused.stderr


def own_suite(checkout: Path, place: Path) -> Path:
    """The example of docs/measuring.md, as files."""
    page = (checkout / "docs" / "measuring.md").read_text()
    conftest, test = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (place / "greet").mkdir(parents=True)
    (place / "greet" / "app.py").write_text(HELLO)
    (place / "conftest.py").write_text(conftest)
    (place / "test_greet.py").write_text(test)
    return place


def run_suite(
    place: Path, environment: dict[str, str], *flags: str
) -> subprocess.CompletedProcess[str]:
    # A pytest that believes to be one of xdist's workers measures nothing.
    own = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *flags, str(place)],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env=own,
        timeout=PATIENCE,
    )


def test_the_pages_example_measures_and_is_compared(
    checkout: Path, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    place = own_suite(checkout, tmp_path / "suite")
    flags = ("--benchmark-json=found.json", "--benchmark-max-time=0.1")
    done = run_suite(place, cli_environment, *flags)
    assert done.returncode == 0, done.stdout
    assert "benchmark: 2 tests" in done.stdout
    found = {
        item["name"]: item for item in json.loads((place / "found.json").read_text())["benchmarks"]
    }
    cold, warm = found["test_a_cold_start"], found["test_a_warm_invocation"]
    assert cold["stats"]["rounds"] == 10
    told = cold["extra_info"]["samovar"]
    assert told["start"] == "cold"
    assert list(told["median_milliseconds"]) == ["environment", "package", "init", "handler"]
    assert warm["extra_info"]["samovar"]["start"] == "warm"
    assert list(warm["extra_info"]["samovar"]["median_milliseconds"]) == ["handler"]


def test_a_function_that_fails_fails_its_test_and_who_lacks_the_plugin_is_told(
    checkout: Path, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    place = own_suite(checkout, tmp_path / "suite")
    done = run_suite(place, cli_environment, "-p", "no:benchmark", "-k", "cold")
    assert done.returncode == 1
    assert "pip install pytest-benchmark" in done.stdout
    (place / "greet" / "app.py").write_text("def handler(event, context):\n    raise OSError(7)\n")
    done = run_suite(place, cli_environment, "--benchmark-disable", "-k", "cold")
    assert done.returncode == 1
    assert "the function failed: {" in done.stdout
    assert '"errorType": "OSError"' in done.stdout
