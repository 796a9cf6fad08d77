#!/usr/bin/env python3
"""Set up everything from scratch, then do one job. Needs Python 3.11+ and its pip, nothing else.

    python3 run.py demo     upload a picture to S3, and see what a function makes of its event
    python3 run.py test     run the tests (in a new environment each time; --reuse keeps it)
    python3 run.py setup    only build the environment, and say where it is

What run.py does not know itself is handed on to the job: python3 run.py test -k wire
"""

# Only the standard library; and nothing that Python 3.6 can't parse and run up to the check below,
# for on an old Python this file's whole job is to say so.

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple, NoReturn

NEEDED = (3, 11)
if sys.version_info < NEEDED:
    sys.exit(
        f"run.py: this is Python {platform.python_version()}; Samovar needs 3.11 or newer.\n"
        "  Install one (Debian 12+: sudo apt install python3; elsewhere: uv python install 3.12,\n"
        "  or pyenv), then start this file with it: python3.12 run.py ..."
    )

CHECKOUT = Path(__file__).resolve().parent
STAMP = "samovar-setup"  # written into an environment last: one without it was never finished
KEPT_LINES = 60  # of pip's output, shown when it fails


class SetupError(Exception):
    """Setting up failed; the message says what to do next."""


class Job(NamedTuple):
    """What a job needs to be installed, and what it then runs (nothing: only the setup).

    An editable installation follows the source by itself, a plain one holds a copy of it.
    """

    requirement: str
    editable: bool
    fresh: bool
    command: tuple[str, ...]


JOBS = {
    "demo": Job(".[demo]", False, False, ("-m", "samovar.doors.cli", "demo")),
    "test": Job(".[dev,demo]", True, True, ("-m", "pytest")),
    "setup": Job(".[demo]", False, False, ()),
}


def main(arguments: list[str]) -> int:
    options, rest = parse(arguments)
    job = JOBS[options.job]
    try:
        place = options.venv or default_place()
        digest = fingerprint(job)
        if (job.fresh and not options.reuse) or read_stamp(place) != digest:
            build(place, job, digest)
        else:
            say(f"using the environment in {place}")
    except SetupError as error:
        say(str(error))
        return 1
    if not job.command:
        say(f"ready: {place / 'bin' / 'samovar'}")
        return 0
    if options.job == "test":
        os.chdir(CHECKOUT)  # where pytest finds its configuration
    return become(str(python_of(place)), *job.command, *rest)


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an option of the job's must not pass for one of ours
    )
    parser.add_argument(
        "--venv",
        metavar="DIR",
        type=lambda text: Path(text).expanduser().absolute(),
        help="put the environment there instead of .venv",
    )
    parser.add_argument("--reuse", action="store_true", help="keep an environment that is current")
    parser.add_argument("job", choices=sorted(JOBS))
    options, rest = parser.parse_known_args(arguments)
    if rest and not JOBS[options.job].command:
        parser.error(f"{options.job} takes no more arguments: {' '.join(rest)}")
    return options, rest


def become(*command: str) -> NoReturn:
    """Go on as `command`: not a child, so that signals and the exit status are the job's own."""
    os.execve(command[0], command, clean_environment())  # noqa: S606 - there is no shell here


def say(text: str) -> None:
    print(f"run.py: {text}", file=sys.stderr, flush=True)


def default_place() -> Path:
    """`.venv` beside this file, or a place in the user's cache where the checkout is read-only."""
    if os.access(CHECKOUT, os.W_OK):
        return CHECKOUT / ".venv"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = "venv-" + hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
    place = Path(cache) / "samovar" / name
    say(f"this checkout is read-only; the environment goes to {place}")
    return place


def python_of(place: Path) -> Path:
    return place / "bin" / "python"


