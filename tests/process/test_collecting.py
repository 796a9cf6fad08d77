"""Packages that nothing refers to any more go while the engine runs, and not under running code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import Gate, eventually, package, result

from samovar.engine import Engine
from samovar.registry import kept_packages

WAITS = """
import socket
def handler(event, context):
    with socket.create_connection(("127.0.0.1", event["port"])) as connection:
        connection.sendall(b"here\\n")
        connection.recv(1)
    import later
    return later.X
"""
SAYS = "def handler(event, context):\n    return {}\n"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_packages, "COLLECT_AFTER", 0.02)


def kept(data_dir: Path) -> tuple[int, int]:
    """How many zips and trees there are."""
    code = data_dir / "code"
    return len(list((code / "zip").iterdir())), len(list((code / "tree").iterdir()))


def test_deploying_often_does_not_fill_the_disk(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        data_dir = run_engine.data_dir
        layer = await engine.publish_layer("l", content=package({"python/m.py": "x = 0\n"}))
        other = await engine.publish_layer("m", content=package({"python/n.py": "x = 0\n"}))
        for number in range(6):
            code = package({"app.py": SAYS.format(number)})
            if number == 0:
                await engine.create_function("f", code=code, handler="app.handler")
            else:
                await engine.update_function("f", code=code)
            assert await result(engine) == number
        await eventually(lambda: kept(data_dir) == (3, 3), "the old code is collected")
        await engine.update_function("f", layers=[layer.version_arn, other.version_arn])
        assert await result(engine) == 5
        assert kept(data_dir) == (3, 4)  # and the layers merged
        await engine.update_function("f", layers=[layer.version_arn])
        await engine.registry.layers.delete("m", 1)
        await eventually(lambda: kept(data_dir) == (2, 2), "the layer and what was merged go")
        assert await result(engine) == 5
        await engine.delete_function("f")
        await engine.registry.layers.delete("l", 1)
        await eventually(lambda: kept(data_dir) == (0, 0), "everything goes")
        tmp = data_dir / "code" / "tmp"
        await eventually(lambda: not list(tmp.iterdir()), "and its place is free")

    run_engine(scenario)


def test_what_still_runs_keeps_its_files(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        data_dir = run_engine.data_dir
        code = package({"app.py": WAITS, "later.py": "X = 'whole'\n"})
        await engine.create_function("f", code=code, handler="app.handler", timeout=30)
        async with Gate() as gate:
            running = gate.invoke(engine)
            await gate.reached(1)
            for number in range(3):
                await engine.update_function("f", code=package({"app.py": SAYS.format(number)}))
            await eventually(lambda: kept(data_dir) == (2, 2), "what nobody runs is collected")
            await engine.delete_function("f")
            await eventually(lambda: kept(data_dir) == (1, 1), "the deleted code is collected")
            gate.open()
            outcome = await running
            assert json.loads(outcome.payload) == "whole"
        await eventually(lambda: kept(data_dir) == (0, 0), "and then what ran")

    run_engine(scenario)
