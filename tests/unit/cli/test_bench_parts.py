"""The arithmetic of `samovar bench`, and what it prints: on samples made by hand."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from samovar.doors.cli.bench import plot
from samovar.doors.cli.bench.compared import Measured, show_compared
from samovar.doors.cli.bench.sample import REST, Round, Sample
from samovar.doors.cli.bench.shown import show, start_text
from samovar.doors.cli.bench.summary import COLUMNS, as_csv, as_document, summarise
from samovar.doors.cli.exits import Exit, Failure


def cold(total: float, start: str = "cold", error: str = "") -> Sample:
    phases = {"queued": 9.0, "environment": 1.0, "package": 0.5, "init": 2.0, "handler": 0.25}
    return Sample(Round.COLD, start, "7", "id", total, phases, error)


def warm(total: float, start: str = "warm") -> Sample:
    return Sample(Round.WARM, start, "7", "id", total, {"queued": 0.0, "handler": 0.25})


SAMPLES = [
    cold(4.0),
    cold(6.0),
    cold(1.0, start="warm"),
    *(warm(float(number)) for number in range(1, 101)),
    warm(500.0, start="cold"),
]


def test_the_rest_is_what_no_phase_has() -> None:
    assert cold(4.0).parts() == {
        "environment": 1.0,
        "package": 0.5,
        "init": 2.0,
        "handler": 0.25,
        REST: 0.25,
    }
    assert warm(1.0).parts() == {"handler": 0.25, REST: 0.75}
    assert cold(1.0).parts()[REST] == 0.0  # two clocks may differ by a hair


def test_only_what_is_of_its_round_is_counted() -> None:
    found = summarise(SAMPLES, Round.COLD)
    assert (found.count, found.left_out, found.errors) == (2, 1, 0)
    assert found.milliseconds["total"] == {"p50": 4.0, "p90": 6.0, "p99": 6.0, "max": 6.0}
    assert list(found.milliseconds) == [
        *("environment", "package", "init", "handler", "rest", "total"),
    ]
    found = summarise(SAMPLES, Round.WARM)
    assert (found.count, found.left_out) == (100, 1)
    assert found.milliseconds["total"] == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    assert "init" not in found.milliseconds


def test_provisioned_contexts_serve_either_round() -> None:
    ahead = [cold(2.0, start="provisioned"), warm(1.0, start="provisioned")]
    found = summarise([*ahead, cold(3.0)], Round.COLD)
    assert (found.count, found.left_out, found.provisioned) == (2, 0, 1)
    assert start_text(Round.COLD, found) == "cold"
    out = StringConsole()
    show(out.console, "title", [*ahead, cold(3.0)], 1.0)
    assert "1 of these came to a provisioned context" in out.text
    found = summarise(ahead, Round.COLD)
    assert start_text(Round.COLD, found, snap_start=True) == "provisioned"
    assert (
        start_text(Round.COLD, summarise([cold(3.0)], Round.COLD), snap_start=True) == "SnapStart"
    )
    found = summarise(ahead, Round.WARM)
    assert (found.count, start_text(Round.WARM, found)) == (1, "warm")


def test_several_are_a_line_each_without_columns_that_are_empty() -> None:
    out = StringConsole()
    template = Measured("f:2", {"snap_start": True}, [cold(3.0), cold(1.0, start="warm")], 0.0)
    show_compared(out.console, "title", [Measured("f", {}, [cold(4.0)], 0.0), template])
    assert "warm p50" not in out.text
    rows = [text.split() for text in out.lines]
    assert ["f", "cold", "2.00", "4.00", "4.00", "4.00"] in rows
    assert ["f:2", "SnapStart", "2.00", "3.00", "3.00", "3.00"] in rows
    assert "f:2: 1 more began in another way" in out.text


def test_a_round_without_samples_has_no_numbers() -> None:
    found = summarise([cold(1.0)], Round.WARM)
    assert (found.count, found.milliseconds) == (0, {})
    assert "warm" not in as_document({}, [cold(1.0)], 0.0)


def test_the_document_has_what_the_page_says() -> None:
    document = json.loads(json.dumps(as_document({"function": "arn"}, SAMPLES, 2.0)))
    assert (document["schema"], document["function"]) == (1, "arn")
    assert document["cold"]["left_out"] == 1
    assert document["warm"]["per_second"] == 50.5
    assert document["warm"]["milliseconds"]["total"]["max"] == 100.0
    assert len(document["samples"]) == len(SAMPLES)
    assert document["samples"][0] == {
        "round": "cold",
        "number": 1,
        "start": "cold",
        "context": "7",
        "request_id": "id",
        "error": None,
        "total_ms": 4.0,
        "queued_ms": 9.0,
        "environment_ms": 1.0,
        "package_ms": 0.5,
        "init_ms": 2.0,
        "handler_ms": 0.25,
    }


def test_the_columns_and_the_keys_are_documented(checkout: Path) -> None:
    page = (checkout / "docs" / "measuring.md").read_text()
    for name in (*COLUMNS, *as_document({}, SAMPLES, 1.0)):
        assert f"`{name}`" in page, name


def test_a_csv_has_one_row_per_invocation_and_is_empty_where_there_was_nothing() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(SAMPLES))))
    assert len(rows) == len(SAMPLES)
    assert rows[0]["init_ms"] == "2.0"
    assert (rows[3]["round"], rows[3]["number"], rows[3]["init_ms"]) == ("warm", "1", "")
    assert rows[0]["error"] == ""


def test_the_tables_say_what_was_left_out_and_what_failed() -> None:
    out = StringConsole()
    show(out.console, "greet at http://e", [*SAMPLES, cold(5.0, error="KeyError")], 2.0)
    for said in (
        "greet at http://e",
        "cold, 3",
        "1 more were served by a warm context",
        "1 more were cold starts",
        "1 ended with an error",
        "50 invocations per second",
    ):
        assert said in out.text
    assert ["init", "2.00", "2.00", "2.00", "2.00"] in [line.split() for line in out.lines]
    assert ["total", "50.00", "90.00", "99.00", "100.00"] in [line.split() for line in out.lines]


def test_the_tables_of_one_round_do_not_mention_the_other() -> None:
    out = StringConsole()
    show(out.console, "f", [cold(4.0)], 0.0)
    assert "cold, 1" in out.text
    assert "warm" not in out.text


class StringConsole:
    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, width=100)

    @property
    def text(self) -> str:
        return self._file.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


DRAWING = """
import sys
from pathlib import Path
from samovar.doors.cli.bench import plot
from samovar.doors.cli.bench.sample import Round, Sample
from samovar.doors.cli.exits import Failure

