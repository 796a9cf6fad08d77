"""A code store on real files, opened for as long as a test looks at it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from samovar.stores.code_files import FileCodeStore


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def run(data_dir: Path, check: Callable[[FileCodeStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = FileCodeStore(data_dir)
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(opened())
