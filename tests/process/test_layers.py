"""Layers at /opt: whose copy a function gets, what it can't change, and how long it is there."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import FUNCTIONS, Gate, create, package, result, sample, write
from tests.unit.registry.zips import entry, link, zip_of

from samovar.blocking import BlockingEngine
from samovar.engine import Engine
from samovar.errors import EngineError

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"python/lib/{PYTHON}/site-packages"


def whose(text: str) -> str:
    return f"WHOSE = {text!r}\n"


async def layer(engine: Engine, name: str, files: dict[str, str | bytes]) -> str:
    return (await engine.publish_layer(name, content=package(files))).version_arn


async def layers(engine: Engine, **of: dict[str, str | bytes]) -> list[str]:
    return [await layer(engine, name, files) for name, files in of.items()]


async def deploy(
    engine: Engine, handler: str, arns: list[str], name: str = "f", **more: Any
) -> None:
    await create(engine, f"layered.{handler}", name, layers=arns, **more)


async def look(engine: Engine, *modules: str, name: str = "f") -> dict[str, Any]:
    seen: dict[str, Any] = await result(engine, {"modules": modules or ["tea"]}, name)
    return seen


def test_later_layers_win_and_the_functions_own_code_over_all(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        arns = await layers(
            engine,
            first={
                "python/tea.py": whose("first"),
                "python/pot.py": whose("first"),
                f"{SITE}/cup.py": whose("first's site-packages"),
                "python/mine.py": whose("first"),
                "python/box/__init__.py": "",
                "python/box/a.py": whose("first"),
                "python/box/b.py": whose("first"),
            },
            second={
                "python/tea.py": whose("second"),
                "python/cup.py": whose("second"),
                "python/box/b.py": whose("second"),
                "python/jmespath.py": whose("second"),
            },
        )
        source = (FUNCTIONS / "layered.py").read_bytes()
        code = package({"layered.py": source, "mine.py": whose("its own")})
        await engine.create_function("f", code=code, handler="layered.look", layers=arns)
        names = ["tea", "pot", "cup", "mine", "box.a", "box.b", "jmespath"]
        seen = await look(engine, *names)
        assert {name: seen["found"][name][0] for name in names} == {
            "tea": "second",
            "pot": "first",
            "cup": "first's site-packages",
            "mine": "its own",
            "box.a": "first",
            "box.b": "second",
            "jmespath": "second",  # over the runtime's
        }
        path = seen["sys.path"]
        root = path[2].removesuffix("/python")
        assert path[1:3] == [f"{root}/{SITE}", f"{root}/python"]
        assert path[3].endswith("/runtime")
        assert seen["PATH"][-1] == f"{root}/bin"
        assert seen["libraries"][-1] == f"{root}/lib"
        if run_engine.walled:
            assert (path[0], root) == ("/var/task", "/opt")
            assert path[3] == "/var/runtime"
            assert path[4].startswith("/var/lang/lib")
            assert seen["opt"] == ["python"]
        else:
            assert Path(root).is_relative_to(run_engine.data_dir)

        await deploy(engine, "look", arns[::-1], "turned")
        assert (await look(engine, name="turned"))["found"]["tea"][0] == "first"
        await deploy(engine, "look", [], "plain")
        plain = await look(engine, name="plain")
        assert plain["found"] == {"tea": None}
        if run_engine.walled:
            assert plain["opt"] == ["lib"]

    run_engine(scenario, spares=2)


def test_a_layer_is_over_a_preloaded_boto3_and_the_workers_own_modules(
    run_engine: RunEngine,
) -> None:
    """Names that a preload, or the worker, has loaded before the layer is there."""
    own = ["six", "urllib3", "dateutil"]
    standard = ["platform", "selectors", "uuid"]

    async def scenario(engine: Engine) -> None:
        arn = await layer(engine, "own", {f"python/{name}.py": whose("the layer") for name in own})
        other = await layer(
            engine, "std", {f"{SITE}/{name}.py": whose("the layer") for name in standard}
        )
        source = "if 0:\n    import boto3\n" + (FUNCTIONS / "layered.py").read_text()
        code = package({"layered.py": source})
        for name, given in (("f", [arn]), ("g", [other]), ("none", [])):
            function = await engine.create_function(
                name, code=code, handler="layered.look", layers=given, timeout=30
            )
            assert function.code.preload == "boto3"
            assert function.preload == ("bare" if name == "f" else "boto3")
        found = (await look(engine, *own))["found"]
        assert {name: found[name][0] for name in own} == dict.fromkeys(own, "the layer")
        # `uuid` is loaded by the preload alone, `platform` and `selectors` by the worker, too.
        found = (await look(engine, *standard, name="g"))["found"]
        assert {name: found[name][0] for name in standard} == dict.fromkeys(standard, "the layer")
        found = (await look(engine, *own, *standard, name="none"))["found"]
        assert {found[name][0] for name in (*own, *standard)} == {None}

    run_engine(scenario)


def a_library() -> bytes:
    """Some shared library that has `floor`: the one that Python itself is linked with."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    found = {line.split()[-1] for line in maps if "/libm." in line or "/libm-" in line}
    return Path(min(found)).read_bytes()


