"""Code signing configs: which functions take code from whom.

Signatures are AWS Signer's, and nobody but AWS can verify them. So no package counts as signed:
where a config says `Enforce` every new package is refused, and where it says `Warn` each is let
through, with a line in the log and a count (AWS's metric SignatureValidationErrors).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from samovar.clock import Clock
from samovar.errors import AWS, ClientError, EngineError
from samovar.metrics.observer import Observer, SilentObserver
from samovar.registry import rules, transitions
from samovar.registry.attached import Kind
from samovar.registry.index import Entry, Index
from samovar.registry.pages import page
from samovar.registry.writing import Writer
from samovar.settings import Settings
from samovar.stores.protocols import Put, Record, Remove

KIND = "code-signing-config"
_ID_LENGTH = 17  # characters behind «csc-» (service model)

_log = logging.getLogger(__name__)


class Untrusted(StrEnum):
    """What becomes of a package without a valid signature (AWS's words)."""

    WARN = "Warn"
    ENFORCE = "Enforce"


@dataclass(frozen=True, slots=True)
class CodeSigningConfig:
    """`publishers` are ARNs of signing profile versions; `last_modified` is epoch seconds;
    `description` is None where there is none."""

    arn: str
    publishers: tuple[str, ...]
    untrusted: Untrusted = Untrusted.WARN
    description: str | None = None
    last_modified: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""

    @property
    def id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition(":")[2]

    def stored(self, node: str) -> Record:
        """The record that `of` turns back into this."""
        document = {
            "publishers": self.publishers,
            "untrusted": self.untrusted.value,
            "description": self.description,
            "last_modified": self.last_modified,
            "tags": dict(self.tags),
        }
        return Record(KIND, self.arn, self.revision, json.dumps(document), node)

    @classmethod
    def of(cls, record: Record) -> CodeSigningConfig:
        """What a record holds; raises EngineError for a damaged one."""
        try:
            kept = json.loads(record.document)
            return cls(
                record.key,
                tuple(kept["publishers"]),
                Untrusted(kept["untrusted"]),
                kept["description"],
                kept["last_modified"],
                kept["tags"],
                record.revision,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"The stored record of {record.key} is damaged: {error!r}") from error


class ConfigPage(NamedTuple):
    """Code signing configs in the order of their ARNs."""

    configs: Sequence[CodeSigningConfig]
    next_marker: str | None


class FunctionArnPage(NamedTuple):
    """ARNs of functions in their order."""

    arns: Sequence[str]
    next_marker: str | None


Change = Callable[[CodeSigningConfig], CodeSigningConfig]


class CodeSigningConfigs:
    """The code signing configs of one Region and account, and which function has which.

    What changes anything is to be run in a task that nobody cancels. All methods raise ClientError
    for what the caller did wrong.
    """

    def __init__(self, index: Index, writer: Writer, clock: Clock, settings: Settings) -> None:
        self.observer: Observer = SilentObserver()
        self._index = index
        self._writer = writer
        self._clock = clock
        self._prefix = (
            f"arn:aws:lambda:{settings.region}:{settings.account_id}:code-signing-config:csc-"
        )
        self._configs: dict[str, CodeSigningConfig] = {}
        self._referring: Counter[str] = Counter()  # functions that are being given a config
        self._lock = asyncio.Lock()

    def restore(self, records: Sequence[Record]) -> None:
        """Take in what was stored."""
        for record in records:
            if record.kind == KIND and record.key.startswith(self._prefix):
                self._configs[record.key] = CodeSigningConfig.of(record)

    # Reading.

    def get(self, arn: str) -> CodeSigningConfig:
        """The config of this ARN; raises 404."""
        config = self._configs.get(arn)
        if config is None:
            raise ClientError(
                AWS.RESOURCE_NOT_FOUND,
                f"The Lambda code signing configuration {arn} can not be found.",
            )
        return config

    def list(self, marker: str | None, max_items: int | None) -> ConfigPage:
        """A page of all configs."""
        found = page(sorted(self._configs), marker, max_items, "ListCodeSigningConfigs")
        return ConfigPage([self._configs[arn] for arn in found.names], found.next_marker)

    def functions(self, arn: str, marker: str | None, max_items: int | None) -> FunctionArnPage:
        """A page of the functions that have this config."""
        self.get(arn)
        operation = "ListFunctionsByCodeSigningConfig"
        found = page(sorted(self._users(arn)), marker, max_items, operation)
        return FunctionArnPage(found.names, found.next_marker)

    def of_function(self, entry: Entry) -> str | None:
        """The ARN of a function's config."""
        attached = entry.attached.get((Kind.CODE_SIGNING, entry.shown.arn))
        return None if attached is None else attached.document

    # Changing.

    async def create(self, config: CodeSigningConfig) -> CodeSigningConfig:
        """Keep a new config; its ARN, time and revision are made here."""
        rules.check_tags(config.tags)
        arn = self._prefix + secrets.token_hex(_ID_LENGTH)[:_ID_LENGTH]
        async with self._lock:
            return await self._write(replace(config, arn=arn), None)

    async def update(self, arn: str, change: Change) -> CodeSigningConfig:
        """Replace a config by what `change` makes of it."""
        async with self._lock:
            present = self.get(arn)
            return await self._write(change(present), present.revision)

    async def retag(self, arn: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace a config's tags; no change of the config itself."""
        async with self._lock:
            present = self.get(arn)
            tags = change(present.tags)
            rules.check_tags(tags)
            await self._keep(replace(present, tags=tags), present.revision)

    async def delete(self, arn: str) -> None:
        """Delete a config that no function has."""
        async with self._lock:
            present = self.get(arn)
            if self._referring[arn] or any(True for _ in self._users(arn)):
                raise ClientError(
                    AWS.RESOURCE_CONFLICT,
                    f"The code signing configuration {arn} is in use. "
                    "ListFunctionsByCodeSigningConfig tells by which functions; take it from them "
                    "first.",
                )
            # Gone at once, so that no function is given it while it is being deleted.
            del self._configs[arn]
            try:
                await self._writer.write(arn, Remove(KIND, arn, present.revision))
            except BaseException:
                self._configs[arn] = present
                raise

    @contextmanager
    def referring(self, arn: str | None) -> Iterator[None]:
        """Keep a config from being deleted while a function that has it is being written; raises
        404 if it isn't there."""
        if arn is None:
            yield
            return
        if arn not in self._configs:
            raise ClientError(
                AWS.CODE_SIGNING_CONFIG_NOT_FOUND,
                "The code signing configuration cannot be found. Check that the provided "
                f"configuration is not deleted: {arn}",
            )
        self._referring[arn] += 1
        try:
            yield
        finally:
            self._referring[arn] -= 1
            self._referring += Counter()  # drops what has come down to zero

    # Judging packages.

    def enforces(self, config: str | None) -> bool:
        """Whether a function with this config takes no package that is unsigned."""
        return config is not None and self._configs[config].untrusted is Untrusted.ENFORCE

    def demand_deployable(self, what: str, config: str | None) -> None:
        """Raise ClientError if a function with this config takes no package that is unsigned;
        `what` is the function or layer version that the package belongs to."""
        if self.enforces(config):
            raise ClientError(
                AWS.CODE_VERIFICATION_FAILED,
                "Lambda cannot deploy the function. The function or layer might be signed using a "
                "signature that the client is not configured to accept. Check the provided "
                f"signature for {what}. (Samovar cannot verify AWS Signer's signatures and takes "
                f"every package for unsigned; {config} lets one through only if its "
                "UntrustedArtifactOnDeployment is Warn.)",
            )

    def deployed(self, name: str, config: str | None) -> None:
        """A function with this config, if it has one, got new code or layers."""
        if config is not None:
            self.observer.unsigned_deployment(name)
            _log.warning("%s was deployed without a signature that %s asks for", name, config)

    def _users(self, arn: str) -> Iterator[str]:
        return (entry.shown.arn for entry in self._index if self.of_function(entry) == arn)

    async def _write(self, config: CodeSigningConfig, expected: str | None) -> CodeSigningConfig:
        return await self._keep(replace(config, last_modified=self._clock.wall()), expected)

    async def _keep(self, config: CodeSigningConfig, expected: str | None) -> CodeSigningConfig:
        config = replace(config, revision=transitions.new_revision())
        await self._writer.write(config.arn, Put(config.stored(self._writer.node), expected))
        self._configs[config.arn] = config
        return config
