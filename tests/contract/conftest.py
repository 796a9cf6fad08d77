"""What contract tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.stores.invoke_queue import InvokeQueue
from samovar.stores.memory_queue import MemoryInvokeQueue
from samovar.stores.sqlite_queue import SqliteInvokeQueue


@pytest.fixture(params=["memory", "sqlite"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> InvokeQueue:
    """The fake one and the real one, in turn; `here` is the node's."""
    if request.param == "memory":
        return MemoryInvokeQueue("here")
    return SqliteInvokeQueue(tmp_path, "here", 1 << 30)
