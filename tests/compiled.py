"""Bytecode for all that a test run imports, written once, before its processes begin.

Each of them would compile it anew where Python writes no bytecode by itself (containers often set
PYTHONDONTWRITEBYTECODE), and each of xdist's does so with the tests in a fresh checkout: they all
begin at the same moment. pip does this for what it installs.
"""

from __future__ import annotations

import compileall
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

# What is imported as it is written: pytest rewrites the asserts of the others.
_PLAIN = ("engine", "workers", "tests")
_REWRITTEN = re.compile(r"/(test_[^/]*|conftest)\.py$")


def before_the_processes(config: pytest.Config, checkout: Path) -> None:
    """All of the engine, the worker, the helpers and the tests."""
    for name in _PLAIN:
        compileall.compile_dir(checkout / name, quiet=1, rx=_REWRITTEN)
    state = config.stash.get(rewrite.assertstate_key, None)
    if state is None or state.hook is None or not config.getoption("numprocesses", None):
        return  # with --assert=plain, or by one process, which rewrites each once anyway
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    found = [
        path
        for path in sorted(checkout.joinpath("tests").rglob("*.py"))
        if any(path.is_relative_to(place) for place in asked) and _wanted(path)
    ]
    count = os.cpu_count() or 1
    _side_by_side(count, lambda part: _rewrite(config, state, found[part::count]))


def _wanted(path: Path) -> bool:
    """Whether pytest would rewrite it, and has not yet."""
    return bool(_REWRITTEN.search(str(path))) and rewrite._read_pyc(path, _cached(path)) is None


def _cached(path: Path) -> Path:
    return rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL)


def _rewrite(config: pytest.Config, state: object, paths: list[Path]) -> None:
    for path in paths:
        _cached(path).parent.mkdir(exist_ok=True)
        stamp, code = rewrite._rewrite_test(path, config)
        rewrite._write_pyc(state, code, stamp, _cached(path))


def _side_by_side(count: int, work: Callable[[int], None]) -> None:
    """`work` in so many processes, each with its number."""
    pids = []
    for part in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                work(part)
            finally:
                os._exit(0)  # whatever went wrong shows where the test is imported
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
