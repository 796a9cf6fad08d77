"""Where the code of a function comes from, and how it becomes a package in the code store."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.function import CodePackage
from samovar.neighbours import neighbour_client
from samovar.registry import archives, packages
from samovar.registry.live.hot_reload import HotReload
from samovar.settings import Settings
from samovar.stores.faults import told
from samovar.stores.protocols import CodeStore
from samovar.stores.threads import Threads

_CHUNK = 1024 * 1024
_FETCHING = "Error occurred while GetObject."  # AWS's own words, before whatever the reason is


@dataclass(frozen=True, slots=True)
class ZipBytes:
    """A zip sent along with the request; at most 50 MB, as with AWS."""

    data: bytes


@dataclass(frozen=True, slots=True)
class S3Object:
    """A zip in S3, fetched when the function is created or updated and kept from then on."""

    bucket: str
    key: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of this machine; packaged at once, later changes of it have no effect."""

    path: Path


@dataclass(frozen=True, slots=True)
class Module:
    """`package.module:function`, importable here; its top-level package is packaged at once."""

    target: str


@dataclass(frozen=True, slots=True)
class LiveDirectory:
    """A directory of this machine whose changes are taken in as they happen.

    `trusted`: it comes from the embedding program, which could read it anyway; others may name only
    what the setting `hot_reload_roots` allows.
    """

    path: Path
    trusted: bool = False


CodeSource = ZipBytes | S3Object | Directory | Module | LiveDirectory


@dataclass(frozen=True, slots=True)
class Received:
    """A package in the store; `unzipped`: bytes of its files; `tree`: where they are, None if it
    was not kept. `handler` and `runtime` are given only by a Module."""

    code: CodePackage
    unzipped: int
    tree: Path | None
    handler: str = ""
    runtime: str = ""


class Receiver:
    """Takes in code: fetches it, checks it and puts it into the code store."""

    def __init__(self, code: CodeStore, settings: Settings, hot_reload: HotReload) -> None:
        self._code = code
        self._hot_reload = hot_reload
        self._settings = settings
        self._threads = Threads("samovar-registry", 4)

    async def close(self) -> None:
        """Wait for running fetches; idempotent."""
        await self._threads.close()

    async def receive(self, source: CodeSource, *, keep: bool = True) -> Received:
        """The package that `source` gives, kept in the store unless `keep` is false.

        Raises ClientError for code that can't be had or is no package AWS would take, EngineError
        if the disk fails.
        """
        match source:
            case ZipBytes(data):
                if len(data) > limits.ZIPPED_INLINE_SIZE:
                    raise ClientError(
                        AWS.REQUEST_TOO_LARGE,
                        f"Zipped size must be smaller than {limits.ZIPPED_INLINE_SIZE} bytes",
                    )
                return await self._package(data, keep)
            case S3Object():
                _demand_endpoint(source, self._settings)
                staged = self._code.stage()
                await self._threads.run(_fetch, source, staged, self._settings)
                return await self._package(staged, keep)
            case Directory(path):
                data = await self._threads.run(archives.zip_directory, path)
                return await self._package(data, keep)
            case LiveDirectory(path, trusted):
                code = await self._hot_reload.take(path, trusted=trusted)
                return Received(code, unzipped=code.size, tree=None)
            case Module(target):
                made = await self._threads.run(archives.package_module, target)
                received = await self._package(made.content, keep)
                code = replace(received.code, import_paths=made.import_paths)
                return replace(received, code=code, handler=made.handler, runtime=made.runtime)

    async def inspect_layer(self, received: Received) -> tuple[bool, tuple[str, ...]]:
        """Of a layer that was kept: whether it brings its own boto3, and its extensions."""
        tree = received.tree
        assert tree is not None
        return await self._threads.run(
            lambda: (packages.brings_own_boto3(tree), packages.extensions(tree))
        )

    async def unzipped(self, code: CodePackage) -> int:
        """Bytes of the files of a package that was received; raises EngineError."""
        if code.directory:
            return code.size  # such a package has no zip
        return await self._code.unzipped(code.sha256, packages.extract)

    async def _package(self, content: bytes | Path, keep: bool) -> Received:
        take = self._code.put if keep else self._code.check
        kept = await take(content, packages.extract)
        preload = packages.BARE
        if kept.tree is not None:
            preload = await self._threads.run(packages.detect_preload, kept.tree)
        return Received(
            CodePackage(kept.sha256, kept.size, preload), unzipped=kept.unzipped, tree=kept.tree
        )


def _demand_endpoint(source: S3Object, settings: Settings) -> None:
    # Without one boto3 would go out to AWS, with whatever credentials it finds on this machine.
    if not settings.endpoint("s3"):
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"{_FETCHING} Samovar knows no S3 that could have s3://{source.bucket}/{source.key}: "
            "start it with --aws-endpoint (or SAMOVAR_AWS_ENDPOINT) and the URL of one, or send "
            "the package as ZipFile.",
        )


def _fetch(source: S3Object, target: Path, settings: Settings) -> None:
    # Imported here: 150 ms and 15 MB that only functions from S3 need.
    import botocore.exceptions as faults  # noqa: PLC0415

    try:
        with closing(_s3_client(settings)) as client, told(target.parent):
            where = {"Bucket": source.bucket, "Key": source.key}
            if source.version is not None:
                where["VersionId"] = source.version
            with closing(client.get_object(**where)["Body"]) as body:
                _save(body.iter_chunks(_CHUNK), target)
    except faults.ClientError as error:
        answer = error.response.get("Error", {})
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"{_FETCHING} S3 Error Code: {answer.get('Code', '')}. "
            f"S3 Error Message: {answer.get('Message', '')}",
        ) from error
    except faults.ParamValidationError as error:
        raise ClientError(AWS.INVALID_PARAMETER, str(error)) from error
    except faults.BotoCoreError as error:
        # The client's error, as AWS makes every failure here the client's: SDKs would repeat a 5xx
        # for half a minute before they say what is wrong.
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"{_FETCHING} The package s3://{source.bucket}/{source.key} could not be fetched from "
            f"{settings.endpoint('s3')}: {error} Is S3 served there? See --aws-endpoint.",
        ) from error


def _save(chunks: Iterable[bytes], target: Path) -> None:
    size = 0
    try:
        with target.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > limits.UNZIPPED_SIZE:  # a zip of that size can't hold less
                    raise ClientError(AWS.INVALID_PARAMETER, packages.TOO_LARGE)
                file.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _s3_client(settings: Settings) -> Any:
    return neighbour_client(
        "s3",
        settings,
        retries={"mode": "standard", "max_attempts": 3},
        s3={"addressing_style": "path"},  # one address has no host name per bucket
    )
