"""The leak check can fail: a pytest of its own runs tests that leak."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests import leaks

HERE = Path(__file__).parent
# A mount namespace of its own, so that what leaks in there ends with it.
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    trial = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], check=False)
    return trial.returncode == 0


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> dict[str, str]:
    """What the check says of each sample test; a test that it is content with is not in here."""
    place = tmp_path_factory.mktemp("leaking")
    shutil.copy(HERE / "leaking_samples.py", place / "test_samples.py")
    (place / "conftest.py").write_text("from tests.conftest import *  # noqa: F403\n" + EXPORTS)
    (place / "pytest.ini").write_text("[pytest]\n")
    may_mount = _may_mount()
    run = subprocess.run(
        [
            *(UNSHARE if may_mount else []),
            # -rN: in CI pytest's summary repeats each message, which would count twice below.
            *(sys.executable, "-m", "pytest", "-rN", "-p", "no:cacheprovider", "-o"),
            *(f"pythonpath={checkout}", f"--basetemp={place / 'base'}", str(place)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LEAK_CHECK_DEADLINE": "0.5", "MAY_MOUNT": "1" if may_mount else ""},
    )
    sections = re.split(r"^_+ ERROR at teardown of (\w+) _+$", run.stdout, flags=re.MULTILINE)
    assert " passed, " in run.stdout, run.stdout + run.stderr
    found: dict[str, str] = {}
    for name, text in zip(sections[1::2], sections[2::2], strict=True):
        found[name] = found.get(name, "") + text
    return found


# `import *` leaves out names with an underscore.
EXPORTS = "from tests.conftest import _session_leaves_nothing, _test_leaves_nothing  # noqa: F401\n"


@pytest.mark.parametrize(
    ("test", "named"),
    [
        ("test_process", r"process \d+ \(\w+\): .*left-child"),
        ("test_orphan", r"process \d+ \(\w+\): .*left-orphan"),
        ("test_prepared", r"process \d+ \(\w+\): .*left_program.py$"),
        ("test_zombie", r"process \d+ \(zombie\): $"),
        ("test_descriptor", r"descriptor \d+: .*left-descriptor"),
        ("test_thread", r"thread 'left-thread'"),
        ("test_file", r"file .*left-file$"),
        ("test_child_that_uses_tmpdir", r"file .*left-file-of-child$"),
    ],
)
def test_what_leaks_is_named(reported: dict[str, str], test: str, named: str) -> None:
    assert re.search(named, reported[test], flags=re.MULTILINE), reported[test]


def test_a_mount_that_leaks_is_named(reported: dict[str, str]) -> None:
    if not _may_mount():
        assert os.geteuid() != 0, "root without mounts: the walls can't be tested here"
        pytest.skip("this host lets unprivileged users mount nothing")
    assert re.search(r"mount at .*left-mount", reported["test_mount"]), reported["test_mount"]


def test_a_leak_of_a_session_fixture_shows_at_the_end(reported: dict[str, str]) -> None:
    assert "test_wide_fixture" not in reported
    told = [line for line in reported["test_last"].splitlines() if line.startswith("  ")]
    assert len(told) == 2, "the pipe's two ends; what was told before is not told again"
    assert all(re.search(r"descriptor \d+: pipe:", line) for line in told)


def test_a_clean_test_is_left_in_peace(reported: dict[str, str]) -> None:
    assert "test_clean" not in reported


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of the directories that a run shares with all the world."""
    monkeypatch.setattr(leaks, "SHARED_PLACES", (tmp_path,))
    return tmp_path


def test_a_file_in_a_shared_place_is_named(shared: Path) -> None:
    before = leaks.Traces.now()
    (shared / "samovar-left").mkdir()
    (shared / "other-left").mkdir()
    assert leaks.Traces.now().left_behind(before) == [f"file {shared / 'samovar-left'}"]


HOLD = "import os, sys; {}; print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    "way",
    ["os.chdir(place)", "kept = open(place + '/file', 'w')", "place"],
    ids=["works there", "has it open", "is told of it"],
)
def test_what_strangers_use_is_theirs(
    shared: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before = leaks.Traces.now()
    place = shared / "samovar-theirs"
    place.mkdir()
    told = str(place) if way == "place" else "nothing"
    source = HOLD.format(f"place = {str(place)!r}; {way}" if way != "place" else "pass")
    with subprocess.Popen(
        [sys.executable, "-c", source, told], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        named = [line for line in leaks.Traces.now().left_behind(before) if "file" in line]
        assert f"file {place}" in named, "it is a process of this run"
        ours = leaks.of_this_run() - {process.pid}
        monkeypatch.setattr(leaks, "of_this_run", lambda: ours)
        assert f"file {place}" not in leaks.Traces.now().left_behind(before)
        process.communicate()
    assert leaks.Traces.now().left_behind(before) == [f"file {place}"], "nobody uses it any more"


def test_a_file_with_the_number_of_a_stranger_is_the_strangers(shared: Path) -> None:
    before = leaks.Traces.now()
    (shared / f"samovar-doctor-{os.getpid()}").mkdir()
    (shared / "samovar-doctor-1").mkdir()
    ours = str(shared / f"samovar-doctor-{os.getpid()}")
    assert leaks.Traces.now().left_behind(before) == [f"file {ours}"]


def test_the_run_is_all_its_processes() -> None:
    ours = leaks.of_this_run()
    assert os.getpid() in ours
    assert 1 not in ours
    assert ("PYTEST_XDIST_WORKER" in os.environ) == (os.getppid() in ours)


def test_cgroups_of_ours_are_seen_in_every_hierarchy(tmp_path: Path) -> None:
    ours = tmp_path / "memory" / "user.slice" / f"samovar-0-{os.getpid()}"
    nobodys = tmp_path / "cpu" / "samovar-engine"
    for made in (ours, nobodys, tmp_path / "pids" / "other", tmp_path / "pids" / "samovar-0-1"):
        made.mkdir(parents=True)
    assert leaks.cgroups(tmp_path) == {str(one): f"cgroup {one}" for one in (ours, nobodys)}
