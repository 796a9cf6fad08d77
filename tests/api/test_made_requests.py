"""Requests made from the API model, for every operation, sent as they are to a real engine: every
one has a reply, and no reply is a surprise.

They are the same ones in every run; `MADE_REQUESTS=500` makes that many for each operation, and
others every time (a twentieth of it for those that are not carried out; more than a few hundred
need `-o faulthandler_timeout=0`).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop
from botocore.model import OperationModel
from hypothesis import HealthCheck, given, note, settings
from tests.api.coverage import CARRIED_OUT
from tests.api.house import ROLE, package
from tests.api.made.asking import Asker, Reply, check
from tests.api.made.requests import Made, furniture, oddities, requests
from tests.api.served import RUNTIME

from samovar.doors.http.api_model import operation_models
from samovar.doors.http.routes import lambda_router
from samovar.doors.http.serving import serving
from samovar.engine import Engine
from samovar.errors import ClientError
from samovar.model.function import Configuration
from samovar.registry.functions import NewFunction, ZipBytes
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings

PARTS = 4
REFUSED = sorted(set(operation_models()) - CARRIED_OUT)

CONFIGURING = {"CreateFunction", "UpdateFunctionConfiguration"}
SHOWN = {"Description", "Handler", "Role", "Runtime", "Timeout", "MemorySize", "EphemeralStorage"}

ASKED = os.environ.get("MADE_REQUESTS")
EXAMPLES = int(ASKED or 60)
EACH = int(ASKED or 12)  # for each parameter: of an operation with one there is less to see
FEW = max(8, EXAMPLES // 20)  # of an operation that is refused there is less to see


class Bench:
    """An engine, its door and a client; every call runs the loop for as long as it takes."""

    def __init__(self, data_dir: Path, runtimes: Runtimes) -> None:
        self._settings = Settings(data_dir=data_dir, port=0, spares=0, isolation=Isolation.NONE)
        self._runtimes = runtimes
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._stack = AsyncExitStack()
        self.replies: Counter[tuple[str, int]] = Counter()

    def __enter__(self) -> Bench:
        self._runner.run(self._open())
        return self

    async def _open(self) -> None:
        self.engine = Engine(self._settings, runtimes=self._runtimes)
        await self._stack.enter_async_context(self.engine)
        endpoint = await self._stack.enter_async_context(serving(self.engine))
        port = int(endpoint.rpartition(":")[2])
        self._asker = await self._stack.enter_async_context(Asker(port))

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def ask(self, name: str, made: Made) -> Reply:
        reply = self._runner.run(self._asked(name, made))
        self.replies[name, reply.status] += 1
        return reply

    async def _asked(self, name: str, made: Made) -> Reply:
        await self._prepare()
        for needed in furniture(name) if name in CARRIED_OUT else ():
            await self._asker.ask(needed.encoded())
        before = self._functions()
        reply = await self._asker.ask(made.encoded())
        if reply.status >= 400:
            assert self._functions() == before, "a request that was refused has changed something"
        return reply

    async def _prepare(self) -> None:
        """The function `f`, which most requests are about, and no other one."""
        registry = self.engine.registry
        for name in {item.name for item in registry.list().functions} - {"f"}:
            await registry.delete(name)
        try:
            registry.get("f")
        except ClientError:
            configuration = Configuration(handler="app.handler", runtime=RUNTIME, role=ROLE)
            new = NewFunction("f", configuration, ZipBytes(package()), {})
            await registry.create(new)
            await registry.wait_settled("f")
            await registry.versions.publish("f")
            await registry.wait_settled("f", "1")
        await registry.wait_settled("f")

    def _functions(self) -> dict[str, object]:
        registry = self.engine.registry
        return {item.name: (item, registry.tags_of(item.arn)) for item in registry.list().functions}


def try_out(bench: Bench, name: str, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=ASKED is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(operation_models()[name]))
    def holds(made: Made) -> None:
        note(f"{name}: {made.encoded()[:2000]!r}")
        judge(made, bench.ask(name, made), note)

    holds()
    for odd in oddities(operation_models()[name]):
        try:
            judge(odd, bench.ask(name, odd))
        except Exception as error:
            error.add_note(f"{name}: {odd.encoded()[:2000]!r}")
            raise


def judge(made: Made, reply: Reply, tell: Callable[[str], None] = print) -> None:
    """Raise AssertionError for what the reply to `made` may not be."""
    tell(f"{reply.status} {reply.headers} {reply.body[:2000]!r}")
    meant = meant_by(made)
    if meant is None:
        assert reply.code in ("UnknownOperationException", "SerializationException")
        return
    check(meant, reply, meant.name in CARRIED_OUT)
    if meant.name in CONFIGURING and reply.status < 300:
        check_taken(made, reply)


def check_taken(made: Made, reply: Reply) -> None:
    """What the request gave is what the function now has."""
    given = json.loads(made.body) if made.body.strip() else {}
    for name in SHOWN & set(given):
        if given[name] is not None:
            assert reply.json[name] == given[name]
    if given.get("Environment") is not None:
        variables = given["Environment"].get("Variables") or {}
        assert reply.json["Environment"] == {"Variables": variables}


def meant_by(made: Made) -> OperationModel | None:
    """The operation at the path: an odd label may well make another one of it, or none."""
    path, _, query = made.target.partition("?")
    try:
        return lambda_router().match(made.method, path, query).operation
    except ClientError:
        return None


@pytest.mark.parametrize("name", sorted(CARRIED_OUT))
def test_an_operation_that_is_carried_out(
    tmp_path: Path, interpreters: Runtimes, name: str
) -> None:
    with Bench(tmp_path, interpreters) as bench:
        shape = operation_models()[name].input_shape
        try_out(bench, name, min(EXAMPLES, EACH * (1 + len(shape.members))))
    statuses = {status for _, status in bench.replies}
    # A code signing configuration and a mapping have names that nobody can know beforehand, and
    # what a mapping reads is a neighbour's, of which there is none here.
    unknown = {"CodeSigningConfigArn", "UUID"} & set(shape.required_members)
    if not unknown and name != "CreateEventSourceMapping":
        assert any(status < 300 for status in statuses), f"none went through: {bench.replies}"
    if shape.members:
        assert any(400 <= status < 500 for status in statuses), f"all did: {bench.replies}"


@pytest.mark.parametrize("part", range(PARTS))
def test_the_operations_that_are_not(tmp_path: Path, interpreters: Runtimes, part: int) -> None:
    with Bench(tmp_path, interpreters) as bench:
        for name in REFUSED[part::PARTS]:
            try_out(bench, name, FEW)
