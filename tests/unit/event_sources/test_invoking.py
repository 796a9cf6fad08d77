"""Batches on their way into functions, and chains of calls that come by a queue."""

from __future__ import annotations

import asyncio

from tests.unit.scheduler.driver_house import ARN, House, version

from samovar.errors import AWS, ClientError
from samovar.event_sources.invoking import BatchInvoker
from samovar.invocation import lineage
from samovar.model.event_source import EventSourceMapping
from samovar.registry.recursion import RecursiveLoop

MAPPING = EventSourceMapping("uuid", ARN + "f:live", "arn:aws:sqs:us-east-1:000000000000:q")


def test_a_chain_of_calls_is_counted_and_stopped_where_it_is_a_loop() -> None:
    async def run() -> None:
        house = House()
        rules = [RecursiveLoop.TERMINATE]
        stopped: list[str] = []

        def in_loop(name: str) -> RecursiveLoop:
            assert name == "f"
            if not rules:
                raise ClientError(AWS.RESOURCE_NOT_FOUND, "Function not found")
            return rules[0]

        invoker = BatchInvoker(
            lambda name, _: version(name), house.scheduler, house.clock, in_loop, stopped.append
        )
        traces: list[str] = []
        submit = house.scheduler.submit

        def listening(invocation, of):  # type: ignore[no-untyped-def]
            traces.append(invocation.trace)
            return submit(invocation, of)

        house.scheduler.submit = listening  # type: ignore[method-assign]
        await invoker.invoke(MAPPING, b'"now"')
        begun = traces[0]
        for count in range(1, lineage.LIMIT):
            assert not invoker.stops(MAPPING, traces[-1])
            await invoker.invoke(MAPPING, b'"now"', traces[-1])
            assert lineage.seen(traces[-1], ARN + "f") == count
            assert traces[-1].startswith(begun.partition(";")[0]), "it is the same chain"
        assert invoker.stops(MAPPING, traces[-1])
        assert stopped == ["f"]
        for rule in ([RecursiveLoop.ALLOW], []):
            rules[:] = rule
            assert not invoker.stops(MAPPING, traces[-1])
        assert stopped == ["f"]
        await house.stop()

    asyncio.run(run())
