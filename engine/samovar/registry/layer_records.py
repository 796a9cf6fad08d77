"""Layers, their versions and policies as records of the store, and back.

A layer's own record outlives its versions: it holds the last number that was given, which is never
given again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from samovar.errors import EngineError
from samovar.model.function import CodePackage
from samovar.model.layer import LayerVersion
from samovar.model.policy import Policy
from samovar.stores.protocols import Record

LAYER = "layer"
LAYER_VERSION = "layer-version"
LAYER_POLICY = "layer-policy"
DOCUMENT_VERSION = 1
_TUPLES = ("runtimes", "architectures", "extensions")


@dataclass(frozen=True, slots=True)
class Numbering:
    """The last number that a layer's versions have been given; `layer` is the layer's ARN."""

    layer: str
    revision: str
    last: int

    def stored(self, node: str) -> Record:
        """The record that `numbering` turns back."""
        return Record(LAYER, self.layer, self.revision, _text({"last": self.last}), node)


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """The resource policy of a layer version; its revision is what the API shows."""

    version_arn: str
    revision: str
    policy: Policy

    def stored(self, node: str) -> Record:
        """The record that `version_policy` turns back; it goes with the version's."""
        text = _text({"policy": self.policy.document()})
        owner = (LAYER_VERSION, self.version_arn)
        return Record(LAYER_POLICY, self.version_arn, self.revision, text, node, owner)


@dataclass(frozen=True, slots=True)
class Published:
    """A layer version and the revision of its record, which never changes."""

    version: LayerVersion
    revision: str

    def stored(self, node: str) -> Record:
        """The record that `published` turns back."""
        text = _text({"version": asdict(self.version)})
        return Record(LAYER_VERSION, self.version.version_arn, self.revision, text, node)


def numbering(record: Record) -> Numbering:
    """Raises EngineError for a record that is damaged or of another form."""
    return Numbering(record.key, record.revision, _read(record, "last", int))


def version_policy(record: Record) -> VersionPolicy:
    """Raises EngineError for a record that is damaged or of another form."""
    document = _read(record, "policy", dict)
    try:
        return VersionPolicy(record.key, record.revision, Policy.of(document))
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(record, error) from error


def published(record: Record) -> Published:
    """Raises EngineError for a record that is damaged or of another form."""
    fields = _read(record, "version", dict)
    try:
        for name in _TUPLES:
            fields[name] = None if fields[name] is None else tuple(fields[name])
        code = fields["code"]
        fields["code"] = CodePackage(**{**code, "import_paths": tuple(code["import_paths"])})
        version = LayerVersion(**fields)
        if version.version_arn != record.key:
            raise ValueError(f"it is of {version.version_arn}")
        return Published(version, record.revision)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(record, error) from error


def _text(content: dict[str, Any]) -> str:
    document = {"document": DOCUMENT_VERSION, **content}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _read(record: Record, name: str, kind: type) -> Any:
    try:
        document = json.loads(record.document)
        form = document["document"]
        if form != DOCUMENT_VERSION:
            raise EngineError(
                f"The {record.kind} {record.key} is stored in the form {form!r}; this Samovar "
                f"knows {DOCUMENT_VERSION}. Use the Samovar that wrote it, or another --data-dir."
            )
        value = document[name]
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(record, error) from error
    return value


def _damaged(record: Record, error: Exception) -> EngineError:
    return EngineError(f"The stored record {record.kind} {record.key} is damaged: {error!r}")
