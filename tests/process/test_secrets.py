"""A secret in a function's environment, looked for wherever else it could be."""

from __future__ import annotations

import json
import signal
import stat
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.process.house import package
from tests.process.programs import Program, client, serve

from samovar.settings import Isolation

pytestmark = pytest.mark.usefixtures("prepared")

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM = str(Path(__file__).with_name("secretive_program.py"))
FIRST, SECOND = "canary-1-90c1", "canary-2-4d7e"
# Short enough for the name of a process, too, which has 15 characters.
CANARIES = (FIRST.encode(), SECOND.encode())
SOURCE = """
import os, time
if "BROKEN" in os.environ:
    raise ValueError("no")
def handler(event, context):
    if event == "fail":
        raise RuntimeError("failed")
    if event == "exit":
        os._exit(3)
    if event == "linger":
        time.sleep(60)
    return os.environ["TOKEN"]
"""
PAGES = ("/healthz", "/readyz", "/metrics", "/_samovar/contexts", "/_samovar/contexts?history=true")


def told(data: bytes, what: str) -> None:
    for canary in CANARIES:
        at = data.find(canary)
        assert at < 0, f"{what}: {data[max(0, at - 300) : at + 100]!r}"


def configured(token: str, **more: str) -> dict[str, Any]:
    return {"Variables": {"TOKEN": token, **more}}


def live(asked: Any) -> None:
    """All that an engine does with a function: what is right, what goes wrong, what changes."""
    given = {
        "Runtime": PYTHON,
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "Code": {"ZipFile": package({"app.py": SOURCE})},
        "Timeout": 1,
    }
    for name, more in (("f", {}), ("broken", {"BROKEN": "1"})):
        asked.create_function(FunctionName=name, Environment=configured(FIRST, **more), **given)
        asked.get_waiter("function_active_v2").wait(FunctionName=name)
    assert invoked(asked, "f", None) == FIRST
    assert invoked(asked, "f", "fail")["errorType"] == "RuntimeError"
    assert invoked(asked, "f", "exit")["errorType"] == "Runtime.ExitError"
    assert invoked(asked, "f", "linger")["errorType"] == "Sandbox.Timedout"
    assert invoked(asked, "broken", None)["errorType"] == "ValueError"
    with pytest.raises(asked.exceptions.InvalidParameterValueException):
        too_much = configured(FIRST, MORE="x" * 5000)
        asked.update_function_configuration(FunctionName="f", Environment=too_much)
    published = {"SnapStart": {"ApplyOn": "PublishedVersions"}, "Environment": configured(SECOND)}
    asked.update_function_configuration(FunctionName="f", **published)
    asked.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert invoked(asked, "f", None) == SECOND
    version = asked.publish_version(FunctionName="f")["Version"]
    asked.get_waiter("published_version_active").wait(FunctionName="f", Qualifier=version)
    assert invoked(asked, f"f:{version}", None) == SECOND
    asked.invoke(FunctionName="f", InvocationType="Event", Payload=b'"fail"')


def invoked(asked: Any, name: str, event: Any) -> Any:
    return json.load(asked.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"])


def processes(engine: Program) -> Iterator[tuple[str, bytes]]:
    """Command lines, names and first environments of the engine and all below it."""
    pids = [engine.pid, *(one.pid for one in engine.family())]
    assert len(pids) > 2  # zygotes and contexts, idle ones among them
    for pid in pids:
        for name in ("cmdline", "environ", "comm", "status"):
            path = Path(f"/proc/{pid}/{name}")
            try:
                yield str(path), path.read_bytes()
            except OSError:  # gone; or not to be read, even by us
                continue


def check_files(data_dir: Path) -> None:
    entries = [data_dir, *data_dir.iterdir()]
    for path in entries:
        mode = path.stat().st_mode
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path
    names = {path.name for path in entries}
    assert names >= {"lock", "node-id", "code", "run", "logs", "samovar.db", "queue.db-wal"}
    for path in data_dir.rglob("*"):
        if path.is_file() and not path.is_symlink() and ".db" not in path.name:
            told(path.read_bytes(), str(path))


def test_a_secret_is_nowhere_but_in_the_store_and_in_its_function(
    tmp_path: Path, isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")  # which names what the loop has called
    data_dir = tmp_path / "data"
    command = [PROGRAM, *serve(data_dir, isolation.value, "--json", "--log-files=on")[2:]]
    with Program(*command) as engine:
        endpoint = json.loads(engine.line())["endpoint"]
        asked = client(endpoint)
        try:
            live(asked)
        finally:
            asked.close()
        for page in PAGES:
            with urllib.request.urlopen(endpoint + page) as reply:
                told(reply.read(), page)
        for what, found in processes(engine):
            told(found, what)
        check_files(data_dir)
        engine.signal(signal.SIGTERM)
        code, out, err = engine.end()
    assert code == 0, err
    assert "DEBUG:" in err  # it was listened for
    told(out.encode(), "stdout")
    told(err.encode(), "stderr")
    check_files_after(data_dir)


def check_files_after(data_dir: Path) -> None:
    """The secret is where it must be, or all of this has looked for something else."""
    kept = b"".join(path.read_bytes() for path in data_dir.glob("samovar.db*"))
    assert FIRST.encode() in kept
