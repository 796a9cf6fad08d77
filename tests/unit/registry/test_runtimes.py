"""Finding interpreters: by asking them, with real processes that answer."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from samovar.errors import AWS, ClientError, SettingsError
from samovar.registry import runtimes
from samovar.registry.runtimes import Interpreter, Runtimes
from samovar.settings import Settings

RUNNING = f"python{sys.version_info.major}.{sys.version_info.minor}"


def interpreter(runtime: str, version: str = "") -> Interpreter:
    return Interpreter(runtime, "/x", version or f"{runtime[6:]}.0", "/", "cpython", "cpython")


def discover(**overrides: str) -> Runtimes:
    named = {f"python{name[2:].replace('_', '.')}": path for name, path in overrides.items()}
    return asyncio.run(Runtimes.discover(Settings(interpreters=named)))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but the running interpreter, until a test puts more on it."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}/usr/bin-of-nobody")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    return tmp_path


def answers(path: Path, version: tuple[object, ...], **facts: object) -> str:
    """Put an executable there that answers as an interpreter of that version would."""
    answer = {
        "implementation": "cpython",
        "version": version,
        "executable": str(path),
        "base_prefix": str(path.parent.parent),
        "cache_tag": f"cpython-{version[0]}{version[1]}",
        "soabi": f"cpython-{version[0]}{version[1]}-x86_64-linux-gnu",
        "abiflags": "",
        **facts,
    }
    return script(path, f"echo '{json.dumps(answer)}'")


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_running_interpreter_is_found_by_its_real_name(machine: Path) -> None:
    found = discover()
    (mine,) = found.served
    assert mine.runtime == RUNNING
    assert mine.version.startswith(".".join(map(str, sys.version_info[:3])))
    assert mine.executable == os.path.realpath(mine.executable)
    assert mine.base_prefix == sys.base_prefix
    assert mine.cache_tag == sys.implementation.cache_tag
    assert mine.soabi.startswith("cpython-")
    assert found.get(RUNNING) == found.require(RUNNING) == mine


def test_path_pyenv_and_uv_are_looked_at(machine: Path) -> None:
    on_path = answers(machine / "path" / "python3.12", (3, 12, 1, "final", 0))
    of_pyenv = answers(machine / "pyenv/versions/3.13.2/bin/python3.13", (3, 13, 2, "final", 0))
    of_uv = answers(machine / "uv/cpython-3.14/bin/python3.14", (3, 14, 0, "final", 0))
    found = {item.runtime: item.executable for item in discover().served}
    wanted = {"python3.12": on_path, "python3.13": of_pyenv, "python3.14": of_uv}
    assert {name: path for name, path in found.items() if name != RUNNING} == {
        name: path for name, path in wanted.items() if name != RUNNING
    }


def test_shims_are_passed_over_for_what_is_behind_them(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(machine / "pyenv/shims/python3.12", f": > {machine}/asked")
    monkeypatch.setenv("PATH", str(machine / "pyenv/shims"))
    discover()
    assert not (machine / "asked").exists()


def test_the_newest_final_patch_serves(machine: Path) -> None:
    answers(machine / "path" / "python3.14", (3, 14, 0, "final", 0))
    newest = answers(machine / "pyenv/versions/3.14.2/bin/python3.14", (3, 14, 2, "final", 0))
    answers(machine / "pyenv/versions/3.14.9rc1/bin/python3.14", (3, 14, 9, "candidate", 1))
    answers(machine / "uv/a/bin/python3.15", (3, 15, 0, "alpha", 3))
    found = discover()
    assert found.require("python3.14").executable == newest
    assert found.require("python3.15").version == "3.15.0a3"  # better than none


def test_what_is_no_ordinary_interpreter_is_passed_over(machine: Path) -> None:
    path = machine / "path"
    answers(path / "python3.12", (3, 12, 0, "final", 0), implementation="pypy")
    answers(path / "python3.13", (3, 13, 0, "final", 0), abiflags="t")
    answers(path / "python3.14", (3, 10, 0, "final", 0))
    script(path / "python3.15", "echo hello")
    script(path / "python3", "exit 3")
    (path / "python3.11").mkdir()
    assert {item.runtime for item in discover().served} == {RUNNING}


def test_an_override_wins(machine: Path) -> None:
    answers(machine / "path" / "python3.14", (3, 14, 5, "final", 0))
    chosen = answers(machine / "mine", (3, 14, 1, "final", 0))
    assert discover(py3_14=chosen).require("python3.14").executable == chosen


def test_an_override_is_named_when_it_is_wrong(machine: Path) -> None:
    other = answers(machine / "other", (3, 13, 1, "final", 0))
    with pytest.raises(SettingsError, match=r"python3\.14=.*other: that is Python 3\.13\.1"):
        discover(py3_14=other)
    with pytest.raises(SettingsError, match=r"python3\.14=/nowhere: it can't be run"):
        discover(py3_14="/nowhere")
    broken = script(machine / "broken", "echo no such luck >&2; exit 127")
    with pytest.raises(SettingsError, match="broken: it ended with status 127 no such luck"):
        discover(py3_14=broken)
    chatty = script(machine / "chatty", "echo '[1]'")
    with pytest.raises(SettingsError, match="does not answer as a Python interpreter"):
        discover(py3_14=chatty)
    for runtime in ("python3.10", "python3.99", "nodejs22.x"):
        with pytest.raises(SettingsError, match=f"'{runtime}' is not a runtime that"):
            asyncio.run(Runtimes.discover(Settings(interpreters={runtime: "/x"})))


def test_one_that_never_answers_is_ended_with_its_children(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "_PROBE_TIMEOUT", 0.2)
    hangs = script(machine / "hangs", "/bin/sleep 1000 & /bin/sleep 1000")
    with pytest.raises(SettingsError, match="hangs: it has not answered"):
        discover(py3_14=hangs)


def refusal(runtime: str) -> str:
    found = Runtimes([interpreter("python3.12", "3.12.9"), interpreter("python3.11", "3.11.2")])
    with pytest.raises(ClientError) as caught:
        found.require(runtime)
    assert caught.value.error is AWS.INVALID_PARAMETER
    assert found.get(runtime) is None
    return caught.value.message


def test_unknown_runtimes_get_awss_text() -> None:
    message = refusal("python4.0")
    match = re.fullmatch(
        r"Value python4\.0 at 'runtime' failed to satisfy constraint: "
        r"Member must satisfy enum value set: \[(.*)\] or be a valid ARN",
        message,
    )
    assert match
    assert {"python3.13", "nodejs22.x", "provided.al2023"} <= set(match[1].split(", "))


@pytest.mark.parametrize("runtime", ["python2.7", "python3.6", "python3.7", "python3.8"])
def test_retired_runtimes_get_awss_text(runtime: str) -> None:
    assert refusal(runtime) == (
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS "
        "Lambda functions. We recommend you use a supported runtime while creating or updating "
        "functions."
    )


def test_known_runtimes_without_an_interpreter_say_what_to_do() -> None:
    message = refusal("python3.14")
    assert "SAMOVAR_INTERPRETERS=python3.14=" in message
    assert message.endswith("Served here: python3.11 (3.11.2), python3.12 (3.12.9).")
    assert "python3.11 and newer" in refusal("python3.9")
    assert "Python functions only" in refusal("nodejs22.x")
