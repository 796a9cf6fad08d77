"""Warm invokes through the Lambda API."""

from __future__ import annotations

from functools import partial

from benchmarks.figures.contenders import floor, peer, samovar
from benchmarks.harness import Figure, Placement
from benchmarks.measures import Metric, Target
from benchmarks.probes.boto3 import Boto3Invoke
from benchmarks.probes.http import OneConnection, Wrk

_LOOP = "bare loop"
_CANNED = "canned reply"
_RUNTIMES = "two awslambdaric"
_FRAMEWORK = "functions-framework"


def build(quick: bool) -> list[Figure]:
    """The rate of 64 connections, the latency of one, and the latency of boto3."""
    wrk = partial(Wrk, connections=64)
    return [
        Figure(
            name="http-rate",
            title="HTTP warm no-op, 64 connections",
            metric=Metric.RATE,
            contenders=(
                samovar(wrk, http=True),
                floor(_LOOP, "bare_loop:BareLoop", wrk, workers=2),
                # as many workers as Samovar has contexts under this load
                floor("bare loop, 64 workers", "bare_loop:BareLoop", wrk, workers=64),
                floor(_CANNED, "canned:CannedReply", wrk),
                peer(_RUNTIMES, "runtime_api:RuntimeInterface", wrk, runtimes=2),
                peer(_FRAMEWORK, "functions_framework:FunctionsFramework", wrk),
            ),
            targets=(
                Target(0.5, _LOOP, at_least=True),
                Target(2.0, _RUNTIMES, at_least=True),
                Target(5.0, _FRAMEWORK, at_least=True),
            ),
            rounds=2 if quick else 6,
            batch=1 if quick else 4,
            warm_up=1,
        ),
        Figure(
            name="http-latency",
            title="HTTP warm no-op, 1 connection, p50",
            metric=Metric.P50,
            contenders=(
                samovar(OneConnection, http=True),
                floor(_CANNED, "canned:CannedReply", OneConnection),
                floor(_LOOP, "bare_loop:BareLoop", OneConnection, workers=2),
                peer(_RUNTIMES, "runtime_api:RuntimeInterface", OneConnection, runtimes=2),
                peer(_FRAMEWORK, "functions_framework:FunctionsFramework", OneConnection),
            ),
            targets=(Target(2.5, _CANNED),),
            rounds=3 if quick else 12,
            batch=200 if quick else 500,
            warm_up=100,
            placements=(Placement.FREE, Placement.PINNED),
        ),
        Figure(
            name="boto3",
            title="boto3 invoke, p50",
            metric=Metric.P50,
            contenders=(
                samovar(Boto3Invoke, http=True),
                floor(_CANNED, "canned:CannedReply", Boto3Invoke),
            ),
            targets=(Target(1.3, _CANNED),),
            rounds=3 if quick else 12,
            batch=50 if quick else 150,
            warm_up=20,
        ),
    ]
