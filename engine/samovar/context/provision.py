"""From a version to a context that is ready to be started: code, zygote, environment, /tmp."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from samovar.clock import Clock
from samovar.context import launch_plan
from samovar.context.context import ExecutionContext
from samovar.context.environment import Paths, Region, function_environment, log_stream_name
from samovar.context.launch_plan import Family
from samovar.context.launcher import Context, Placement, Prepared, long_init_timeout
from samovar.context.nursery import Nursery
from samovar.context.offline import ONLINE, NetworkNotApart, Offline
from samovar.context.opening import RESTORE_TIMEOUT
from samovar.context.sweep import end_strays
from samovar.context.templates import Templates
from samovar.logs.stream import Level, LogStream
from samovar.model.function import FunctionVersion, LogFormat, default_log_group
from samovar.model.invocation import Initialization
from samovar.model.runtime_version import runtime_version, runtime_version_arn
from samovar.registry.runtimes import Interpreter, Runtimes


class Extracted(Protocol):
    """The files of a package and of its layers, and the seconds it took to get them."""

    @property
    def path(self) -> Path: ...
    @property
    def layers(self) -> Path | None: ...
    @property
    def seconds(self) -> float: ...


Extract = Callable[[FunctionVersion], Awaitable[Extracted]]
# Raises ClientError if a version may not run on this interpreter.
DemandVersion = Callable[[FunctionVersion, Interpreter], None]


def _any_version(version: FunctionVersion, interpreter: Interpreter) -> None:
    pass


class Provisioner:
    """A Launcher of real processes: knows where everything comes from."""

    def __init__(
        self,
        nursery: Nursery,
        runtimes: Runtimes,
        extract: Extract,
        clock: Clock,
        region: Region,
        *,
        offline: Offline = ONLINE,
    ) -> None:
        self._nursery = nursery
        self._runtimes = runtimes
        self._extract = extract
        self._clock = clock
        self._region = region
        self._offline = offline
        self.demand_version: DemandVersion = _any_version
        self.templates = Templates(nursery, self.family, self._place_template, self.release)
        self._bereft: set[str] = set()  # directories of contexts whose zygote was killed

    def family(self, version: FunctionVersion) -> Family:
        """The kind of zygote that forks contexts of `version`; raises ClientError for a runtime
        whose interpreter is not here any more, or is not the one that the function asks for."""
        interpreter = self._runtimes.require(version.configuration.runtime)
        self.demand_version(version, interpreter)
        return Family(interpreter, version.preload, version.code.import_paths)

    async def prepare(self, version: FunctionVersion, provisioned: bool = False) -> Prepared:
        """A context, forked or being forked, and its placement; `provisioned`: ahead of need.
        Raises SamovarError, OSError."""
        family = self.family(version)
        if version.name in self._offline:
            hello = (await self._nursery.zygote(family)).hello
            self._offline.demand(version.name, hello.walls, hello.missing)
        if version.starts_from_template and not provisioned:
            restored = await self.templates.obtain(version)
            if restored is not None:
                return Prepared(restored, self._place_restored(version, family, restored), 0.0)
        extracted = await self._extract(version)
        context = await self._nursery.obtain(family)
        kind = Initialization.PROVISIONED if provisioned else Initialization.ON_DEMAND
        try:
            placement = self._place(version, family, context.number, extracted, kind)
            return Prepared(context, placement, extracted.seconds)
        except BaseException:
            context.discard()
            raise

    def may_run(self, version: FunctionVersion) -> bool:
        """Whether this host can give its contexts what they may not be without."""
        try:
            self._offline.demand(version.name, self._nursery.walls, self._nursery.missing)
        except NetworkNotApart:
            return False
        return True

    async def _place_template(self, version: FunctionVersion, number: int) -> Placement:
        extracted = await self._extract(version)
        kind = Initialization.SNAP_START
        return self._place(version, self.family(version), number, extracted, kind)

    def _place_restored(
        self, version: FunctionVersion, family: Family, context: ExecutionContext
    ) -> Placement:
        """Only what is not as the template has it."""
        kind = Initialization.SNAP_START
        try:
            tmp_dir = None if self._nursery.walled else self._make_tmp_dir(context.number)
        except BaseException:
            context.discard()
            raise
        log = self._log_stream(version, family, kind)
        return Placement(
            version=version,
            task_root="",
            environment={"AWS_LAMBDA_LOG_STREAM_NAME": log.name},
            import_paths=(),
            tmp_dir=tmp_dir,
            log=log,
            init_timeout=RESTORE_TIMEOUT,
        )

    def _make_tmp_dir(self, number: int) -> str:
        directory = self._nursery.premises.contexts / str(number)
        directory.mkdir(mode=0o700)
        return str(directory)

    def release(self, context: Context) -> None:
        """Remove what a context without namespaces leaves on the disk."""
        assert isinstance(context, ExecutionContext)  # it comes from here
        placement = context.placement
        if placement is None or placement.tmp_dir is None:
            return
        directory, loop = placement.tmp_dir, asyncio.get_running_loop()
        if context.zygote.alive:
            loop.run_in_executor(None, lambda: shutil.rmtree(directory, ignore_errors=True))
            return
        # Its zygote's other contexts are lost in the same step: one look at all processes will do.
        if not self._bereft:
            loop.call_soon(self._end_strays)
        self._bereft.add(directory)

    def _end_strays(self) -> None:
        bereft, self._bereft = self._bereft, set()
        asyncio.get_running_loop().run_in_executor(None, end_strays, frozenset(bereft))

    def _place(
        self,
        version: FunctionVersion,
        family: Family,
        number: int,
        extracted: Extracted,
        kind: Initialization,
    ) -> Placement:
        nursery = self._nursery
        walled = nursery.walled
        premises = nursery.premises
        root = launch_plan.task_root(premises, extracted.path, walled)
        layers = None
        if extracted.layers is not None:
            layers = launch_plan.task_root(premises, extracted.layers, walled)
        log = self._log_stream(version, family, kind)
        paths = Paths()
        tmp_dir = None
        if not walled:
            paths = Paths(
                task_root=root,
                runtime=str(premises.runtime),
                path=f"{Path(family.interpreter.executable).parent}:/usr/local/bin:/usr/bin:/bin",
                library_path="",
            )
            if layers is not None:
                bin_path = f"{paths.path}:{layers}/bin"
                paths = replace(paths, path=bin_path, library_path=f"{layers}/lib")
            tmp_dir = self._make_tmp_dir(number)
        environment = function_environment(version, log.name, kind, self._region, paths)
        ahead = kind is not Initialization.ON_DEMAND
        return Placement(
            version=version,
            task_root=root,
            layers=layers,
            environment=environment,
            import_paths=launch_plan.import_paths(family, walled),
            tmp_dir=tmp_dir,
            provisioned=kind is Initialization.PROVISIONED,
            init_timeout=long_init_timeout(version) if ahead else None,
            offline=version.name in self._offline,
            log=log,
        )

    def _log_stream(
        self, version: FunctionVersion, family: Family, kind: Initialization
    ) -> LogStream:
        configuration = version.configuration
        runtime, interpreter = configuration.runtime, family.interpreter
        return LogStream(
            group=configuration.log_group or default_log_group(version.name),
            name=log_stream_name(version.version, self._clock.wall()),
            function=version.name,
            version=version.version,
            runtime=runtime_version(runtime, interpreter.version),
            runtime_arn=runtime_version_arn(self._region.region, runtime, interpreter.version),
            json=configuration.log_format == LogFormat.JSON,
            level=Level[configuration.system_log_level or "INFO"],
            initialization=kind.value,
        )
