"""Code signing as the API has it: the configs, and which function has which."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.code_signing_configs import (
    Change,
    CodeSigningConfig,
    CodeSigningConfigs,
    ConfigPage,
    FunctionArnPage,
)
from samovar.registry.index import Index
from samovar.registry.underway import UnderWay


class CodeSigning:
    """Methods raise ClientError for what the caller did wrong, EngineError if the disk fails."""

    def __init__(
        self, index: Index, underway: UnderWay, attaching: Attaching, configs: CodeSigningConfigs
    ) -> None:
        self._index = index
        self._underway = underway
        self._attaching = attaching
        self._configs = configs

    def get(self, arn: str) -> CodeSigningConfig:
        """The config of this ARN; raises 404."""
        return self._configs.get(arn)

    def list(self, marker: str | None, max_items: int | None) -> ConfigPage:
        """A page of all configs."""
        return self._configs.list(marker, max_items)

    def functions(self, arn: str, marker: str | None, max_items: int | None) -> FunctionArnPage:
        """A page of the functions that have this config."""
        return self._configs.functions(arn, marker, max_items)

    async def create(self, config: CodeSigningConfig) -> CodeSigningConfig:
        """Keep a new config; returned with the ARN that it got."""
        return await self._underway.carry_out(self._configs.create(config))

    async def update(self, arn: str, change: Change) -> CodeSigningConfig:
        """Replace a config by what `change` makes of it."""
        return await self._underway.carry_out(self._configs.update(arn, change))

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The tags of a config; raises 404."""
        return self._configs.get(arn).tags

    async def retag(self, arn: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace a config's tags by what `change` makes of them."""
        await self._underway.carry_out(self._configs.retag(arn, change))

    async def delete(self, arn: str) -> None:
        """Delete a config that no function has."""
        await self._underway.carry_out(self._configs.delete(arn))

    def of_function(self, name: str) -> str | None:
        """The ARN of the config that a function has."""
        return self._configs.of_function(self._index.entry(name))

    async def put(self, name: str, arn: str | None) -> None:
        """Give a function a config, in the place of the one that it has; None takes it away. It
        counts from the next package on."""
        await self._attaching.attach(
            name,
            Kind.CODE_SIGNING,
            self._index.arn(name),
            lambda _: arn,
            during=self._configs.referring(arn),
        )
