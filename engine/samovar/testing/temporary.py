"""Engines on a directory that is gone afterwards, and one call of one function on such a one."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from samovar.blocking import BlockingEngine
from samovar.engine import Code, Engine
from samovar.model.invocation import Outcome
from samovar.settings import Settings

_NAME = "function"


@asynccontextmanager
async def engine(**settings: Any) -> AsyncIterator[Engine]:
    """A running engine on the running loop, on a temporary data directory.

    `settings` are the fields of `samovar.Settings`, except `data_dir`. `SAMOVAR_*` variables do not
    count: a test should not depend on who runs it. Raises what entering an Engine raises; TypeError
    for `data_dir` and for what is no setting.
    """
    directory = Path(tempfile.mkdtemp(prefix="samovar-"))
    try:
        async with Engine(temporary_settings(directory, **settings)) as running:
            yield running
    finally:
        await asyncio.to_thread(shutil.rmtree, directory)


def run_function(
    code: Code,
    event: Any = b"",
    *,
    handler: str = "",
    runtime: str = "",
    environment: Mapping[str, str] | None = None,
    timeout: int = 3,
) -> Outcome:
    """Deploy a function to an engine of its own, invoke it once, and clear everything away.

    `code`, `handler`, `runtime`, `environment` and `timeout` (seconds) are those of
    `Engine.create_function`; `event` is the payload of `Engine.invoke`. The outcome has the
    function's log in `log_tail`; an error of the function is an outcome too. Blocks, for about as
    long as an engine takes to start: tests with many calls do better with one engine for them all.
    Raises ClientError, EngineError and SettingsError.
    """
    with tempfile.TemporaryDirectory(prefix="samovar-") as directory:
        # One call needs no context in reserve.
        settings = temporary_settings(Path(directory), spares=0)
        with BlockingEngine(settings) as running:
            running.create_function(
                _NAME,
                code=code,
                handler=handler,
                runtime=runtime,
                environment=environment,
                timeout=timeout,
            )
            return running.invoke(_NAME, event, log_tail=True)


def temporary_settings(directory: Path, **settings: Any) -> Settings:
    """Settings with `directory` as the data directory; TypeError if `settings` names another."""
    if "data_dir" in settings:
        raise TypeError(
            "data_dir is a temporary directory here: for one of your own "
            "use Engine(Settings(data_dir=...))"
        )
    return Settings(data_dir=directory, **settings)
