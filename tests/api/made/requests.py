"""Whole requests for an operation of the API model, as bytes: some that go through, and many with
something wrong in them that no SDK would send.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from botocore.model import OperationModel, Shape, StructureShape
from hypothesis import strategies as st
from tests.api.coverage import CARRIED_OUT, carried
from tests.api.made.values import KNOWN, ODD, ZIP, sensible, values

from samovar.doors.http.api_model import operation_models

_SAFE = "-._~"
# Not required by the model, because one of several is needed; all the same nothing goes without.
_ALTERNATIVES = frozenset({"ZipFile", "Runtime", "Handler"})
_DEEP = 3000  # deeper than Python's own JSON parser goes

# Labels that are no value of anything, percent-encoded as they are sent.
_ODD_LABELS = (
    "",
    "%",
    "%zz",
    "%ff%fe",
    "%00",
    "%2F",
    "%2e%2e%2fetc",
    "..",
    ".",
    "+",
    "f%20",
    "%66",
    "%25",
    "f;x=1",
    "f:",
    ":f",
    "f%3A%24LATEST%3A1",
    "%F0%9F%98%80",
    "a" * 3000,
    "arn%3Aaws%3Alambda%3Aeu-west-1%3A000000000000%3Afunction%3Af",
    "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af",
)
_ODD_BODIES = (
    b"",
    b" \n",
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b"{",
    b'{"a":',
    b"{} {}",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": 1e999}',
    b"{'a': 1}",
    b'{"a": "\x01"}',
    b'{"a": "\\ud800"}',
    b"[" * _DEEP,
    b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    b"a=1&b=2",
)
_ODD_QUERIES = ("=", "&&", "%", "%ff", "a", "Marker=%00", "Qualifier", "x" * 2000, ";", "a=b=c")


@dataclass(frozen=True)
class Made:
    """A request; `said` are the parameters that it was made from."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    said: dict[str, Any] = field(compare=False, repr=False)

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: samovar"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body


