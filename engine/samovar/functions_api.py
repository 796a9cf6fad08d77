"""What an embedding program does with functions: create, publish, provision, delete.

Each method waits until what it asks for is in force, as the API's clients do with their waiters.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samovar.assembly import Parts
from samovar.errors import AWS, ClientError
from samovar.model.alias import Alias
from samovar.model.function import DEFAULT_ROLE, Configuration, FunctionVersion, SnapStart, State
from samovar.model.layer import LayerVersion
from samovar.model.provisioning import ShownConfig
from samovar.registry.functions import (
    CodeSource,
    ConfigurationChanges,
    Directory,
    FunctionRegistry,
    LiveDirectory,
    Module,
    NewFunction,
    ZipBytes,
)
from samovar.registry.layers import NewLayerVersion
from samovar.settings import Settings

Code = CodeSource | Path | bytes | str


class FunctionsApi:
    """A part of `Engine`, which has the rest; raises EngineError while that does not run."""

    settings: Settings

    @property
    def _parts(self) -> Parts:
        raise NotImplementedError

    # -- functions

    @property
    def registry(self) -> FunctionRegistry:
        """The functions and their tags."""
        return self._parts.registry

    async def create_function(
        self,
        name: str,
        *,
        code: Code,
        handler: str = "",
        runtime: str = "",
        role: str = "",
        description: str = "",
        timeout: int = 3,
        memory_size: int = 128,
        ephemeral_storage: int = 512,
        environment: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        layers: Sequence[str] = (),
        watch: bool = False,
        snap_start: bool = False,
        publish: bool = False,
        dead_letter: str = "",
    ) -> FunctionVersion:
        """Create a function and wait until it is Active.

        `code`: a directory, the path or the bytes of a zip, or «package.module:function» importable
        here (which also says handler and runtime). `runtime` defaults to the running interpreter's;
        `layers` are the ARNs of layer versions (see `publish_layer`). With `watch`, a directory's
        later changes are taken in as they happen (docs/hot-reload.md); with `snap_start`, contexts
        of its published versions start from a template (docs/snapstart.md). With `publish`, it is
        published as version 1, which is returned. `dead_letter` is the ARN of a queue or a topic
        that gets events which were given up. Raises ClientError.
        """
        configuration = Configuration(
            handler=handler,
            runtime=runtime or ("" if isinstance(code, str) else _own_runtime()),
            role=role or DEFAULT_ROLE.format(account=self.settings.account_id),
            description=description,
            timeout=timeout,
            memory_size=memory_size,
            ephemeral_storage=ephemeral_storage,
            environment=environment,
            dead_letter=dead_letter,
            snap_start=(SnapStart.PUBLISHED_VERSIONS if snap_start else SnapStart.NONE).value,
        )
        source = _source(code, watch)
        new = NewFunction(
            name, configuration, source, dict(tags or {}), layers=layers, publish=publish
        )
        made = await self.registry.create(new)
        await self.registry.wait_settled(name)
        return await self._ready(made)

    async def update_function(
        self,
        name: str,
        *,
        code: Code | None = None,
        watch: bool = False,
        publish: bool = False,
        **changes: Any,
    ) -> FunctionVersion:
        """Replace the code, change the configuration (fields of ConfigurationChanges), or both;
        wait until it is in force. `watch` goes with `code`, as in `create_function`. With
        `publish`, what comes of it is published, and that version is returned. Raises ClientError;
        TypeError for an unknown field."""
        if changes:
            await self.registry.update_configuration(name, ConfigurationChanges(**changes))
            await self.registry.wait_settled(name)
        if code is not None:
            await self.registry.update_code(name, _source(code, watch))
        updated = await self.registry.wait_settled(name)
        return await self.publish_version(name) if publish else updated

    async def delete_function(self, name: str) -> None:
        """Delete a function with its versions and aliases; running invocations finish. Raises
        ClientError."""
        await self.registry.delete(name)

    async def put_function_concurrency(self, name: str, reserved: int) -> None:
        """Reserve concurrency for a function, which then gets neither less nor more; 0 turns it
        off. Raises ClientError."""
        await self.registry.concurrency.put(name, None, reserved)

    async def delete_function_concurrency(self, name: str) -> None:
        """Give up what a function has reserved; nothing is no error. Raises ClientError."""
        await self.registry.concurrency.delete(name)

    async def put_provisioned_concurrency(
        self, name: str, qualifier: str, contexts: int
    ) -> ShownConfig:
        """Keep that many contexts of a version, or of what an alias stands for, initialised, and
        wait until they are.

        The status of what is returned is READY, or FAILED if the init failed time and again; then
        `progress.failure` has AWS's reason. Raises ClientError; EngineError when the engine stops
        meanwhile.
        """
        parts = self._parts
        await parts.registry.provisioned.put(name, qualifier, contexts)
        return await parts.provisioning.wait_settled(name, qualifier)

    async def delete_provisioned_concurrency(self, name: str, qualifier: str) -> None:
        """Keep no more contexts for an alias or a version; nothing is no error. Raises
        ClientError."""
        await self.registry.provisioned.delete(name, qualifier)

    # -- versions and aliases

    async def publish_version(
        self, name: str, *, description: str | None = None
    ) -> FunctionVersion:
        """Publish $LATEST as it is now and wait until the version is Active; the last version if
        nothing has changed since. Raises ClientError, also when it can't be made ready."""
        return await self._ready(
            await self.registry.versions.publish(name, description=description)
        )

    async def list_versions(self, name: str) -> tuple[FunctionVersion, ...]:
        """All versions of a function: $LATEST, then by number. Raises ClientError."""
        found: list[FunctionVersion] = []
        marker: str | None = None
        while True:
            page = self.registry.versions.list(name, marker)
            found += page.functions
            marker = page.next_marker
            if marker is None:
                return tuple(found)

    async def delete_version(self, name: str, version: str) -> None:
        """Delete a version that no alias stands for; running invocations finish. Raises
        ClientError."""
        await self.registry.versions.delete(name, version)

    async def create_alias(
        self,
        name: str,
        alias: str,
        version: str,
        *,
        description: str = "",
        routing: Mapping[str, float] | None = None,
    ) -> Alias:
        """Give a version a name that it is invoked by. `routing` is a second version and the share
        of invocations that it gets, from 0 to 1. Raises ClientError."""
        return await self.registry.aliases.create(
            name, alias, version, description=description, routing=routing
        )

    async def update_alias(
        self,
        name: str,
        alias: str,
        *,
        version: str | None = None,
        description: str | None = None,
        routing: Mapping[str, float] | None = None,
    ) -> Alias:
        """Change what is given; invocations that run already stay where they are. An empty
        `routing` takes a second version away. Raises ClientError."""
        return await self.registry.aliases.update(
            name, alias, function_version=version, description=description, routing=routing
        )

    async def get_alias(self, name: str, alias: str) -> Alias:
        """An alias; raises ClientError if there is none."""
        return self.registry.aliases.get(name, alias)

    async def list_aliases(self, name: str) -> tuple[Alias, ...]:
        """All aliases of a function by name. Raises ClientError."""
        found: list[Alias] = []
        marker: str | None = None
        while True:
            page = self.registry.aliases.list(name, marker=marker)
            found += page.aliases
            marker = page.next_marker
            if marker is None:
                return tuple(found)

    async def delete_alias(self, name: str, alias: str) -> None:
        """Delete an alias; one that isn't there is no error. Raises ClientError."""
        await self.registry.aliases.delete(name, alias)

    async def _ready(self, version: FunctionVersion) -> FunctionVersion:
        done = await self.registry.wait_settled(version.name, version.version)
        if done.state is State.FAILED:
            raise ClientError(
                AWS.RESOURCE_CONFLICT,
                f"{done.qualified_arn} could not be made ready: {done.state_reason}",
            )
        return done

    # -- layers

    async def publish_layer(
        self, name: str, *, content: Directory | ZipBytes | Path | bytes, description: str = ""
    ) -> LayerVersion:
        """Publish the next version of a layer; functions take its `version_arn`.

        `content`: a directory, or the path or the bytes of a zip, laid out as it is to be at /opt
        (Python modules in `python/`). Raises ClientError.
        """
        new = NewLayerVersion(name, _source(content, watch=False), description)
        return await self.registry.layers.publish(new)


def _source(code: Code, watch: bool) -> CodeSource:
    if watch:
        if not isinstance(code, Path):
            raise ClientError(AWS.INVALID_PARAMETER, "watch=True needs a directory as the code")
        return LiveDirectory(code.absolute(), trusted=True)
    if isinstance(code, bytes):
        return ZipBytes(code)
    if isinstance(code, str):
        return Module(code)
    if isinstance(code, Path):
        if code.is_dir():
            return Directory(code)
        try:
            return ZipBytes(code.read_bytes())
        except OSError as error:
            raise ClientError(
                AWS.INVALID_PARAMETER, f"{code} is neither a directory nor a readable zip: {error}"
            ) from error
    return code


def _own_runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"
