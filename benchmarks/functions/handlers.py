"""The functions that every contender runs. Imports nothing of the benchmarks: it is deployed."""

import base64
import json
import socket
import time
from typing import Any


def noop(event: Any, context: Any = None) -> Any:
    """Give the event back, so that the answer shows that the handler ran."""
    return event


def one_second(event: Any, context: Any = None) -> Any:
    time.sleep(1)
    return event


def hold(event: Any, context: Any = None) -> Any:
    """Keep the context until the epoch time in `until`: the next invocation needs another one."""
    time.sleep(max(0.0, event.get("until", 0.0) - time.time()))
    return event


def stamps(event: Any, context: Any = None) -> None:
    """`stamp` for each message of a batch, or each record of Kinesis."""
    for record in event["Records"]:
        text = record["body"] if "body" in record else base64.b64decode(record["kinesis"]["data"])
        body = json.loads(text)
        if isinstance(body, dict):
            stamp(body)


def stamp(event: Any, context: Any = None) -> None:
    """Send the time at which it began to the port in the event: a clock that processes share."""
    began = time.monotonic_ns()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"%d" % began, ("127.0.0.1", event["port"]))
