"""`samovar logs`, in a process of its own: on files of an engine, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.prepared import Prepared
from tests.unit.cli.conftest import PATIENCE, Cli, cli_command, going_on, prepared_command

from samovar.logs.files import LogFiles, entry
from samovar.logs.lost import Lost
from samovar.logs.stream import LogStream

ID = "8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"
OTHER = "1b5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"
EVENTS = [
    (1_769_903_990.0, "", "INIT_START Runtime Version: r"),
    (1_769_903_991.0, ID, f"START RequestId: {ID} Version: $LATEST"),
    (1_769_903_992.0, ID, f"[ERROR]\t{ID}\ttwo\nlines"),
    (1_769_903_993.5, OTHER, "plain text"),
]


def write(data_dir: Path, *events: tuple[float, str, str], limit: int = 1 << 20) -> None:
    files = LogFiles(data_dir / "logs", limit, 1 << 30, Lost())
    stream = LogStream("/aws/lambda/tea-pot", "s", "tea-pot")
    for now, request_id, message in events:
        files.append(stream, now, entry(stream, now, request_id, [message]), 1)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write(tmp_path, *EVENTS)
    return tmp_path


def test_everything_in_order(cli: Cli, data_dir: Path) -> None:
    shown = cli("logs", "tea-pot", "--data-dir", str(data_dir))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == (
        "2026-01-31T23:59:50.000Z INIT_START Runtime Version: r\n"
        f"2026-01-31T23:59:51.000Z START RequestId: {ID} Version: $LATEST\n"
        f"2026-01-31T23:59:52.000Z [ERROR]\t{ID}\ttwo\nlines\n"
        "2026-01-31T23:59:53.500Z plain text\n"
    )


def test_the_variable_and_an_arn_will_do(cli: Cli, data_dir: Path) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:tea-pot:live"
    shown = cli("logs", arn, environment={"SAMOVAR_DATA_DIR": str(data_dir)})
    assert shown.stdout.count("\n") == 5


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("f", ["of $LATEST", "of 1", "of 11"]),
        ("f:1", ["of 1"]),
        ("f:$LATEST", ["of $LATEST"]),
        ("arn:aws:lambda:us-east-1:000000000000:function:f:11", ["of 11"]),
        ("function:f:2", []),
        ("f:live", ["of $LATEST", "of 1", "of 11"]),
    ],
    ids=["all", "version", "latest", "arn", "no version", "alias"],
)
def test_of_one_version(cli: Cli, tmp_path: Path, name: str, shown: list[str]) -> None:
    files = LogFiles(tmp_path / "logs", 1 << 20, 1 << 30, Lost())
    for now, version in enumerate(("$LATEST", "1", "11")):
        stream = LogStream("/aws/lambda/f", f"2026/01/31/[{version}]{'a' * 32}", "f")
        files.append(stream, now, entry(stream, now, ID, [f"of {version}"]), 1)
    said = cli("logs", name, "--data-dir", str(tmp_path), "--json")
    assert said.returncode == 0
    assert [json.loads(line)["message"] for line in said.stdout.splitlines()] == shown
    assert ("live is an alias" in said.stderr) == (name == "f:live")


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (["--since", "2026-01-31T23:59:53Z"], [3]),
        (["--since", "10m"], []),
        (["--request-id", ID], [1, 2]),
        (["--filter", "two"], [2]),
        (["--filter", "two", "--request-id", OTHER], []),
    ],
    ids=["since", "since long ago", "request id", "filter", "both"],
)
def test_what_is_asked_for(cli: Cli, data_dir: Path, flags: list[str], shown: list[int]) -> None:
    said = cli("logs", "tea-pot", "--data-dir", str(data_dir), "--json", *flags)
    assert said.returncode == 0
    messages = [json.loads(line)["message"] for line in said.stdout.splitlines()]
    assert messages == [EVENTS[number][2] for number in shown]


def test_json(cli: Cli, data_dir: Path) -> None:
    said = cli("logs", "tea-pot", "--data-dir", str(data_dir), "--json")
    first, second = (json.loads(line) for line in said.stdout.splitlines()[:2])
    assert first == {
        "time": "2026-01-31T23:59:50.000Z",
        "function": "tea-pot",
        "logGroup": "/aws/lambda/tea-pot",
        "logStream": "s",
        "requestId": None,
        "message": "INIT_START Runtime Version: r",
    }
    assert second["requestId"] == ID


@pytest.mark.parametrize(
    ("name", "advice"),
    [("teapot", "Did you mean tea-pot?"), ("coffee", "")],
    ids=["near", "nothing near"],
)
def test_an_unknown_function(cli: Cli, data_dir: Path, name: str, advice: str) -> None:
    said = cli("logs", name, "--data-dir", str(data_dir))
    assert said.returncode == 2
    assert (
        f"no logs of a function '{name}' in {data_dir / 'logs'}. {advice}".rstrip() in said.stderr
    )


def test_no_logs_at_all(cli: Cli, tmp_path: Path) -> None:
    said = cli("logs", "f", "--data-dir", str(tmp_path / "none"))
    assert said.returncode == 2
    assert "is it the --data-dir of an engine that keeps log files?" in said.stderr


def test_a_wrong_time(cli: Cli, data_dir: Path) -> None:
    said = cli("logs", "tea-pot", "--data-dir", str(data_dir), "--since", "yesterday")
    assert said.returncode == 2
    assert "'yesterday' is neither like 10m nor an ISO time" in said.stderr


# A user namespace has limits of its own: real ones, which nobody else is held to.
_FEW = ("unshare", "--user", "--map-root-user", "sh", "-c")


def limited(limit: str, few: int) -> tuple[str, ...]:
    """What to put before a command to have it run with so few inotify watches or instances."""
    return (*_FEW, f'echo {few} > /proc/sys/user/{limit} && exec "$@"', "sh")


def followed(
    environment: dict[str, str], data_dir: Path, *before: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    command = cli_command if before else prepared_command
    follow = command("logs", "tea-pot", "-f", "--data-dir", str(data_dir))
    return going_on([*before, *follow], environment)


def test_following_over_rotations_until_it_is_interrupted(
    cli_environment: dict[str, str], data_dir: Path
) -> None:
    with followed(cli_environment, data_dir) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        # Segments are as small as can be: some rotations on the way.
        for turn in range(5):
            events = [(1_769_903_999.0, "", f"{turn} {number} {'x' * 200}") for number in range(50)]
            write(data_dir, *events, limit=1 << 17)
            for number in range(50):
                assert f" {turn} {number} xx" in process.stdout.readline()
        assert len(list((data_dir / "logs" / "tea-pot").iterdir())) > 2
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_following_a_log_that_is_deleted_and_comes_back(
    cli_environment: dict[str, str], data_dir: Path
) -> None:
    with followed(cli_environment, data_dir) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        shutil.rmtree(data_dir / "logs" / "tea-pot")
        for word in ("again", "and again"):
            write(data_dir, (1_769_903_999.0, "", word))
            assert process.stdout.readline().endswith(f" {word}\n")
        shutil.rmtree(data_dir / "logs")
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 5
        assert f"{data_dir / 'logs'} is gone, and with it all logs" in said


@pytest.mark.parametrize(
    ("limit", "few", "name"),
    [
        ("max_inotify_instances", 0, "max_user_instances"),
        ("max_inotify_watches", 1, "max_user_watches"),
    ],
)
def test_where_there_are_no_watches_it_looks_and_says_so(
    cli_environment: dict[str, str], data_dir: Path, limit: str, few: int, name: str
) -> None:
    with followed(cli_environment, data_dir, *limited(limit, few)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert f"can't be watched (fs.inotify.{name} is reached)" in process.stderr.readline()
        for _ in range(5):
            process.stdout.readline()
        write(data_dir, (1_769_903_999.0, "", "seen"))
        assert process.stdout.readline().endswith(" seen\n")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert (process.returncode, said) == (0, "")


def on_a_terminal(environment: dict[str, str], data_dir: Path) -> str:
    ours, theirs = pty.openpty()
    try:
        process = Prepared(
            prepared_command("logs", "tea-pot", "--data-dir", str(data_dir)),
            stdout=theirs,
            text=True,
            env={**environment, "TERM": "xterm"},
        )
        os.close(theirs)
        said = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
            if not data:
                break
            said += data
        assert process.wait(PATIENCE) == 0
    finally:
        os.close(ours)
    return said.decode()


def test_a_terminal_gets_colours_unless_they_are_not_wanted(
    cli_environment: dict[str, str], data_dir: Path
) -> None:
    environment = {name: item for name, item in cli_environment.items() if name != "NO_COLOR"}
    said = on_a_terminal(environment, data_dir)
    red, bold = "\x1b[31m", "\x1b[1m"
    assert f"{red}[ERROR]" in said
    assert said.count(f"{bold}{ID}") == 2
    assert f"{red}plain" not in said
    assert "\x1b" not in on_a_terminal({**environment, "NO_COLOR": "1"}, data_dir)


def test_a_function_does_not_command_the_terminal(
    cli_environment: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, (1.0, "", "a\x1b[2Jb\x1b[32mgreen\x1b[0m\x07\tc\rd"))
    said = on_a_terminal({**cli_environment, "NO_COLOR": "1"}, tmp_path)
    assert said == ("1970-01-01T00:00:01.000Z a\ufffd[2Jb\x1b[32mgreen\x1b[0m\ufffd\tc\ufffdd\r\n")