def test_programs_and_shared_libraries_of_a_layer(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        content = zip_of(
            (entry("bin/teapot", 0o100755), b"#!/bin/sh\necho 'short and stout'\n"),
            (entry("lib/libteapot.so.1", 0o100755), a_library()),
            link("lib/libteapot.so", "libteapot.so.1"),
        )
        arn = (await engine.publish_layer("l", content=content)).version_arn
        other = await layer(engine, "other", {"python/tea.py": ""})
        for given in ([arn], [arn, other]):
            name = f"f{len(given)}"
            await deploy(engine, "brew", given, name)
            assert await result(engine, name=name) == "short and stout\n"
            if run_engine.walled:
                await deploy(engine, "load", given, f"load-{name}")
                assert await result(engine, name=f"load-{name}") == [
                    3.0,
                    ["/opt/lib/libteapot.so.1"],
                ]

    run_engine(scenario)


def test_nothing_of_a_layer_can_be_changed(run_walled: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        one, two = await layers(
            engine, one={"python/tea.py": whose("one")}, two={"python/pot.py": ""}
        )
        for name, given in (("f", [one]), ("g", [one, two])):
            await deploy(engine, "touch", given, name)
            assert await result(engine, {"place": "/opt"}, name) == {
                "write": "Read-only file system",
                "create": "Read-only file system",
                "remove": "Read-only file system",
                "mode": "0o40755",
            }

    run_walled(scenario)


def test_five_layers_that_are_deleted_outlive_it_and_a_restart(run_engine: RunEngine) -> None:
    async def first(engine: Engine) -> None:
        arns = []
        for number in range(5):
            files: dict[str, str | bytes] = {
                "python/tea.py": whose(str(number)),
                f"python/m{number}.py": whose("there"),
            }
            arns.append(await layer(engine, f"l{number}", files))
        await deploy(engine, "look", arns)
        await used(engine)
        for number in range(5):
            await engine.registry.layers.delete(f"l{number}", 1)
        assert await engine.registry.collect() == ()
        await engine.update_function("f", timeout=9)  # new contexts
        await used(engine)

    async def used(engine: Engine) -> None:
        found = (await look(engine, "tea", *(f"m{number}" for number in range(5))))["found"]
        assert [found[name][0] for name in found] == ["4", *["there"] * 5]

    run_engine(first)
    for tree in (run_engine.data_dir / "code" / "tree").iterdir():
        if (tree / "python" / "m4.py").exists() and (tree / "python" / "m0.py").exists():
            tree.rename(run_engine.data_dir / "merged-before")  # made again when it is missing
    run_engine(used)
    assert (run_engine.data_dir / "merged-before").is_dir()


def test_an_update_of_layers_reaches_the_next_invocation(run_engine: RunEngine) -> None:
    source = (
        "import socket\n"
        "import tea\n"
        "def handler(event, context):\n"
        "    if 'port' in event:\n"
        "        with socket.create_connection(('127.0.0.1', event['port'])) as gate:\n"
        "            gate.sendall(b'in\\n')\n"
        "            gate.recv(1)\n"
        "    import pot\n"  # looked for only now: in the layers that this context began with
        "    return [tea.WHOSE, pot.WHOSE]\n"
    )

    async def scenario(engine: Engine) -> None:
        old, new = [
            await layer(engine, "l", {"python/tea.py": whose(text), "python/pot.py": whose(text)})
            for text in ("old", "new")
        ]
        await write(engine, source, layers=[old], timeout=60)
        async with Gate() as gate:
            running = gate.invoke(engine)
            await gate.reached(1)
            await engine.update_function("f", layers=[new])
            await engine.registry.layers.delete("l", 1)
            assert await result(engine) == ["new", "new"]
            gate.open()
            assert json.loads((await running).payload) == ["old", "old"]
        outcome = await engine.invoke("f", {})
        assert outcome.start.value == "warm"
        await engine.update_function("f", layers=[])
        outcome = await engine.invoke("f", {})
        assert json.loads(outcome.payload)["errorType"] == "Runtime.ImportModuleError"

    run_engine(scenario)


def test_a_context_whose_process_died_still_has_its_layers(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        arns = await layers(engine, one={"python/tea.py": whose("one")}, two={"python/x.py": ""})
        await deploy(engine, "die", arns)
        assert (await engine.invoke("f", {"die": True})).function_error
        outcome = await engine.invoke("f", {})
        assert outcome.payload == b'"one"'
        assert len(run_engine.log.streams()) == 1

    run_engine(scenario)


def test_layers_and_shared_directories_of_the_host_together(
    run_engine: RunEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function made of a module finds its neighbours behind its layers."""
    tmp_path.chmod(0o755)  # functions are another user
    (tmp_path / "lay_app.py").write_text(
        "import lay_near, tea\ndef handler(event, context):\n"
        "    return [lay_near.WHOSE, tea.WHOSE]\n"
    )
    (tmp_path / "lay_near.py").write_text(whose("the host"))
    (tmp_path / "tea.py").write_text(whose("the host"))
    monkeypatch.syspath_prepend(tmp_path)

    async def scenario(engine: Engine) -> None:
        arn = await layer(engine, "l", {"python/tea.py": whose("the layer")})
        await engine.create_function("f", code="lay_app:handler", layers=[arn])
        assert await result(engine) == ["the host", "the layer"]
        await engine.create_function("g", code="lay_app:handler")
        assert await result(engine, name="g") == ["the host", "the host"]

    run_engine(scenario)


def test_a_link_of_one_layer_does_not_lead_another_ones_files_astray(
    run_engine: RunEngine,
) -> None:
    """The second layer has a directory where the first has a link to its neighbour."""

    async def scenario(engine: Engine) -> None:
        first = zip_of((entry("real/tea.py"), whose("first").encode()), link("python", "real"))
        second = package({"python/pot.py": whose("second"), "python/tea.py": whose("second")})
        arns = [
            (await engine.publish_layer(name, content=content)).version_arn
            for name, content in (("first", first), ("second", second))
        ]
        await deploy(engine, "look", arns)
        found = (await look(engine, "tea", "pot"))["found"]
        assert [found["tea"][0], found["pot"][0]] == ["second", "second"]
        trees = list((run_engine.data_dir / "code" / "tree").iterdir())
        (merged,) = [
            tree
            for tree in trees
            if (tree / "python" / "pot.py").exists() and (tree / "real").exists()
        ]
        assert (merged / "real" / "tea.py").read_text() == whose("first")
        await deploy(engine, "look", arns[:1], "alone")
        assert (await look(engine, name="alone"))["found"]["tea"][0] == "first"

    run_engine(scenario)


def test_a_layer_whose_package_is_gone_is_named(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        (arn,) = await layers(engine, one={"python/tea.py": ""})
        await deploy(engine, "look", [arn])
        sha256 = engine.registry.get("f").configuration.layers[0].sha256
        code = run_engine.data_dir / "code"
        (code / "zip" / f"{sha256}.zip").unlink()
        (code / "tree" / sha256).rename(run_engine.data_dir / "moved")
        with pytest.raises(EngineError, match=sha256):
            await engine.invoke("f", {})
        await engine.update_function("f", layers=[])
        assert (await look(engine))["found"] == {"tea": None}

    run_engine(scenario)


def test_each_runtime_has_its_own_site_packages(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        served = [interpreter.runtime for interpreter in engine.registry.runtimes.served]
        arn = await layer(
            engine, "l", {f"python/lib/{name}/site-packages/tea.py": whose(name) for name in served}
        )
        for name in served:
            await deploy(engine, "look", [arn], name.replace(".", "_"), runtime=name, timeout=30)
            found = (await look(engine, name=name.replace(".", "_")))["found"]
            assert found["tea"][0] == name

    run_engine(scenario)


def test_without_namespaces_it_is_said_that_layers_are_not_at_opt(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        assert "sys.path" in engine.report().walls_missing["layers at /opt"]

    run_open(scenario)


def test_many_functions_of_the_same_layers_start_at_once(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        arns = await layers(engine, one={"python/tea.py": whose("1")}, two={"python/pot.py": ""})
        names = [f"f{number}" for number in range(4)]
        code = sample("layered")
        await asyncio.gather(
            *(
                engine.create_function(name, code=code, handler="layered.look", layers=arns)
                for name in names
            )
        )
        seen = await asyncio.gather(*(look(engine, name=name) for name in names))
        assert [one["found"]["tea"][0] for one in seen] == ["1"] * 4
        trees = list((run_engine.data_dir / "code" / "tree").iterdir())
        assert len(trees) == 4  # the code, two layers, and the two merged: once

    run_engine(scenario)


def test_a_program_without_a_loop(run_engine: RunEngine, tmp_path: Path) -> None:
    """With the layer's files from a directory, and from a zip's path."""
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "tea.py").write_text(whose("a directory"))
    zip_file = tmp_path / "layer.zip"
    zip_file.write_bytes(package({"python/pot.py": whose("a zip")}))
    with BlockingEngine(run_engine.settings()) as engine:
        arns = [
            engine.publish_layer("dir", content=tmp_path / "layer", description="d").version_arn,
            engine.publish_layer("zip", content=zip_file).version_arn,
        ]
        engine.create_function("f", code=sample("layered"), handler="layered.look", layers=arns)
        outcome = engine.invoke("f", {"modules": ["tea", "pot"]})
        found = json.loads(outcome.payload)["found"]
        assert [found["tea"][0], found["pot"][0]] == ["a directory", "a zip"]
