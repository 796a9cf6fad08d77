"""Functions that start from a template: published, found among the processes, and struck."""

from __future__ import annotations

import os
import signal
from typing import Any

from tests.process.house import create, eventually, package, write

from samovar.engine import Engine
from samovar.model.function import FunctionVersion, State
from samovar.model.invocation import Outcome
from samovar.registry.functions import ConfigurationChanges


async def publish(engine: Engine, name: str = "f") -> FunctionVersion:
    """Publish `name` with SnapStart, and wait for what comes of it."""
    if engine.registry.get(name).configuration.snap_start != "PublishedVersions":
        changes = ConfigurationChanges(snap_start="PublishedVersions")
        await engine.registry.update_configuration(name, changes)
        await engine.registry.wait_settled(name)
    version = await engine.registry.versions.publish(name)
    return await engine.registry.wait_settled(name, version.version)


async def create_published(
    engine: Engine, handler: str, name: str = "f", **configuration: Any
) -> FunctionVersion:
    """A sample handler, published Active with SnapStart."""
    await create(engine, handler, name, **configuration)
    version = await publish(engine, name)
    assert version.state is State.ACTIVE, version.state_reason
    return version


async def write_published(
    engine: Engine, source: str, name: str = "f", **configuration: Any
) -> FunctionVersion:
    """A module as text, published with SnapStart, whatever came of it."""
    await write(engine, source, name, **configuration)
    return await publish(engine, name)


async def save(engine: Engine, source: str, name: str = "f") -> None:
    """New code for $LATEST."""
    await engine.update_function(name, code=package({"app.py": source}))


async def call(engine: Engine, event: Any = None, name: str = "f", version: str = "1") -> Outcome:
    """An invocation of a published version."""
    return await engine.invoke(name, {} if event is None else event, qualifier=version)


def template_pid(engine: Engine) -> int:
    """The one template's pid; 0 while there is none."""
    return next((one["pid"] or 0 for one in engine.templates()), 0)


def steward_pid(engine: Engine) -> int:
    (template,) = engine.templates()
    pid = template["steward_pid"]
    assert isinstance(pid, int)
    return pid


async def kill_template(engine: Engine) -> int:
    """SIGKILL the one template, and wait for the next one; whom it was."""
    old = template_pid(engine)
    os.kill(old, signal.SIGKILL)
    await eventually(lambda: template_pid(engine) not in (0, old), "there is another template")
    return old
