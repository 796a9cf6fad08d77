"""Freezing where less is allowed, and what is left of frozen contexts when the engine is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.freezing_house import processes_states
from tests.process.house import eventually, named, sample
from tests.process.kin import ended
from tests.process.other_hosts import AS_USER, or_skip, without_namespaces
from tests.process.programs import Program, client, create, document, run, serve
from tests.process.test_strays import arguments, end

PROGRAM = Path(__file__).with_name("freezing_program.py")


def told(place: Path, command: Sequence[str]) -> dict[str, Any]:
    return document(run(str(PROGRAM), str(place), through=command))


def test_an_unprivileged_engine_freezes_what_it_has_started(tmp_path: Path) -> None:
    found = told(tmp_path, or_skip(AS_USER))
    assert "pid namespace" not in found["missing"]
    assert (found["processes"], found["frozen"], found["failures"]) == (6, 2, 0)


@pytest.mark.parametrize("kind", ["mnt", "user"])
def test_so_does_one_without_namespaces(tmp_path: Path, kind: str) -> None:
    found = told(tmp_path, or_skip(without_namespaces(kind)))
    assert "pid namespace" in found["missing"]
    assert (found["processes"], found["frozen"], found["failures"]) == (6, 2, 0)


def test_nothing_of_a_frozen_context_is_left_of_a_killed_engine(run_engine: RunEngine) -> None:
    started = arguments()

    async def scenario() -> None:
        command = serve(run_engine.data_dir, run_engine.isolation, "--freeze-after", "0.1")
        with Program(*command) as program:
            aws = client(program.line().split()[-1])
            await asyncio.to_thread(
                create,
                aws,
                Runtime=run_engine.runtimes.served[0].runtime,
                Handler="endings.start_children",
                Code={"ZipFile": sample("endings")},
            )
            event = json.dumps(started | {"then sleep": 0})
            answer = await asyncio.to_thread(aws.invoke, FunctionName="f", Payload=event)
            assert "FunctionError" not in answer
            aws.close()
            children = [pid for argument in started.values() for pid in named(argument)]
            assert len(children) == len(started)
            await eventually(lambda: set(processes_states(children)) == {"T"}, "they stand still")
            family = program.family()
            program.kill()
            await eventually(lambda: ended(family), "everything below it has ended")
            assert not any(named(argument) for argument in started.values())

    try:
        asyncio.run(scenario())
    finally:
        end(started)
