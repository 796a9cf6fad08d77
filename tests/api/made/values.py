"""Values for the members of requests, made from the shapes of the API model: mostly what the model
allows, at its bounds as often as within, and now and then what it does not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from hypothesis import strategies as st
from tests.api.house import ARN, ROLE, package
from tests.api.served import RUNTIME

from samovar.doors.http.constraints import compiled
from samovar.doors.http.operations.rendering import ARCHITECTURE

ACCOUNT = "000000000000"
ZIP = base64.b64encode(package()).decode()
NAMES = ("f", "g", "h")  # functions that requests create, change and delete
_SHARE = 4  # of this many values beside it, one is made from the shape where one is known

# What makes a request go through, by the name of the member.
KNOWN: dict[str, list[Any]] = {
    "FunctionName": ["f", "g", *NAMES, ARN + "f", f"{ACCOUNT}:function:f", "f:$LATEST"],
    "Resource": [ARN + name for name in ("f", *NAMES)],
    "Runtime": [RUNTIME],
    "CompatibleRuntimes": [[RUNTIME], []],
    "CompatibleArchitectures": [[ARCHITECTURE], []],
    "Architectures": [[ARCHITECTURE]],
    "Handler": ["app.handler"],
    "Role": [ROLE],
    "Code": [{"ZipFile": ZIP}],
    "Content": [{"ZipFile": ZIP}],
    "ZipFile": [ZIP],
    "Description": ["", "d" * 256, "Größe \U0001fad6"],
    "EventSourceArn": [f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}" for name in ("q", "r")],
    "BatchSize": [1, 10, 10000],
    "MaximumBatchingWindowInSeconds": [0, 1, 300],
    "FilterCriteria": [{}, {"Filters": [{"Pattern": '{"body": ["tea"]}'}]}],
    "FunctionResponseTypes": [[], ["ReportBatchItemFailures"]],
    "ScalingConfig": [{}, {"MaximumConcurrency": 2}],
    "ReservedConcurrentExecutions": [0, 1, 900],
    "ProvisionedConcurrentExecutions": [1, 2],  # contexts, which are really forked
    "Timeout": [1, 900],
    "MemorySize": [128, 10240],
    "EphemeralStorage": [{"Size": 512}, {"Size": 10240}],
    "Environment": [{}, {"Variables": {"A1": "b"}}],
    "LoggingConfig": [{"LogGroup": "/mine"}, {}],
    "Tags": [{"a": "b"}, {"c" * 128: "d" * 256}],
    "TagKeys": [["a"], ["a", "b"]],
    "Layers": [[]],
    "DryRun": [True, False],
    "Qualifier": ["$LATEST", "1", "live"],
    "Name": ["live", "x"],
    "FunctionVersion": ["$LATEST", "1", "ALL"],  # the last one is of ListFunctions
    "RoutingConfig": [{}, {"AdditionalVersionWeights": {}}],
    "MaxItems": [1, 10, 10000],
    "Marker": [""],
    "InvocationType": ["RequestResponse", "DryRun", "Event"],
    "MaximumRetryAttempts": [0, 2],
    "MaximumEventAgeInSeconds": [60, 21600],
    "DestinationConfig": [{}, {"OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"}}],
    "DeadLetterConfig": [{}, {"TargetArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:t"}],
    "Payload": ["{}", '{"a": 1}', "null"],
    "InvokeArgs": ["{}"],
    "LayerName": ["l"],
    "Arn": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:l:1"],
    "VersionNumber": [1, 2],
    "StatementId": ["s", "t"],
    "Action": ["lambda:InvokeFunction", "lambda:GetLayerVersion"],
    "Principal": ["s3.amazonaws.com", "*", "123456789012", ROLE],
}

_ODD_TEXTS = (
    "",
    " ",
    "\0",
    "\x7f\x1b[31m",
    "é😀\u2028",
    "\ud800",  # half of a surrogate pair: JSON can spell it
    "a" * 65,
    "a" * 257,
    "x" * 5000,
    "%41%zz%",
    "../../etc/passwd",
    "$LATEST",
    "'; DROP TABLE records; --",
    "{0.__class__}",
    "arn:aws:lambda:us-east-1:000000000000:function:f:1",
)
_LONGEST = 70_000  # characters of a text; a longer one is another test's matter
_ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308)

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    *_ODD_NUMBERS,
    *_ODD_TEXTS,
    [],
    [None],
    [[[[[]]]]],
    {},
    {"": None},
    {"a": {"b": [{"c": 1}]}},
    ["a"] * 300,
)


def sensible(shape: Shape, name: str) -> st.SearchStrategy[Any]:
    """JSON values for the member `name` that the model allows: a known one, if there is one."""
    known = KNOWN.get(name)
    return st.sampled_from(known) if known is not None else _of_shape(shape, False)


def values(shape: Shape, name: str) -> st.SearchStrategy[Any]:
    """JSON values for the member `name`: at the bounds of what the model allows and past them."""
    made = _of_shape(shape, True)
    known = KNOWN.get(name)
    if known is None:
        return made
    return st.integers(0, _SHARE).flatmap(
        lambda drawn: made if drawn == 0 else st.sampled_from(known)
    )


def _of_shape(shape: Shape, past: bool) -> st.SearchStrategy[Any]:
    """`past`: go past the model's bounds, too."""
    if isinstance(shape, StructureShape):
        made = values if past else sensible
        members = {name: made(member, name) for name, member in shape.members.items()}
        needed = {name: members.pop(name) for name in shape.required_members}
        return st.fixed_dictionaries(needed, optional=members)
    if isinstance(shape, MapShape):
        return st.dictionaries(_of_shape(shape.key, past), _of_shape(shape.value, past), max_size=3)
    return _MAKERS[shape.type_name](shape, past)


