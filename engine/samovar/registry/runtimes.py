"""Which runtimes are served here: AWS's names, and the interpreters found on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from samovar.errors import AWS, ClientError, SettingsError
from samovar.settings import Settings
from samovar.stores.threads import Threads

# AWS answers these with a text of their own (runtimes whose end of update has passed).
RETIRED = frozenset({"python2.7", "python3.6", "python3.7", "python3.8"})
# The code that runs in the worker needs 3.11, as the engine does.
OLDEST = (3, 11)

_PROBE_TIMEOUT = 20.0
_PROBE_THREADS = 4

# -I -S: the answer must not depend on a user's site packages, which may also take long to load.
_QUESTION = """
import sys, os, json
from importlib.machinery import EXTENSION_SUFFIXES as suffixes
base = getattr(sys, "_base_executable", None) or sys.executable
if not (base and os.path.isfile(base)): base = os.readlink("/proc/self/exe")
print(json.dumps({
    "implementation": sys.implementation.name, "version": list(sys.version_info),
    "executable": os.path.realpath(base), "base_prefix": sys.base_prefix,
    "cache_tag": sys.implementation.cache_tag,
    "soabi": suffixes[0].split(".")[1] if suffixes else "", "abiflags": sys.abiflags,
}))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter that serves a runtime.

    `executable` is the real binary, never a shim, a link or a virtual environment's; `version` is
    like «3.11.7» (with «rc1» and the like behind it for a pre-release); `cache_tag` is what its
    .pyc files are called by («cpython-311») and `soabi` its extension modules
    («cpython-311-x86_64-linux-gnu»).
    """

    runtime: str
    executable: str
    version: str
    base_prefix: str
    cache_tag: str
    soabi: str


@cache
def known_runtimes() -> tuple[str, ...]:
    """All runtime names of the Lambda service model, in its order."""
    from botocore.loaders import Loader  # noqa: PLC0415 - 40 ms that a mere import needn't pay

    model = Loader().load_service_model("lambda", "service-2")
    return tuple(model["shapes"]["Runtime"]["enum"])


class Runtimes:
    """The interpreters of this engine, one for each runtime that it serves."""

    def __init__(self, interpreters: Iterable[Interpreter]) -> None:
        self._by_runtime = {item.runtime: item for item in interpreters}

    @classmethod
    async def discover(cls, settings: Settings) -> Runtimes:
        """Ask every interpreter on PATH, of pyenv and of uv, and the running one, who it is.

        `settings.interpreters` win over what is found; raises SettingsError for one that names an
        unknown runtime or that does not run as what it is said to be. Of several interpreters the
        newest patch release serves; pre-releases only where there is nothing else.
        """
        threads = Threads("samovar-probe", _PROBE_THREADS)
        try:
            return await _discover(threads, settings.interpreters)
        finally:
            await threads.close()

    @property
    def served(self) -> tuple[Interpreter, ...]:
        """What is served here, oldest version first."""
        return tuple(
            sorted(self._by_runtime.values(), key=lambda item: _minor(item.runtime) or OLDEST)
        )

    def get(self, runtime: str) -> Interpreter | None:
        """The interpreter of `runtime`, if it is served here."""
        return self._by_runtime.get(runtime)

    def require(self, runtime: str) -> Interpreter:
        """The interpreter of `runtime`; raises ClientError that says why there is none."""
        interpreter = self._by_runtime.get(runtime)
        if interpreter is not None:
            return interpreter
        known = known_runtimes()
        if runtime not in known:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy "
                f"enum value set: [{', '.join(known)}] or be a valid ARN",
            )
        if runtime in RETIRED:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                f"The runtime parameter of {runtime} is no longer supported for creating or "
                "updating AWS Lambda functions. We recommend you use a supported runtime while "
                "creating or updating functions.",
            )
        raise ClientError(AWS.INVALID_PARAMETER, f"{self._why_not(runtime)} {self._what_exists()}")

    def _why_not(self, runtime: str) -> str:
        minor = _minor(runtime)
        if minor is None:
            return f"Samovar runs Python functions only; {runtime} is not carried out."
        if minor < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            return f"Samovar serves python{oldest} and newer; {runtime} is not carried out."
        return (
            f"There is no interpreter for {runtime} on this machine. Install {runtime} (the "
            f"system's packages, «pyenv install {runtime.removeprefix('python')}» or "
            f"«uv python install {runtime.removeprefix('python')}») or name one with "
            f"SAMOVAR_INTERPRETERS={runtime}=/path/to/{runtime}, then start Samovar again."
        )

    def _what_exists(self) -> str:
        found = ", ".join(f"{item.runtime} ({item.version})" for item in self.served)
        return f"Served here: {found or 'none'}."


class _UnusableError(Exception):
    """Why something is no interpreter that could serve; the text follows «path: »."""


@dataclass(frozen=True, slots=True)
class _Answer:
    interpreter: Interpreter
    rank: tuple[bool, int]  # final releases before others, then the newest patch
    free_threaded: bool


async def _discover(threads: Threads, overrides: Mapping[str, str]) -> Runtimes:
    for runtime in overrides:
        if (minor := _minor(runtime)) is None or minor < OLDEST or runtime not in known_runtimes():
            raise SettingsError(
                f"interpreters={runtime}={overrides[runtime]}: {runtime!r} is not a runtime that "
                f"Samovar serves; use python{'.'.join(map(str, OLDEST))} or newer"
            )
    candidates = list(dict.fromkeys([*overrides.values(), *await threads.run(_candidates)]))
    answers = dict(zip(candidates, await _ask_all(threads, candidates), strict=True))
    best: dict[str, _Answer] = {}
    for path in candidates:
        answer = answers[path]
        # AWS runs the ordinary build, and extension modules are made for it.
        if isinstance(answer, _Answer) and not answer.free_threaded:
            runtime = answer.interpreter.runtime
            if runtime not in best or answer.rank > best[runtime].rank:
                best[runtime] = answer
    found = {runtime: answer.interpreter for runtime, answer in best.items()}
    for runtime, path in overrides.items():
        answer = answers[path]
        if isinstance(answer, _UnusableError):
            raise SettingsError(f"interpreters={runtime}={path}: {answer}")
        if answer.interpreter.runtime != runtime:
            raise SettingsError(
                f"interpreters={runtime}={path}: that is Python {answer.interpreter.version}"
            )
        found[runtime] = answer.interpreter
    return Runtimes(found.values())


async def _ask_all(threads: Threads, paths: list[str]) -> list[_Answer | _UnusableError]:
    return await asyncio.gather(*(threads.run(_ask, path) for path in paths))


def _candidates() -> list[str]:
    """Executables that may be interpreters, each real file once; pyenv's shims left aside, for
    the versions behind them are looked at directly."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    shims = os.path.realpath(pyenv / "shims")
    directories = [
        Path(entry)
        for entry in os.environ.get("PATH", "").split(os.pathsep)
        if entry and os.path.realpath(entry) != shims
    ]
    directories += _below(pyenv, "versions/*/bin")
    directories += _below(uv, "*/bin")
    names = [name for name in known_runtimes() if (_minor(name) or (0, 0)) >= OLDEST]
    found: dict[str, None] = {}
    # Of an interpreter in a virtual environment only the one it was made from is of use.
    running = getattr(sys, "_base_executable", None) or sys.executable
    for path in (running, *(directory / name for directory in directories for name in names)):
        if path and os.access(path, os.X_OK):
            found[os.path.realpath(path)] = None
    for directory in directories:  # whatever version it may be: asked last, and rarely a new file
        if os.access(directory / "python3", os.X_OK):
            found[os.path.realpath(directory / "python3")] = None
    return list(found)


