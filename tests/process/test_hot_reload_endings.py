"""Hot reload where the engine is killed, and where the system gives it no watches."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import result
from tests.process.live_house import save
from tests.process.programs import CHECKOUT, PATIENCE, Program, environment

from samovar.engine import Engine
from samovar.model.function import UpdateStatus

pytestmark = pytest.mark.usefixtures("prepared")

PROGRAM = str(CHECKOUT / "tests" / "process" / "reloading_program.py")
ROUNDS = 4
LONGEST = 0.15  # seconds of saves before the kill: the burst, the copy, the record, the switch


def test_an_engine_killed_at_any_point_of_a_reload(run_open: RunEngine, tmp_path: Path) -> None:
    """Whatever was half done, the next engine runs what the directory holds."""
    seed = random.getrandbits(32)
    dice = random.Random(seed)
    pause = threading.Event()
    code = tmp_path / "code"
    code.mkdir()
    for number in range(300):  # so that a copy takes a while
        (code / f"module{number}.py").write_text(f"x = {number}\n")
    save(code, "first")
    word = ""
    for number in range(ROUNDS):
        with Program(PROGRAM, str(run_open.data_dir), str(code)) as program:
            assert program.line() == "up", f"seed {seed}"
            if word:
                program.tell(word)
                assert program.line() == word, f"seed {seed}"
            for step in range(dice.randrange(1, 4)):
                word = f"{number}.{step}"
                save(code, word)
                pause.wait(dice.uniform(0, LONGEST))
            program.kill()

    async def scenario(engine: Engine) -> None:
        await engine.registry.wait_settled("f")
        assert await result(engine) == word, f"seed {seed}"
        trees = os.listdir(run_open.data_dir / "code" / "tree")
        assert all(name.startswith("live-") for name in trees)
        assert len(trees) <= 2
        assert engine.registry.get("f").update_status in (None, UpdateStatus.SUCCESSFUL)

    run_open(scenario)


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_where_there_are_no_watches_it_looks_and_says_so(tmp_path: Path, limit: str) -> None:
    """A user namespace has limits of its own: real ones, which nobody else is held to."""
    code = tmp_path / "code"
    (code / "below").mkdir(parents=True)
    (code / "below/it.py").write_text("")
    save(code, "first")
    few = 1 if limit == "max_inotify_watches" else 0
    limited = f'echo {few} > /proc/sys/user/{limit} && exec "$@"'
    program = subprocess.Popen(
        [
            *("unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh"),
            *(sys.executable, PROGRAM, str(tmp_path / "data"), str(code)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n", program.communicate()
        for word in ("second", "third"):
            (code / "below/it.py").write_text(
                f"def handler(event, context):\n    return {word!r}\n"
            )
            (code / "app.py").write_text("from below.it import handler\n")
            print(word, file=program.stdin, flush=True)
            assert program.stdout.readline() == f"{word}\n", program.communicate()
        _, log = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0, log
    finally:
        program.kill()
        program.communicate()
    assert log.count("can't be watched") == 1
    assert f"max_user_{limit.removeprefix('max_inotify_')} is reached" in log
