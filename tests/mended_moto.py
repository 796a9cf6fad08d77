"""A moto server that does as AWS where tests look:

    python -m tests.mended_moto -H 127.0.0.1 -p 0

Shards of Kinesis that are split or merged keep their records and get no more. moto moves these into
the children, under other sequence numbers, where a reader that goes by them finds them a second
time, and puts what comes later into the parents.

A group of a FIFO queue begins with its oldest message when what was received of it reappears. moto
gives the last one first.

Requests that come at once lose nothing of a queue, and get nothing twice. In moto each of its
threads reads a queue's list, and some put another in its place: a message that is sent while one is
deleted is gone, one that was deleted is back, and two who ask at once get the same.
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


_queues = threading.RLock()


def _alone(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def called(*given: Any, **named: Any) -> Any:
        with _queues:
            return original(*given, **named)

    return called


def _looking_alone(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Long polls look again and again, and nobody is kept out while they wait."""

    @wraps(original)
    def receive(backend: Any, queue: str, count: int, wait: int, *given: Any) -> list[Any]:
        until = time.monotonic() + wait
        while True:
            with _queues:
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
        (SQSBackend, "receive_message", _looking_alone),
        (SQSBackend, "send_message", _alone),
        (SQSBackend, "send_message_batch", _alone),
        (SQSBackend, "delete_message", _alone),
        (SQSBackend, "delete_message_batch", _alone),
        (SQSBackend, "change_message_visibility", _alone),
        (SQSBackend, "change_message_visibility_batch", _alone),
        (SQSBackend, "get_queue_attributes", _alone),
    ):
        setattr(owner, name, mended(getattr(owner, name)))
    Queue.messages = property(_reappeared(Queue.messages.fget))  # type: ignore[method-assign]
    main()