def _below(directory: Path, pattern: str) -> list[Path]:
    try:
        return sorted(directory.glob(pattern))
    except OSError:
        return []  # another user's: PYENV_ROOT is often inherited where it can't be read


def _ask(path: str) -> _Answer | _UnusableError:
    try:
        output = _run([path, "-I", "-S", "-c", _QUESTION])
        facts: dict[str, Any] = json.loads(output)
        major, minor, micro, level, serial = facts["version"]
    except _UnusableError as unusable:
        return unusable
    except (ValueError, KeyError, TypeError):
        return _UnusableError("it runs, but does not answer as a Python interpreter")
    if facts["implementation"] != "cpython":
        return _UnusableError(f"it is {facts['implementation']}; AWS's runtimes are CPython")
    if (major, minor) < OLDEST:
        return _UnusableError(f"it is Python {major}.{minor}; at least 3.{OLDEST[1]} is needed")
    final = level == "final"
    suffix = "" if final else f"{'rc' if level == 'candidate' else level[:1]}{serial}"
    return _Answer(
        Interpreter(
            runtime=f"python{major}.{minor}",
            executable=facts["executable"],
            version=f"{major}.{minor}.{micro}{suffix}",
            base_prefix=facts["base_prefix"],
            cache_tag=facts["cache_tag"],
            soabi=facts["soabi"],
        ),
        rank=(final, micro),
        free_threaded="t" in facts["abiflags"],
    )


def _run(command: list[str]) -> str:
    """What `command` prints; raises _UnusableError. Ends whatever it has started with it."""
    try:
        process = subprocess.Popen(  # noqa: S603 - an executable of this machine, by its path
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )
    except OSError as error:
        raise _UnusableError(f"it can't be run: {error.strerror}") from error
    with process:
        try:
            output, complaint = process.communicate(timeout=_PROBE_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            # A shim may have children, which would hold the pipes open: the whole group goes.
            os.killpg(process.pid, signal.SIGKILL)
            raise _UnusableError(f"it has not answered for {_PROBE_TIMEOUT:g} s") from error
    if process.returncode != 0:
        last = (complaint.strip().splitlines() or [""])[-1]
        raise _UnusableError(f"it ended with status {process.returncode} {last}".rstrip())
    return output


def _minor(runtime: str) -> tuple[int, int] | None:
    """(3, 12) for «python3.12»; None for what is not Python."""
    match = re.fullmatch(r"python([0-9]+)\.([0-9]+)", runtime)
    return (int(match[1]), int(match[2])) if match else None
