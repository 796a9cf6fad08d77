"""A moto server whose shards are split and merged as those of AWS are:

    python -m tests.process.crashes.resharding_moto -H 127.0.0.1 -p 0

Parents keep their records, and get no more. moto's own moves them into the children, under other
sequence numbers, where a reader that goes by them finds them a second time; and what comes later
goes into the parents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

from moto.kinesis.models import Stream
from moto.server import main


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


if __name__ == "__main__":
    Stream.split_shard = _keeping(Stream.split_shard)  # type: ignore[method-assign]
    Stream.merge_shards = _keeping(Stream.merge_shards)  # type: ignore[method-assign]
    Stream.get_shard_for_key = _among_open(  # type: ignore[method-assign]
        Stream.get_shard_for_key
    )
    main()
