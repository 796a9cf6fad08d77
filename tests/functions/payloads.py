"""What goes in and what comes out: events of every kind, results of every kind and size."""

import base64
import collections
import decimal
import hashlib
import json
import sys

Point = collections.namedtuple("Point", "x y")


def echo(event, context):
    """The event itself."""
    return event


def measure(event, context):
    """The kind of the event, its length, and a digest that tells whether all of it came."""
    text = json.dumps(event)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"kind": type(event).__name__, "length": len(text), "sha256": digest}


def sized(event, context):
    """A result whose JSON has `size` bytes: a string, or the bytes of one."""
    filling = event.get("of", "a") * (event["size"] - 2)
    return f'"{filling}"'.encode() if event.get("bytes") else filling


def nested(event, context):
    """How deep the event is, or a result as deep as `make` says."""
    if isinstance(event, dict):
        made = []
        for _ in range(event["make"] - 1):
            made = [made]
        return made if not event.get("bytes") else b"[" * event["make"] + b"]" * event["make"]
    depth = 0
    while isinstance(event, list):
        depth += 1
        event = event[0] if event else None
    return depth


RESULTS = {
    "none": None,
    "unicode": "czajnik, самовар \U0001fad6",
    "raw bytes": b'{"sent":   "as it is"}',
    "no json at all": b"\xff\xfe",
    "empty bytes": b"",
    "nan": [float("nan"), float("inf"), float("-inf")],
    "decimals": {"a": decimal.Decimal("1.10"), "b": [decimal.Decimal("NaN")]},
    "bytes within": {"body": base64.b64encode(b"tea")},
    "named tuple": {"point": Point(1, [Point("a", None)]), "plain": (1, 2)},
    "keys": {1: "a", False: "b", None: "c", 1.5: "d"},
    "surrogate": ["\ud800"],
    "set": {1},
    "not utf-8 within": [b"\xff"],
}
RESULTS["circle"] = [RESULTS["none"]]
RESULTS["circle"].append(RESULTS["circle"])


def produce(event, context):
    """A result from the shelf."""
    return RESULTS[event]


def lower_the_recursion_limit(event, context):
    """As `nested`, in a process that hardly allows any recursion from now on."""
    sys.setrecursionlimit(60)
    return nested(event, context)
