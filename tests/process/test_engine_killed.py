"""kill -9 of the engine: what is below it ends by itself, and the next start finds all it had."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from tests.process.conftest import RunEngine
from tests.process.house import eventually, named, sample, states
from tests.process.kin import ended
from tests.process.programs import CHECKOUT, Program, client, create, run, serve
from tests.process.witness import Court

from samovar.engine import Engine
from samovar.model.function import State

pytestmark = pytest.mark.usefixtures("prepared")

EMBEDDED = str(CHECKOUT / "tests" / "process" / "embedded_program.py")


@asynccontextmanager
async def served(run_engine: RunEngine, court: Court, marker: str) -> AsyncIterator[Program]:
    """A `samovar start` with one function and three running invocations of boto3's."""
    with Program(*serve(run_engine.data_dir, run_engine.isolation)) as program:
        endpoint = program.line().split()[-1]
        aws = client(endpoint)
        await asyncio.to_thread(
            create,
            aws,
            Runtime=run_engine.runtimes.served[0].runtime,
            Handler="witness.handler",
            Code={"ZipFile": sample("witness")},
            Environment={"Variables": {"EDITION": "first"}},
            Tags={"kept": "yes"},
        )
        event = json.dumps({"port": court.port, "children": [marker]})
        calls = [
            asyncio.create_task(asyncio.to_thread(aws.invoke, FunctionName="f", Payload=event))
            for _ in range(3)
        ]
        yield program
        for call in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(call, Exception)  # the connection broke
        aws.close()


@asynccontextmanager
async def embedded(run_engine: RunEngine, court: Court, marker: str) -> AsyncIterator[Program]:
    with Program(EMBEDDED) as program:
        # Not as arguments, among which the marker would be found.
        program.tell(f"{run_engine.data_dir} {run_engine.isolation} {court.port} {marker}")
        yield program


def mounted_anywhere(data_dir: Path) -> list[int]:
    """The processes of this host in whose mount namespace something of `data_dir` is mounted."""
    found = []
    for pid in psutil.pids():
        try:
            text = Path(f"/proc/{pid}/mountinfo").read_text()
        except OSError:
            continue
        if str(data_dir) in text:
            found.append(pid)
    return found


@pytest.mark.parametrize("start", [served, embedded], ids=["samovar start", "embedded"])
def test_a_killed_engine(run_engine: RunEngine, start: type[object]) -> None:
    marker = f"90000.{random.getrandbits(40)}"

    async def killed() -> None:
        async with Court() as court, start(run_engine, court, marker) as program:  # type: ignore
            await court.reached(3)
            assert len(named(marker)) == 3
            # A zygote, four workers (the spare may still be on its way), what these have started,
            # and a holder for each with walls.
            all_of_it = 12 if run_engine.walled else 8
            await eventually(lambda: len(program.family()) == all_of_it, "the spare is there")
            family = program.family()
            if run_engine.walled:
                assert mounted_anywhere(run_engine.data_dir)
            program.kill()
            await eventually(lambda: ended(family), "everything below it has ended")
            assert named(marker) == []
            assert mounted_anywhere(run_engine.data_dir) == []

    async def after(engine: Engine) -> None:
        contexts = run_engine.data_dir / "run" / "contexts"
        assert list(contexts.iterdir()) == []
        assert states(engine) == []
        function = engine.registry.get("f")
        assert function.state is State.ACTIVE
        assert engine.registry.tags_of("f") == {"kept": "yes"}
        outcome = await engine.invoke("f")
        told = json.loads(outcome.payload)
        assert (told["calls"], told["tmp"], told["edition"]) == (1, 1, "first")

    asyncio.run(killed())
    run_engine(after)


def test_what_could_not_end_by_itself_ends_at_the_next_start(run_engine: RunEngine) -> None:
    marker = f"90000.{random.getrandbits(40)}"
    family: list[psutil.Process] = []

    async def killed() -> None:
        async with Court() as court, embedded(run_engine, court, marker) as program:
            await court.reached(3)
            family.extend(program.family())
            (zygote,) = psutil.Process(program.pid).children()
            os.kill(zygote.pid, signal.SIGSTOP)
            program.kill()
            assert len(named(marker)) == 3

    async def after(engine: Engine) -> None:
        await eventually(lambda: ended(family), "the old family is gone")
        assert named(marker) == []
        if not run_engine.walled:
            assert list((run_engine.data_dir / "run" / "contexts").iterdir()) == []
        assert json.loads((await engine.invoke("f")).payload)["edition"] == "first"

    asyncio.run(killed())
    run_engine(after)


def test_a_second_engine_on_the_same_directory_is_refused(run_open: RunEngine) -> None:
    with Program(*serve(run_open.data_dir, "none")) as first:
        first.line()
        second = run(*serve(run_open.data_dir, "none"))
        assert second.returncode == 6
        assert second.stdout == ""
        assert second.stderr == (
            f"Error: another engine (pid {first.pid}) works on {run_open.data_dir}: stop it, or "
            "give this one a directory of its own with --data-dir or SAMOVAR_DATA_DIR\n"
        )
        first.kill()
    with Program(*serve(run_open.data_dir, "none")) as third:
        assert "listens on" in third.line()
        third.signal(signal.SIGTERM)
        assert third.end()[0] == 0