plot.demand_matplotlib()
cold = Sample(Round.COLD, "cold", "7", "id", 4.0, {"init": 2.0, "handler": 0.5})
warm = Sample(Round.WARM, "warm", "7", "id", 1.0, {"handler": 0.5})
for name, samples in {"both": [cold, warm], "cold": [cold], "warm": [warm, warm]}.items():
    plot.draw(samples, "greet", Path(f"{name}.png"))
try:
    plot.draw([cold], "greet", Path("nowhere/greet.png"))
except Failure as failure:
    print(failure.message)
"""


def test_the_picture_is_a_png(tmp_path: Path, cli_environment: dict[str, str]) -> None:
    # In a process of its own: matplotlib keeps its fonts open for as long as one lives.
    done = subprocess.run(
        [sys.executable, "-c", DRAWING],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**cli_environment, "MPLCONFIGDIR": str(tmp_path)},
    )
    assert done.stdout == "nowhere/greet.png can't be written: No such file or directory\n", done
    for name in ("both", "cold", "warm"):
        assert (tmp_path / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_matplotlib_it_is_said_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # what import makes an ImportError of
    with pytest.raises(Failure, match="-m pip install matplotlib") as raised:
        plot.demand_matplotlib()
    assert raised.value.exit_code == Exit.USAGE


def test_a_picture_that_can_not_be_written_is_told_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    plot.demand_directory(tmp_path / "greet.png")
    plot.demand_directory(Path("greet.png"))
    with pytest.raises(Failure, match="nowhere is no directory"):
        plot.demand_directory(tmp_path / "nowhere" / "greet.png")
