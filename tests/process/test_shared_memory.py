"""Large payloads go through memory that a function can reach: it harms nobody by that."""

from __future__ import annotations

import asyncio
import json

from tests.process.conftest import RunEngine
from tests.process.house import create, result

from samovar.engine import Engine


def test_a_function_can_neither_resize_it_nor_spoil_it_for_others(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "shared_memory.resize", "resize")
        await create(engine, "shared_memory.spoil", "spoil")
        await create(engine, "shared_memory.size", "other")
        refused = "Operation not permitted"
        large = {"text": "x" * 100_000}
        for event in (None, large):
            assert await result(engine, event, "resize") == {"tried": [refused] * 5, "same": True}
        for _ in range(2):
            spoilt, other = await asyncio.gather(
                engine.invoke("spoil", large), engine.invoke("other", {"size": 5_000_000})
            )
            assert spoilt.payload == b'"' + b"y" * 100_000 + b'"'
            assert other.payload == b'"' + b"x" * 4_999_998 + b'"'

    run_engine(scenario)


def test_a_large_event_is_read_within_a_few_times_its_size(run_open: RunEngine) -> None:
    """One long text and many brackets: looking for their depth once took 750 MB."""

    async def scenario(engine: Engine) -> None:
        await create(engine, "shared_memory.size")
        text = b"a" * 6_000_000
        outcome = await engine.invoke(
            "f", b'{"text":"' + text + b'","b":[[]' + b",[]" * 2000 + b"]}"
        )
        assert json.loads(outcome.payload) == len(text)
        assert outcome.max_memory_used < 100

    run_open(scenario)
