"""What a function can import, whose copy it gets, and that nothing of the engine is among it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import FUNCTIONS, package, result, write

from samovar.engine import Engine

PRELOADED = ["boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"]
RUNTIME = [*PRELOADED, "simplejson"]
ENGINES = ["click", "httptools", "msgpack", "prometheus_client", "psutil", "pytest", "rich"]
ENGINES += ["samovar", "samovar_worker", "uvicorn", "uvloop", "pip", "setuptools"]


def parcel(files: dict[str, str | bytes] | None = None, boto3: bool = False) -> bytes:
    """`imports.py` and `files`; the former begins with an import of boto3 if asked to."""
    source = (FUNCTIONS / "imports.py").read_text()
    if boto3:
        source = source.replace(
            "import concurrent.futures\n", "import boto3\nimport concurrent.futures\n", 1
        )
    return package({"imports.py": source} | (files or {}))


async def create(engine: Engine, handler: str, code: bytes, name: str = "f") -> None:
    await engine.create_function(name, code=code, handler=f"imports.{handler}", timeout=30)


@pytest.mark.parametrize("family", ["bare", "boto3"])
def test_boto3_and_what_it_needs_are_there_and_nothing_of_the_engine(
    run_engine: RunEngine, family: str
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "locate", parcel(boto3=family == "boto3"))
        seen = await result(engine, {"modules": RUNTIME + ENGINES})
        runtime = "/var/runtime" if run_engine.walled else seen["runtime"]
        for name in RUNTIME:
            assert seen["found"][name].startswith(f"{runtime}/{name}"), name
        assert [name for name in ENGINES if seen["found"][name] is not None] == []
        assert seen["at start"] == (PRELOADED if family == "boto3" else [])
        await create(engine, "traces", parcel(boto3=family == "boto3"), "traces")
        traces = await result(engine, name="traces")
        tops = {name.partition(".")[0] for name in traces["modules"] + traces["through gc"]}
        assert tops & set(ENGINES) == set()
        assert not [name for name in tops if "cython" in name]
        assert traces["main"] == {"__name__": "__main__"}

    run_engine(scenario)


def test_a_client_can_be_made_and_talks_to_the_neighbours(run_open: RunEngine) -> None:
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    client = boto3.client('s3')\n"
        "    return [client.meta.endpoint_url, client.meta.region_name, boto3.__version__]\n"
    )

    async def scenario(engine: Engine) -> None:
        await write(engine, source, timeout=30)
        assert await result(engine) == ["http://127.0.0.1:9", "us-east-1", version("boto3")]

    run_open(scenario, aws_endpoint="http://127.0.0.1:9")


# Names that the engine, the worker or a preload has modules of, too.
VENDORED = [*RUNTIME, "click", "msgpack", "psutil", "samovar", "samovar_worker", "uvloop"]
# The same for the standard library: loaded early here, but not by AWS's runtime.
STANDARD = ["ctypes", "fcntl", "platform", "resource", "select", "signal", "socket", "struct"]


def test_a_packages_own_copies_win(run_engine: RunEngine) -> None:
    files: dict[str, str | bytes] = {f"{name}/__init__.py": "" for name in VENDORED}
    # The sample itself needs the standard library's to be whole, so these ask for it.
    light: dict[str, str | bytes] = {f"{name}.py": "" for name in STANDARD}
    light["app.py"] = (
        f"import {', '.join(STANDARD)}\n"
        "def handler(event, context):\n"
        "    root = __file__.rpartition('/')[0]\n"
        f"    return [root, *(module.__file__ for module in ({', '.join(STANDARD)}))]\n"
    )

    async def scenario(engine: Engine) -> None:
        await create(engine, "locate", parcel(files, boto3=True))
        seen = await result(engine, {"modules": VENDORED})
        assert seen["at start"] == []
        assert seen["found"] == {name: f"{seen['root']}/{name}/__init__.py" for name in VENDORED}
        assert seen["number"] == 1.1
        await engine.create_function("light", code=package(light), handler="app.handler")
        root, *places = await result(engine, name="light")
        assert places == [f"{root}/{name}.py" for name in STANDARD]

    run_engine(scenario)


def test_one_vendored_module_is_enough_for_a_bare_zygote(run_engine: RunEngine) -> None:
    six = Path(inspect.getfile(importlib.import_module("six"))).read_bytes()

    async def scenario(engine: Engine) -> None:
        await create(engine, "locate", parcel({"six.py": six}, boto3=True))
        seen = await result(engine, {"modules": ["six", "boto3", "botocore"]})
        assert seen["found"]["six"] == f"{seen['root']}/six.py"
        assert seen["found"]["boto3"] == f"{seen['runtime']}/boto3/__init__.py"
        assert seen["at start"] == []
        # What boto3 has loaded from the standard library gives way as well.
        own = {f"{name}.py": "mine = True\n" for name in ("getpass", "shlex", "pprint")}
        await create(engine, "locate", parcel(dict(own), boto3=True), "preloaded")
        names = ["getpass", "shlex", "pprint", "boto3"]
        seen = await result(engine, {"modules": names}, "preloaded")
        assert seen["at start"] == ["boto3"]
        for name in names[:3]:
            assert seen["found"][name] == f"{seen['root']}/{name}.py"

    run_engine(scenario)


def test_logging_is_the_standard_librarys_as_on_aws(run_open: RunEngine) -> None:
    """The runtime's handler is in there before any code of the function is."""
    files: dict[str, str | bytes] = {
        "logging.py": "raise RuntimeError('shadowed')\n",
        "own/__init__.py": "",
        "own/logging.py": "mine = True\n",
        "own/json.py": "mine = True\n",
        "app.py": (
            "import logging, own.json\n"
            "from own import logging as mine\n"
            "def handler(event, context):\n"
            "    logging.getLogger().warning('heard')\n"
            "    return [mine.mine, own.json.mine]\n"
        ),
    }

    async def scenario(engine: Engine) -> None:
        await engine.create_function("f", code=package(files), handler="app.handler")
        assert await result(engine) == [True, True]
        assert "\theard\n" in run_open.log.text()

    run_open(scenario)


