"""A function as a document in the store, and back. Documents carry a version."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from samovar.errors import EngineError
from samovar.model.function import (
    CodePackage,
    Configuration,
    FunctionVersion,
    State,
    UpdateStatus,
)
from samovar.stores.protocols import StoredFunction

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


def to_stored(function: FunctionVersion, node: str) -> StoredFunction:
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
    document["configuration"] = configuration
    document["code"] = asdict(function.code)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return StoredFunction(function.arn, function.revision_id, text, node)


def from_stored(record: StoredFunction) -> FunctionVersion:
    """Raises EngineError for a document of another version, or one that is no document."""
    try:
        document: dict[str, Any] = json.loads(record.document)
        version = document["document"]
        if version != DOCUMENT_VERSION:
            raise EngineError(
                f"The function {record.arn} is stored in the form {version!r}; this Samovar knows "
                f"{DOCUMENT_VERSION}. Use the Samovar that wrote it, or another --data-dir."
            )
        code = document["code"]
        status = document["update_status"]
        return FunctionVersion(
            **{name: document[name] for name in _PLAIN},
            configuration=Configuration(**document["configuration"]),
            code=CodePackage(**{**code, "import_paths": tuple(code["import_paths"])}),
            state=State(document["state"]),
            update_status=None if status is None else UpdateStatus(status),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"The stored record of the function {record.arn} is damaged: {error!r}"
        ) from error
