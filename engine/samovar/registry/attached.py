"""What belongs to a function besides its code and configuration: a policy, say.

Each is a record of its own, so that it is changed without a new version of the function, and is
removed with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from samovar.errors import EngineError
from samovar.registry.records import FUNCTION
from samovar.stores.protocols import Record


class Kind(StrEnum):
    """The kinds of what can be attached; the values are those of the records."""

    POLICY = "policy"
    RUNTIME_MANAGEMENT = "runtime-management"
    RECURSION = "recursion"
    CODE_SIGNING = "code-signing"
    CONCURRENCY = "concurrency"
    PROVISIONED = "provisioned-concurrency"
    EVENT_INVOKE = "event-invoke-config"


@dataclass(frozen=True, slots=True)
class Attached:
    """One thing attached to a function.

    `resource` is the ARN that it is attached to: the function's own, or a qualified one of it
    (AWS keeps a policy per version and alias). `document` is a JSON value.
    """

    kind: Kind
    resource: str
    function: str
    revision: str
    document: Any

    @classmethod
    def of(cls, record: Record) -> Attached:
        """What a record holds; raises EngineError for a damaged one."""
        if record.owner is None:
            raise EngineError(f"The {record.kind} of {record.key} is stored without its function.")
        try:
            document = json.loads(record.document)
        except ValueError as error:
            raise EngineError(
                f"The stored {record.kind} of {record.key} is damaged: {error!r}"
            ) from error
        return cls(Kind(record.kind), record.key, record.owner[1], record.revision, document)

    def stored(self, node: str) -> Record:
        """The record that `of` turns back into this."""
        text = json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))
        owner = (FUNCTION, self.function)
        return Record(self.kind.value, self.resource, self.revision, text, node, owner)


KINDS = frozenset(kind.value for kind in Kind)
