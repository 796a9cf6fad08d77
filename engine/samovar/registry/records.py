"""Functions, their versions, aliases and tags as records of the store, and back.

The documents of functions, versions and aliases carry the version of their form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from samovar.errors import EngineError
from samovar.model.alias import Alias
from samovar.model.function import (
    LATEST,
    AttachedLayer,
    CodePackage,
    Configuration,
    FunctionVersion,
    State,
    UpdateStatus,
)
from samovar.stores.protocols import Record

FUNCTION = "function"
VERSION = "version"
ALIAS = "alias"
TAGS = "tags"
DOCUMENT_VERSION = 1

_PLAIN = (
    "name",
    "arn",
    "revision_id",
    "last_modified",
    "version",
    "generation",
    "state_reason",
    "state_reason_code",
    "update_reason",
    "update_reason_code",
)
# Written since there are versions.
_LATER = ("last_number", "latest_description")


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of the function with this ARN; they have a revision of their own."""

    function: str
    revision: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, record: Record) -> Tags:
        """What `stored` wrote; raises EngineError if it is damaged."""
        try:
            values = dict(json.loads(record.document).items())
        except (ValueError, AttributeError) as error:
            raise EngineError(f"The stored tags of {record.key} are damaged: {error!r}") from error
        return cls(record.key, record.revision, values)

    def stored(self, node: str) -> Record:
        """The record of these tags; it goes with the function's."""
        text = json.dumps(dict(self.values), ensure_ascii=False)
        owner = (FUNCTION, self.function)
        return Record(TAGS, self.function, self.revision, text, node, owner)


def to_stored(function: FunctionVersion, node: str) -> Record:
    """The record that `from_stored` turns back into `function`; a published version's goes with the
    function's."""
    document: dict[str, Any] = {name: getattr(function, name) for name in (*_PLAIN, *_LATER)}
    document["document"] = DOCUMENT_VERSION
    document["state"] = function.state.value
    document["update_status"] = function.update_status and function.update_status.value
    configuration = {
        item.name: getattr(function.configuration, item.name) for item in fields(Configuration)
    }
    if function.configuration.environment is not None:
        configuration["environment"] = dict(function.configuration.environment)
    configuration["layers"] = [asdict(layer) for layer in function.configuration.layers]
    document["configuration"] = configuration
    document["code"] = asdict(function.code)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if function.version == LATEST:
        return Record(FUNCTION, function.arn, function.revision_id, text, node)
    owner = (FUNCTION, function.arn)
    return Record(VERSION, function.qualified_arn, function.revision_id, text, node, owner)


def from_stored(record: Record) -> FunctionVersion:
    """Raises EngineError for a document of another version, or one that is no document."""
    try:
        document = _document(record)
        arn = document["arn"]
        if record.kind == VERSION:
            arn = f"{arn}:{int(document['version'])}"
        if arn != record.key:
            raise ValueError(f"it is of {arn}")
        code = document["code"]
        status = document["update_status"]
        configuration = dict(document["configuration"])
        configuration["layers"] = tuple(
            AttachedLayer(**layer) for layer in configuration.get("layers", ())
        )
        return FunctionVersion(
            **{name: document[name] for name in _PLAIN},
            **{name: document[name] for name in _LATER if name in document},
            configuration=Configuration(**configuration),
            code=CodePackage(**{**code, "import_paths": tuple(code["import_paths"])}),
            state=State(document["state"]),
            update_status=None if status is None else UpdateStatus(status),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(record, error) from error


def alias_to_stored(alias: Alias, function_arn: str, node: str) -> Record:
    """The record that `alias_from_stored` turns back into `alias`; it goes with the function's."""
    document = {
        "document": DOCUMENT_VERSION,
        "name": alias.name,
        "function_version": alias.function_version,
        "description": alias.description,
        "additional": alias.additional,
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Record(ALIAS, alias.arn, alias.revision_id, text, node, (FUNCTION, function_arn))


def alias_from_stored(record: Record) -> Alias:
    """Raises EngineError as `from_stored` does."""
    try:
        document = _document(record)
        if record.owner is None or record.key != f"{record.owner[1]}:{document['name']}":
            raise ValueError(f"it is {document['name']!r} of {record.owner}")
        additional = document["additional"]
        if additional is not None:
            version, weight = additional
            additional = str(version), float(weight)
        return Alias(
            document["name"],
            record.key,
            document["function_version"],
            document["description"],
            record.revision,
            additional,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(record, error) from error


def _document(record: Record) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(record.document)
    form = document["document"]
    if form != DOCUMENT_VERSION:
        raise EngineError(
            f"The {record.kind} {record.key} is stored in the form {form!r}; this Samovar knows "
            f"{DOCUMENT_VERSION}. Use the Samovar that wrote it, or another --data-dir."
        )
    return document


def _damaged(record: Record, error: Exception) -> EngineError:
    return EngineError(f"The stored record of the {record.kind} {record.key} is damaged: {error!r}")
