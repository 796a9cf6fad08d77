"""What a spare does while it waits: run once through what its first invocation will run.

A child copies each page that it writes to, and nearly every line writes to some (reference counts).
A spare has the time for that before anybody waits; of an init with its first invocation it is half.
"""

from __future__ import annotations

import os
import sys

from msgpack import unpackb

from samovar_worker import handler, marshal
from samovar_worker.lambda_context import LambdaContext
from samovar_worker.trace import set_trace
from samovar_worker.wire import event_json, frames, messages
from samovar_worker.wire.messages import Kind

_HERE = os.path.dirname(__file__)
_EVENT = b'{"text": "t", "list": [1, 2.5, null, true], "object": {"key": "value"}}'


def rehearse() -> None:
    """Import a module, call its handler, undo all that could be seen of it."""
    sys.path.insert(0, _HERE)
    function = handler.load("rehearsed.handler")
    del sys.path[0], sys.modules["rehearsed"], sys.path_importer_cache[_HERE]
    os.environ["REHEARSAL"] = "1"
    del os.environ["REHEARSAL"]
    metadata = messages.pack(("id", 0, "arn", "Root=1", None))
    frame = frames.encode(Kind.INVOKE, 0, metadata, _EVENT)
    for whole in frames.Decoder(0).feed(frame):
        request_id, deadline, arn, trace, client_context = unpackb(whole.metadata)
        set_trace(trace)
        context = LambdaContext(request_id, deadline, arn, client_context)
        payload = marshal.dump_result(function(event_json.load_event(whole.payload), context))
        frames.encode(Kind.RESULT, 0, messages.pack((0, 0, "")), payload)
    set_trace(None)