# What must be there for others to find it: the operation, its path and its body.
_FURNITURE: dict[str, tuple[str, dict[str, Any]]] = {
    "AddPermission": (
        "/2015-03-31/functions/f/policy",
        {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"},
    ),
    "CreateAlias": (
        "/2015-03-31/functions/f/aliases",
        {"Name": "live", "FunctionVersion": "1"},
    ),
    "PutProvisionedConcurrencyConfig": (
        "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1",
        {"ProvisionedConcurrentExecutions": 1},
    ),
    "PutFunctionEventInvokeConfig": (
        "/2019-09-25/functions/f/event-invoke-config",
        {"MaximumRetryAttempts": 1},
    ),
    "PublishLayerVersion": ("/2018-10-31/layers/l/versions", {"Content": {"ZipFile": ZIP}}),
    "AddLayerVersionPermission": (
        "/2018-10-31/layers/l/versions/1/policy",
        {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"},
    ),
}
_NEEDS: dict[str, tuple[str, ...]] = {
    "GetAlias": ("CreateAlias",),
    "UpdateAlias": ("CreateAlias",),
    "PutProvisionedConcurrencyConfig": ("CreateAlias",),
    "GetProvisionedConcurrencyConfig": ("PutProvisionedConcurrencyConfig",),
    "GetFunctionEventInvokeConfig": ("PutFunctionEventInvokeConfig",),
    "UpdateFunctionEventInvokeConfig": ("PutFunctionEventInvokeConfig",),
    "DeleteFunctionEventInvokeConfig": ("PutFunctionEventInvokeConfig",),
    "GetPolicy": ("AddPermission",),
    "RemovePermission": ("AddPermission",),
    "GetLayerVersion": ("PublishLayerVersion",),
    "GetLayerVersionByArn": ("PublishLayerVersion",),
    "AddLayerVersionPermission": ("PublishLayerVersion",),
    "GetLayerVersionPolicy": ("PublishLayerVersion", "AddLayerVersionPermission"),
    "RemoveLayerVersionPermission": ("PublishLayerVersion", "AddLayerVersionPermission"),
}


def furniture(operation: str) -> list[Made]:
    """Requests for what `operation` needs to find something; repeated, they may well be refused."""
    return [
        Made(operation_models()[name].http["method"], path, {}, json.dumps(body).encode(), body)
        for name in _NEEDS.get(operation, ())
        for path, body in (_FURNITURE[name],)
    ]


def requests(operation: OperationModel) -> st.SearchStrategy[Made]:
    """Requests for `operation`: some of them sensible, of the others some with parts spoilt."""
    return _made(operation)


def oddities(operation: OperationModel) -> Iterator[Made]:
    """Every odd body, label and query by itself, in requests that have nothing else in them."""
    path, _, fixed = operation.http["requestUri"].partition("?")
    located = _located(operation)
    labels = {}
    for name, member in located.get("uri", {}).items():
        wire = member.serialization.get("name", name)
        labels[wire] = _quoted(KNOWN.get(name, ["x"])[0], "")
    for body in _ODD_BODIES:
        yield Made(operation.http["method"], _filled(path, labels, fixed), {}, body, {})
    for wire in labels:
        for label in _ODD_LABELS:
            target = _filled(path, {**labels, wire: label}, fixed)
            yield Made(operation.http["method"], target, {}, b"{}", {})
    for query in _ODD_QUERIES:
        target = _filled(path, labels, f"{fixed}&{query}" if fixed else query)
        yield Made(operation.http["method"], target, {}, b"{}", {})


def _filled(path: str, labels: dict[str, str], query: str) -> str:
    for wire, label in labels.items():
        path = path.replace("{" + wire + "}", label).replace("{" + wire + "+}", label)
    return f"{path}?{query}" if query else path


@st.composite
def _made(draw: st.DrawFn, operation: OperationModel) -> Made:
    shape = operation.input_shape
    members = dict(shape.members) if shape else {}
    effective = _carried(operation)
    tame = draw(st.booleans())
    params: dict[str, Any] = {}
    for name, member in members.items():
        assert shape is not None
        if name in shape.required_members or name in _ALTERNATIVES:
            params[name] = draw(sensible(member, name) if tame else values(member, name))
        elif tame:
            if name in KNOWN and name in effective and draw(st.integers(0, 2)) == 0:
                params[name] = draw(sensible(member, name))
        elif draw(st.integers(0, 2)) == 0:
            params[name] = draw(values(member, name))
    spoilt = 0 if tame else draw(st.sampled_from([0, 1, 1, 2, 3]))
    for _ in range(spoilt if params else 0):
        name = draw(st.sampled_from(sorted(params)))
        params[name] = draw(_spoilt(members[name], params[name]))
    if spoilt and draw(st.booleans()):
        params.pop(draw(st.sampled_from(sorted(members))) if members else "", None)
    return Made(
        operation.http["method"],
        draw(_targets(operation, params, bool(spoilt))),
        _headers(operation, params),
        draw(_bodies(operation, params, bool(spoilt))),
        params,
    )


def _carried(operation: OperationModel) -> set[str]:
    """The members that have an effect."""
    if operation.name not in CARRIED_OUT:
        return set(KNOWN)
    return {path.partition(".")[0] for path in carried(operation.name)}


@st.composite
def _spoilt(draw: st.DrawFn, shape: Shape, value: Any) -> Any:
    """`value` with something wrong in it: all of it, or a part of a structure."""
    if isinstance(shape, StructureShape) and isinstance(value, dict) and draw(st.booleans()):
        broken = dict(value)
        which = draw(st.sampled_from(["extra", "missing", "wrong"]))
        if which == "extra":
            broken[draw(st.sampled_from(["Unknown", "", "é", "__class__"]))] = 1
        elif which == "missing" and broken:
            broken.pop(draw(st.sampled_from(sorted(broken))))
        elif broken:
            name = draw(st.sampled_from(sorted(broken)))
            broken[name] = draw(st.sampled_from(ODD))
        return broken
    return draw(st.sampled_from(ODD))


@st.composite
def _targets(
    draw: st.DrawFn, operation: OperationModel, params: dict[str, Any], spoilt: bool
) -> str:
    path, _, fixed = operation.http["requestUri"].partition("?")
    located = _located(operation)
    labels = {}
    for name, member in located.get("uri", {}).items():
        wire = member.serialization.get("name", name)
        if spoilt and draw(st.integers(0, 3)) == 0:
            label = draw(st.sampled_from(_ODD_LABELS))
        else:
            given = params.get(name, KNOWN.get(name, ["x"])[0])
            label = _quoted(given, draw(st.sampled_from(["", ":$"])))
        labels[wire] = label
    pairs = [fixed] if fixed else []
    for name, member in located.get("querystring", {}).items():
        if name in params:
            wire = member.serialization.get("name", name)
            given = params[name] if isinstance(params[name], list) else [params[name]]
            pairs += [f"{wire}={_quoted(item, '')}" for item in given]
    if spoilt and draw(st.integers(0, 2)) == 0:
        pairs.append(draw(st.sampled_from(_ODD_QUERIES)))
    if spoilt and pairs and draw(st.integers(0, 3)) == 0:
        pairs.append(draw(st.sampled_from(pairs)))
    if spoilt and draw(st.integers(0, 9)) == 0:
        path += "/"
    return _filled(path, labels, "&".join(pairs))


def _headers(operation: OperationModel, params: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, member in _located(operation).get("header", {}).items():
        if name in params:
            text = _text(params[name]).encode("ascii", "replace").decode()
            # What no header can have is another test's matter.
            printable = "".join(char for char in text if " " <= char <= "~")
            found[member.serialization.get("name", name)] = printable.strip()
    return found


@st.composite
def _bodies(
    draw: st.DrawFn, operation: OperationModel, params: dict[str, Any], spoilt: bool
) -> bytes:
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape else None
    if spoilt and draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(_ODD_BODIES))
    if payload is not None:
        given = params.get(payload, "")
        text = given if isinstance(given, str) else json.dumps(given)
        return text.encode(errors="replace")
    plain = _located(operation).get(None, {})
    document: dict[str, Any] = {
        member.serialization.get("name", name): params[name]
        for name, member in plain.items()
        if name in params
    }
    if not plain and not spoilt:
        return b""
    if spoilt and draw(st.integers(0, 4)) == 0:
        document[draw(st.sampled_from(["Unknown", "functionname", "", "__proto__"]))] = draw(
            st.sampled_from(ODD)
        )
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    if spoilt and document and draw(st.integers(0, 5)) == 0:  # the same key twice
        name = draw(st.sampled_from(sorted(document)))
        text = f"{{{json.dumps(name)}: {json.dumps(draw(st.sampled_from(ODD)))}, {text[1:]}"
    return text.encode(errors="surrogatepass")


def _located(operation: OperationModel) -> dict[str | None, dict[str, Shape]]:
    found: dict[str | None, dict[str, Shape]] = {}
    shape = operation.input_shape
    for name, member in shape.members.items() if shape else ():
        found.setdefault(member.serialization.get("location"), {})[name] = member
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return value if isinstance(value, str) else json.dumps(value)


def _quoted(value: Any, safe: str) -> str:
    """Percent-encoded, as clients do; some leave «:» and «$» as they are."""
    return quote(_text(value), safe=_SAFE + safe, errors="surrogatepass")