def fingerprint(job: Job) -> str:
    """What an environment is made from; where that has changed it must be made anew."""
    paths = [CHECKOUT / "pyproject.toml"]
    if not job.editable:
        tops = [CHECKOUT / name for name in ("engine", "workers", "examples")]
        paths += sorted(
            path
            for top in tops
            for path in top.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )
    digest = hashlib.sha256(f"{job.requirement} {sys.version} {platform.machine()}".encode())
    for path in paths:
        digest.update(str(path).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_stamp(place: Path) -> str:
    try:
        return (place / STAMP).read_text()
    except OSError:
        return ""


def clean_environment() -> dict[str, str]:
    """The environment without what would lead an interpreter astray."""
    environment = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV"):
        environment.pop(name, None)
    return environment


def setup_environment() -> dict[str, str]:
    """The same for pip, which also heeds what users set for themselves."""
    return {
        **clean_environment(),
        "PIP_REQUIRE_VIRTUALENV": "0",  # «only in environments»: the new one has no pip yet
        "PIP_USER": "0",  # «always in my home»: can't be combined with --target
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def build(place: Path, job: Job, digest: str) -> None:
    """Make the environment in `place` anew and install the job's requirement there."""
    started = time.monotonic()
    clear(place)
    say(f"building a virtual environment in {place} (1/2)")
    make_environment(place)
    say("installing Samovar and what it needs (2/2)")
    editable = ["--editable"] if job.editable else []
    status, tail = run(python_of(place), "-m", "pip", "install", *editable, job.requirement)
    if status != 0:
        raise SetupError(
            f"pip could not install {job.requirement}:\n{tail}\n"
            "  Is there a network? pip heeds HTTPS_PROXY, PIP_INDEX_URL and its own pip.conf.\n"
            "  Then start run.py again: it begins from scratch."
        )
    (place / STAMP).write_text(digest)
    say(f"ready after {time.monotonic() - started:.0f} s")


def clear(place: Path) -> None:
    """Remove an earlier environment, and nothing else: `--venv ~` must not cost a home."""
    if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
        return
    if place.is_symlink() or not (place / "pyvenv.cfg").is_file():
        raise SetupError(
            f"{place} exists and is not a virtual environment: it stays untouched.\n"
            "  Name another place with --venv DIR, or move it away."
        )
    try:
        # The stamp first: if this is cut short, what is left must not pass for an environment.
        # pyvenv.cfg last: what is left must still be known as one that may be removed.
        (place / STAMP).unlink(missing_ok=True)
        for path in place.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "pyvenv.cfg":
                path.unlink()
        shutil.rmtree(place)
    except OSError as error:
        raise SetupError(
            f"the old environment can't be removed: {error}.\n"
            f"  Remove {place} yourself, or name another place with --venv DIR."
        ) from error


def make_environment(place: Path) -> None:
    """A virtual environment with a pip in it, whether or not this Python has ensurepip."""
    if importlib.util.find_spec("ensurepip") is not None:
        status, tail = run(sys.executable, "-m", "venv", place)
        if status == 0:
            return
        shutil.rmtree(place, ignore_errors=True)
        say("ensurepip does not work here; trying the system's pip")
    # Debian keeps ensurepip in python3-venv, which may be missing.
    status, tail = run(sys.executable, "-m", "venv", "--without-pip", place)
    if status != 0:
        raise SetupError(
            f"no virtual environment can be made in {place}:\n{tail}\n"
            "  Name another place with --venv DIR. If Python lacks the venv module, Debian and\n"
            "  Ubuntu have it here: sudo apt install python3-venv"
        )
    # The system's pip puts another one into the new environment. With --target it touches nothing
    # else, so PEP 668's marker has no say; `--python` would do too, but only from pip 22.3 on.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = place / "lib" / version / "site-packages"
    status, tail = run(sys.executable, "-m", "pip", "install", "--target", site, "pip")
    if status != 0:
        raise SetupError(
            f"there is no ensurepip, and the system's pip does not work:\n{tail}\n"
            "  Debian and Ubuntu: sudo apt install python3-venv (or python3-pip)\n"
            "  If pip is there, is there a network? It heeds HTTPS_PROXY and PIP_INDEX_URL.\n"
            "  Then start run.py again: it begins from scratch."
        )
    # --target leaves commands where nobody looks for them; `python -m pip` needs none.
    shutil.rmtree(site / "bin", ignore_errors=True)


def run(*command: "str | Path") -> tuple[int, str]:
    """Run `command` and show its last line on a terminal; its exit status and last lines."""
    terminal = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 1
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(  # noqa: S603 - our own command
        [str(part) for part in command],
        cwd=CHECKOUT,
        env=setup_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail.append("    " + line.rstrip())
            if terminal:
                print("\r\033[K" + tail[-1][:width], end="", file=sys.stderr, flush=True)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return process.returncode, "\n".join(tail)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("stopped; the next start begins from scratch")
        sys.exit(130)
