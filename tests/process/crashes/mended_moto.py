"""A moto server that does as AWS in what tests of order look at:

    python -m tests.process.crashes.mended_moto -H 127.0.0.1 -p 0

Shards of Kinesis that are split or merged keep their records and get no more. moto moves these into
the children, under other sequence numbers, where a reader that goes by them finds them a second
time, and puts what comes later into the parents.

A group of a FIFO queue begins with its oldest message when what was received of it reappears. moto
gives the last one first, and to two at once what they ask for at once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

from moto.kinesis.models import Stream
from moto.server import main
from moto.sqs.models import Queue, SQSBackend

_STEP = 0.02  # seconds between two looks of a long poll


def _keeping(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def resharded(stream: Any, *given: Any) -> None:
        kept = {name: shard.records for name, shard in stream.shards.items()}
        for shard in stream.shards.values():
            shard.records = OrderedDict()
        try:
            original(stream, *given)
        finally:
            for name, shard in stream.shards.items():
                shard.records = kept.get(name, OrderedDict())

    return resharded


def _among_open(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def found(stream: Any, *given: Any) -> Any:
        shards = {name: shard for name, shard in stream.shards.items() if shard.is_open}
        return original(SimpleNamespace(shards=shards), *given)

    return found


def _reappeared(messages: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """All that is visible is in flight no more, before any of it is given."""

    @wraps(messages)
    def visible(queue: Any) -> list[Any]:
        found = messages(queue)
        queue.pending_messages.difference_update(found)
        return found

    return visible


def _one_by_one(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Long polls look again and again, and never two at once."""
    lock = threading.Lock()

    @wraps(original)
    def receive(backend: Any, queue: str, count: int, wait: int, *given: Any) -> list[Any]:
        until = time.monotonic() + wait
        while True:
            with lock:
                found = original(backend, queue, count, 0, *given)
            if found or time.monotonic() >= until:
                return found
            time.sleep(_STEP)

    return receive


if __name__ == "__main__":
    for owner, name, mended in (
        (Stream, "split_shard", _keeping),
        (Stream, "merge_shards", _keeping),
        (Stream, "get_shard_for_key", _among_open),
        (SQSBackend, "receive_message", _one_by_one),
    ):
        setattr(owner, name, mended(getattr(owner, name)))
    Queue.messages = property(_reappeared(Queue.messages.fget))  # type: ignore[method-assign]
    main()