def _lists(shape: ListShape, past: bool) -> st.SearchStrategy[Any]:
    member = _of_shape(shape.member, past)
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 3)
    some = st.lists(member, min_size=low, max_size=max(low, min(high, 3)))
    if not past or high > 100:
        return some
    # One more than there may be, at times: elements all alike are enough for that.
    many = member.map(lambda item: [item] * (high + 1))
    return st.one_of(some, some, some, many)


def _texts(shape: Shape, past: bool) -> st.SearchStrategy[str]:
    if shape.metadata.get("enum"):
        return st.sampled_from([*shape.metadata["enum"], *(["other"] if past else [])])
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 64)
    pattern = shape.metadata.get("pattern")
    if pattern and not past:
        return _by_pattern(pattern)
    lengths = [low, low + 1, high, high + 1] if past else [low, max(low, min(high, 20))]
    bounds = st.sampled_from(["a" * length for length in lengths if length <= _LONGEST] or ["a"])
    if pattern:
        return st.one_of(_by_pattern(pattern), _by_pattern(pattern), bounds)
    return st.one_of(st.text(max_size=20), bounds) if past else bounds


@lru_cache(maxsize=512)
def _by_pattern(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(compiled(pattern), fullmatch=True)


def _numbers(shape: Shape, past: bool) -> st.SearchStrategy[Any]:
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 2**31 - 1)
    within = [low, high, (low + high) // 2]
    return st.sampled_from([*within, low - 1, high + 1] if past else within)


def _blobs(_: Shape, __: bool) -> st.SearchStrategy[str]:
    return st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode())


def _moments(_: Shape, past: bool) -> st.SearchStrategy[Any]:
    moments = [0, 1764000000, 1764000000.5, "2025-11-24T23:08:11Z"]
    return st.sampled_from([*moments, 10**15, "soon"] if past else moments)


_MAKERS: dict[str, Callable[[Any, bool], st.SearchStrategy[Any]]] = {
    "list": _lists,
    "string": _texts,
    "integer": _numbers,
    "long": _numbers,
    "float": _numbers,
    "double": _numbers,
    "boolean": lambda shape, past: st.booleans(),
    "blob": _blobs,
    "timestamp": _moments,
}
