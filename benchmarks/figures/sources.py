"""Queues, streams and topics that are read for functions, beside loops of the same client that
read, and delete or write down how far they are."""

from __future__ import annotations

from typing import Any

from benchmarks.figures.contenders import SAMOVAR
from benchmarks.harness import Contender, Figure
from benchmarks.measures import Metric, Role, Target
from benchmarks.probes.sources import Drained, Lag

_BARE, _SUBJECTS = "receive and delete", "benchmarks.source_subjects"
_READER, _STREAMS = "get and commit", "benchmarks.stream_subjects"
_MEMBER, _TOPICS = "consume, pipe and commit", "benchmarks.topic_subjects"


def build(quick: bool) -> list[Figure]:
    """The rate of one mapping while there is a backlog, and the time from a message to its handler;
    moto, or a mock of Kafka, is the source's other end, in a process of its own for each."""
    return [
        Figure(
            name="source-rate",
            title="Messages of a queue of SQS read, run and deleted, one mapping",
            metric=Metric.RATE,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_SUBJECTS}:SamovarSource", Drained),
                Contender(_BARE, Role.FLOOR, f"{_SUBJECTS}:BareSource", Drained),
            ),
            targets=(Target(0.7, _BARE, at_least=True),),
            rounds=2 if quick else 6,
            # moto is slower the more messages a queue has had: all have the same history.
            batch=50 if quick else 100,
            warm_up=20,
        ),
        Figure(
            name="source-lag",
            title="A message sent until its handler begins, p50",
            metric=Metric.P50,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_SUBJECTS}:SamovarSource", Lag, _LAG),
                Contender(_BARE, Role.FLOOR, f"{_SUBJECTS}:BareSource", Lag),
            ),
            targets=(Target(1.5, _BARE),),
            rounds=2 if quick else 6,
            batch=20 if quick else 100,
            warm_up=10,
        ),
        Figure(
            name="stream-rate",
            title="Records of a shard of Kinesis read, run and passed, one mapping",
            metric=Metric.RATE,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_STREAMS}:SamovarReader", Drained),
                Contender(_READER, Role.FLOOR, f"{_STREAMS}:BareReader", Drained),
            ),
            targets=(Target(0.7, _READER, at_least=True),),
            rounds=2 if quick else 6,
            # moto looks at all records that a shard has had in each read.
            batch=2000 if quick else 5000,
            warm_up=500,
        ),
        Figure(
            name="stream-lag",
            title="A record put until its handler begins, p50",
            metric=Metric.P50,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_STREAMS}:SamovarReader", Lag, _LAG),
                Contender(_READER, Role.FLOOR, f"{_STREAMS}:BareReader", Lag),
            ),
            targets=(Target(1.5, _READER),),
            rounds=2 if quick else 6,
            batch=20 if quick else 100,
            warm_up=10,
        ),
        Figure(
            name="topic-rate",
            title="Records of a partition of Kafka read, run and committed, one mapping",
            metric=Metric.RATE,
            contenders=(
                Contender(SAMOVAR, Role.SAMOVAR, f"{_TOPICS}:SamovarMember", Drained),
                Contender(_MEMBER, Role.FLOOR, f"{_TOPICS}:PipedMember", Drained),
                Contender("consume and commit", Role.FLOOR, f"{_TOPICS}:BareMember", Drained),
            ),
            targets=(Target(0.2, _MEMBER, at_least=True),),
            rounds=2 if quick else 6,
            batch=2000 if quick else 20_000,
            warm_up=500,
        ),
    ]


_LAG: dict[str, Any] = {"lag": True}