@pytest.mark.parametrize("family", ["bare", "boto3"])
def test_contexts_of_one_zygote_draw_different_numbers(run_engine: RunEngine, family: str) -> None:
    async def scenario(engine: Engine) -> None:
        names = [f"f{number}" for number in range(4)]
        await asyncio.gather(
            *(create(engine, "draw", parcel(boto3=family == "boto3"), name) for name in names)
        )
        drawn = await asyncio.gather(*(result(engine, name=name) for name in names))
        assert {one["preloaded"] for one in drawn} == {family == "boto3"}
        for what in drawn[0]["numbers"]:
            assert len({json.dumps(one["numbers"][what]) for one in drawn}) == 4, what
        again = await result(engine, name=names[0])
        assert again["numbers"]["random"] != drawn[0]["numbers"]["random"]
        assert again["numbers"]["random at import"] == drawn[0]["numbers"]["random at import"]

    run_engine(scenario)


TREE: dict[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/tea/__init__.py": "kind = 'Keemun'\n",
    "shop/tea/order.py": (
        "import importlib.resources, os, sys\n"
        "from importlib.metadata import version\n"
        "from . import kind\n"
        "from ..prices import price\n"
        "import loose.part\n"
        "if __name__ == '__main__':\n"
        "    raise RuntimeError('not a script')\n"
        "def handler(event, context):\n"
        "    here = os.path.dirname(__file__)\n"
        "    with open(os.path.join(here, 'menu.txt'), encoding='utf-8') as file:\n"
        "        menu = file.read()\n"
        "    with open('top.txt') as file:\n"
        "        top = file.read()\n"
        "    blob = importlib.resources.files('shop.tea').joinpath('blob.bin').read_bytes()\n"
        "    return [kind, price(kind), menu, top, blob.hex(), loose.part.name, __name__,\n"
        "            version('tealeaf'), sys.dont_write_bytecode]\n"
    ),
    "shop/prices.py": "def price(kind):\n    return len(kind)\n",
    "shop/tea/menu.txt": "чай\n",
    "shop/tea/blob.bin": b"\x00\xff",
    "top.txt": "from the working directory\n",
    "loose/part.py": "name = __name__\n",
    "tealeaf-1.2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: tealeaf\nVersion: 1.2.3\n",
}


def test_packages_data_files_and_metadata_of_the_functions_own(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for number, handler in enumerate(("shop/tea/order.handler", "shop.tea.order.handler")):
            name = f"f{number}"
            await engine.create_function(name, code=package(TREE), handler=handler)
            assert await result(engine, name=name) == [
                "Keemun",
                6,
                "чай\n",
                "from the working directory\n",
                "00ff",
                "loose.part",
                "shop.tea.order",
                "1.2.3",
                True,
            ]

    run_engine(scenario)


def test_processes_threads_and_pickles(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "parallel", parcel())
        seen = await result(engine, {"methods": ["fork", "spawn"]})
        assert seen["processes"] == {"fork": [42, True, 0], "spawn": [42, True, 0]}
        assert seen["threads"] is True
        assert seen["pickle"] == [8, "tea", True]
        # AWS has no /dev/shm, on which multiprocessing's queues and pools rest.
        assert (seen["queue"] is None) == (not run_engine.walled)

    run_engine(scenario)


def test_a_vendored_native_extension(run_engine: RunEngine) -> None:
    spec = find_spec("simplejson")
    assert spec is not None
    assert spec.origin is not None
    top = Path(spec.origin).parent
    files: dict[str, Any] = {
        f"simplejson/{path.name}": path.read_bytes()
        for path in top.iterdir()
        if path.suffix in (".py", ".so")
    }
    files["app.py"] = (
        "import decimal, simplejson, simplejson._speedups\n"
        "def handler(event, context):\n"
        "    native = simplejson.encoder.c_make_encoder is not None\n"
        "    return [simplejson._speedups.__file__, native, decimal.Decimal('0.10')]\n"
    )

    async def scenario(engine: Engine) -> None:
        await engine.create_function("f", code=package(files), handler="app.handler")
        outcome = await engine.invoke("f")
        file, native, _ = json.loads(outcome.payload)
        assert native
        assert file.endswith(".so")
        if run_engine.walled:
            assert file.startswith("/var/task/simplejson/_speedups.cpython-")
        assert outcome.payload.endswith(b", true, 0.10]")

    run_engine(scenario)
