"""What a requirements.txt names, put beside the function's own code by pip."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from samovar.doors.cli.exits import Exit, Failure
from samovar.doors.cli.screen import say

REQUIREMENTS = "requirements.txt"
_LAST_LINES = 15  # of pip's words, shown when it fails


def install_requirements(directory: Path, target: Path, runtime: str) -> None:
    """Install `directory`'s requirements into `target`, for `runtime` (`python3.12`).

    Runs this interpreter's pip in `directory`, so that relative paths in the file hold; for another
    version of Python than this one only wheels will do. Raises Failure.
    """
    if importlib.util.find_spec("pip") is None:
        raise Failure(
            Exit.USAGE,
            f"--install needs pip in Samovar's environment: {sys.executable} -m ensurepip",
        )
    say(f"installing what {directory / REQUIREMENTS} names")
    # S603: the command is ours; what pip then runs is what the user's own file names.
    run = subprocess.run(  # noqa: S603
        pip_command(target, runtime),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if run.returncode != 0:
        tail = "\n".join(run.stdout.rstrip().splitlines()[-_LAST_LINES:])
        raise Failure(Exit.USAGE, f"pip could not install {directory / REQUIREMENTS}:\n{tail}")


def pip_command(target: Path, runtime: str) -> list[str]:
    """The command for `runtime`."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # What it would compile is left out of packages anyway.
    command += ["--no-compile", "--no-warn-script-location", "--target", str(target)]
    version = runtime.removeprefix("python")
    if version != f"{sys.version_info.major}.{sys.version_info.minor}":
        command += ["--python-version", version, "--only-binary", ":all:"]
    return [*command, "--requirement", REQUIREMENTS]
