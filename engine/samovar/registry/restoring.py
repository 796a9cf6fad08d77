"""What a start finds in the store: the functions of here, and what belongs to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from samovar.errors import ClientError, EngineError
from samovar.model.alias import Alias
from samovar.model.event import EventInvokeConfig
from samovar.model.function import LATEST, FunctionVersion
from samovar.model.policy import Policy
from samovar.model.provisioning import ProvisionedConfig
from samovar.registry.attached import KINDS, Attached, Kind
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.index import Entry, Index
from samovar.registry.kept_packages import layer_hashes
from samovar.registry.records import (
    ALIAS,
    FUNCTION,
    TAGS,
    VERSION,
    Tags,
    alias_from_stored,
    from_stored,
)
from samovar.registry.recursion import RecursiveLoop
from samovar.registry.runtime_management import RuntimeManagement
from samovar.stores.protocols import Record


def _arn(document: Any) -> str:
    if not isinstance(document, str):
        raise TypeError(f"{document!r} is no ARN")
    return document


def _reserved(document: Any) -> None:
    if not isinstance(document, int) or document < 0:
        raise TypeError(f"{document!r} can't be reserved")


# What the documents of each kind are read with where they are used.
_FORMS: Mapping[Kind, Callable[[Any], object]] = {
    Kind.CODE_SIGNING: _arn,
    Kind.POLICY: Policy.of,
    Kind.RUNTIME_MANAGEMENT: RuntimeManagement.of,
    Kind.RECURSION: RecursiveLoop,
    Kind.CONCURRENCY: _reserved,
    Kind.PROVISIONED: lambda document: ProvisionedConfig.of("", document),
    Kind.EVENT_INVOKE: EventInvokeConfig.of,
}


class Found(NamedTuple):
    """Functions of this Region and account, and what those of others refer to: packages, and
    packages that are merged."""

    functions: list[Entry]
    elsewhere: set[str]
    merged_elsewhere: set[tuple[str, ...]]


def functions(records: Sequence[Record], index: Index, configs: CodeSigningConfigs) -> Found:
    """All functions; raises EngineError that names the first damaged record: nothing of it may
    come to light in the middle of an invocation."""
    tags = {record.key: Tags.of(record) for record in records if record.kind == TAGS}
    attached: defaultdict[str, list[Attached]] = defaultdict(list)
    versions: defaultdict[str, list[FunctionVersion]] = defaultdict(list)
    aliases: defaultdict[str, list[Alias]] = defaultdict(list)
    for record in records:
        if record.kind in KINDS:
            attachment = _attached(record)
            attached[attachment.function].append(attachment)
        elif record.kind == VERSION:
            version = from_stored(record)
            versions[version.arn].append(version)
        elif record.kind == ALIAS and record.owner is not None:
            aliases[record.owner[1]].append(alias_from_stored(record))
    found = Found([], set(), set())
    for record in records:
        if record.kind != FUNCTION:
            continue
        function = from_stored(record)
        arn = function.arn
        if arn == index.arn(function.name):
            entry = Entry(function, tags.get(arn), attached[arn], versions[arn], aliases[arn])
            _demand_config(entry, configs)
            _demand_versions(entry)
            found.functions.append(entry)
        else:
            for version in (function, *versions[arn]):
                found.elsewhere.add(version.code.sha256)
                found.merged_elsewhere.add(layer_hashes(version))
    return found


def _demand_versions(entry: Entry) -> None:
    for alias in entry.aliases.values():
        for version in alias.versions:
            if version != LATEST and version not in entry.versions:
                raise EngineError(
                    f"The stored record of the alias {alias.arn} is damaged: there is no version "
                    f"{version!r}"
                )


def _attached(record: Record) -> Attached:
    attachment = Attached.of(record)
    try:
        _FORMS[attachment.kind](attachment.document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"The stored {record.kind} of {record.key} is damaged: {error!r}"
        ) from error
    return attachment


def _demand_config(entry: Entry, configs: CodeSigningConfigs) -> None:
    config = configs.of_function(entry)
    if config is None:
        return
    try:
        configs.get(config)
    except ClientError as error:
        raise EngineError(
            f"The stored {Kind.CODE_SIGNING} of {entry.shown.arn} is damaged: there is no code "
            f"signing config {config!r}"
        ) from error
