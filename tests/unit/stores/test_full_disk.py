"""A disk that is really full: a tmpfs of 2 MB, in a mount namespace that ends with the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, json, subprocess, sys
from pathlib import Path
from samovar.errors import EngineError
from samovar.stores.code_files import FileCodeStore
from samovar.stores.protocols import Put, Record
from samovar.stores.sqlite import SqliteRecordStore

place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True)
MB = 1024 * 1024

def extract(stream, tree):
    (tree / "a").write_bytes(stream.read())

def files():
    return sorted(str(p.relative_to(place)) for p in (place / "code").rglob("*") if p.is_file())

async def refused(awaitable):
    try:
        await awaitable
    except EngineError as error:
        return error.message
    return None

async def main():
    code, store = FileCodeStore(place), SqliteRecordStore(place)
    await code.open()
    await store.open()
    await store.write(Put(Record("function", "arn:a", "r1", "{}", "n"), None))
    before = files()
    answer = {
        "zip": await refused(code.put(bytes(4 * MB), extract)),
        "tree": await refused(code.put(bytes(MB + MB // 4), extract)),
        "check": await refused(code.check(bytes(MB + MB // 4), extract)),
        "left": [name for name in files() if name not in before],
    }
    (place / "ballast").write_bytes(bytes(MB))
    big = Record("function", "arn:b", "r1", "x" * (2 * MB), "n")
    answer["store"] = await refused(store.write(Put(big, None)))
    answer["still"] = [item.key for item in await store.load()]
    (place / "ballast").unlink()
    small = Record("function", "arn:c", "r1", "{}", "n")
    answer["after"] = await refused(store.write(Put(small, None)))
    answer["kept"] = (await code.put(b"fits", extract)).size
    await store.close()
    await code.close()
    print(json.dumps(answer))

asyncio.run(main())
"""


def unshare() -> list[str]:
    command = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this user may make no mount namespace")
    return command


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, checkout: Path) -> None:
    paths = os.pathsep.join([str(checkout / "engine"), str(checkout / "workers")])
    done = subprocess.run(
        [*unshare(), sys.executable, "-c", SCRIPT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    for step in ("zip", "tree", "check", "store"):
        assert "is full" in answer[step], step
        assert "--data-dir" in answer[step]
    assert answer["left"] == []
    assert answer["still"] == ["arn:a"]
    assert answer["after"] is None
    assert answer["kept"] == 4
