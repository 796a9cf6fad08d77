"""Functions that hold on to records of a stream: other shards go on, and a stop waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse
from tests.api.stream_house import deploy, heard, mapped, play, standing
from tests.api.test_kinesis_source import Stream
from tests.api.test_sqs_source import comes


@pytest.fixture
def stream(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Stream]:
    made = Stream(moto, request.node.name)
    with standing(made):
        made.create(getattr(request, "param", 1))
        yield made


@pytest.mark.parametrize("stream", [2], indirect=True)
def test_a_function_that_hangs_for_one_shard_holds_up_no_other(
    serve: Serve, stream: Stream
) -> None:
    async def scene(it: ServedHouse) -> None:
        await deploy(it, stream, Timeout=60)
        await mapped(it, stream, BatchSize=1)
        await asyncio.to_thread(stream.put, "held", "behind")
        await heard(stream, lambda bodies: bodies == ["held"])
        for text in ("one", "two", "three"):
            await asyncio.to_thread(stream.put, text, shard=1)
            await heard(stream, lambda bodies, text=text: text in bodies)  # type: ignore[misc]
        assert stream.bodies == ["held", "one", "two", "three"]
        stream.let_go()
        await heard(stream, lambda bodies: bodies[4:] == ["behind"])

    play(serve, stream, scene)


def test_a_stop_waits_for_what_runs_and_writes_it_down(serve: Serve, stream: Stream) -> None:
    async def first(it: ServedHouse) -> None:
        await deploy(it, stream, Timeout=60)
        await mapped(it, stream, BatchSize=1)
        await asyncio.to_thread(stream.put, "held", "after")
        await heard(stream, lambda bodies: bodies == ["held"])
        stopping = asyncio.ensure_future(it.engine.stop())
        await comes(is_stopping(it))
        assert not stopping.done()
        stream.let_go()
        await stopping
        assert stream.bodies == ["held"]

    async def second(it: ServedHouse) -> None:
        await heard(stream, lambda bodies: "after" in bodies)
        assert stream.bodies == ["held", "after"]

    play(serve, stream, first)
    play(serve, stream, second)


def is_stopping(it: ServedHouse) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return it.engine.not_ready() is not None

    return there
