"""An engine as users start it, and what speaks to it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.house import Engine, Toolbox, fetched
from tests.process.programs import Program, serve


@pytest.fixture(scope="session", autouse=True)
def _prepared(prepared: None) -> None:
    """Engines are forked from a process that has done their imports."""


@contextmanager
def served(data_dir: Path, *flags: str) -> Iterator[Engine]:
    """`samovar start` on a port of the system's choice; told to stop at the end, it ends well."""
    with Program(*serve(data_dir, "auto", *flags)) as program:
        yield Engine(program.line().rpartition(" ")[2])
        program.signal(signal.SIGTERM)
        code, _, err = program.end()
        assert code == 0, err
        assert "Traceback" not in err


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with served(tmp_path / "data") as it:
        yield it


@contextmanager
def behind_a_lock(place: Path, *flags: str) -> Iterator[Engine]:
    """An engine that serves only who signs with its key; `place` is a directory for what it has."""
    keys = place / "credentials"
    secret = "wJalr/plain+secret"
    keys.touch(0o600)
    keys.write_text(f"[default]\naws_access_key_id = AKIDHOUSE\naws_secret_access_key = {secret}\n")
    with served(place / "data", "--credentials-file", str(keys), *flags) as it:
        yield replace(it, key_id="AKIDHOUSE", secret=secret)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Engine]:
    """As `behind_a_lock`, with nothing beside it."""
    with behind_a_lock(tmp_path) as it:
        yield it


@pytest.fixture
def aws(engine: Engine) -> Iterator[Any]:
    """A boto3 client of `engine`, set up as users set one up."""
    client = engine.client()
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="session")
def javascript() -> Toolbox:
    """Node, and the AWS SDK for JavaScript."""
    return fetched()
