"""Functions and tags as records of the store, and back. Functions' documents carry a version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from samovar.errors import EngineError
from samovar.model.function import (
    AttachedLayer,
    CodePackage,
    Configuration,
    FunctionVersion,
    State,
    UpdateStatus,
)
from samovar.stores.protocols import Record

FUNCTION = "function"
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
    """The record that `from_stored` turns back into `function`."""
    document: dict[str, Any] = {name: getattr(function, name) for name in _PLAIN}
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
    return Record(FUNCTION, function.arn, function.revision_id, text, node)


def from_stored(record: Record) -> FunctionVersion:
    """Raises EngineError for a document of another version, or one that is no document."""
    try:
        document: dict[str, Any] = json.loads(record.document)
        version = document["document"]
        if version != DOCUMENT_VERSION:
            raise EngineError(
                f"The function {record.key} is stored in the form {version!r}; this Samovar knows "
                f"{DOCUMENT_VERSION}. Use the Samovar that wrote it, or another --data-dir."
            )
        if document["arn"] != record.key:
            raise ValueError(f"it is of {document['arn']}")
        code = document["code"]
        status = document["update_status"]
        configuration = dict(document["configuration"])
        configuration["layers"] = tuple(
            AttachedLayer(**layer) for layer in configuration.get("layers", ())
        )
        return FunctionVersion(
            **{name: document[name] for name in _PLAIN},
            configuration=Configuration(**configuration),
            code=CodePackage(**{**code, "import_paths": tuple(code["import_paths"])}),
            state=State(document["state"]),
            update_status=None if status is None else UpdateStatus(status),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"The stored record of the function {record.key} is damaged: {error!r}"
        ) from error
