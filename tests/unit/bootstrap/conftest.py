"""A checkout in small: run.py as it is, and a project that installs without a network."""

from __future__ import annotations

import ensurepip
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "samovar"
version = "0"
"""

# Builds the wheels that pip asks for: a package that says how it was started, and for the tests'
# job a «pytest» that does the same.
BACKEND = '''\
import os, zipfile

SAY = """
import os, sys
if __name__ == "__main__":
    print("job", NAME, *sys.argv[1:], os.path.basename(sys.prefix), os.getcwd())
    sys.exit(3 if "fail" in sys.argv else 0)
"""
META = "Metadata-Version: 2.1\\nName: samovar\\nVersion: 0\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: backend\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    if os.path.exists("broken"):
        raise RuntimeError("this project is broken on purpose")
    name = "samovar-0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for package in ("samovar", "samovar/doors", "samovar/doors/cli"):
            wheel.writestr(package + "/__init__.py", "")
        wheel.writestr("samovar/doors/cli/__main__.py", "NAME = 'cli'" + SAY)
        wheel.writestr("pytest.py", "NAME = 'pytest'" + SAY)
        wheel.writestr("samovar-0.dist-info/METADATA", META)
        wheel.writestr("samovar-0.dist-info/WHEEL", WHEEL)
        wheel.writestr("samovar-0.dist-info/RECORD", "")
    return name

build_editable = build_wheel
'''

# ensurepip out of sight of run.py, as on a Debian without python3-venv.
WITHOUT_ENSUREPIP = """\
import runpy, sys
from importlib.machinery import PathFinder

class Debian:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "ensurepip":
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Debian if finder is PathFinder else finder for finder in sys.meta_path]
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Project:
    """The small checkout, and a way to start its run.py."""

    root: Path
    environment: dict[str, str]

    def run(self, *arguments: str, launcher: str = "") -> subprocess.CompletedProcess[str]:
        start = ["-c", launcher] if launcher else []
        return subprocess.run(
            [sys.executable, *start, str(self.root / "run.py"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            cwd=self.root.parent,
            timeout=120,
        )


def _pip_wheels() -> Path | None:
    """Where this machine keeps a pip wheel: in ensurepip, or where Debian has moved it."""
    places = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
    return next((place for place in places if any(place.glob("pip-*.whl"))), None)


@pytest.fixture
def project(tmp_path: Path, checkout: Path) -> Project:
    wheels = _pip_wheels()
    if wheels is None:
        pytest.skip("no pip wheel on this machine: install python3-venv")
    root = tmp_path / "checkout"
    (root / "engine").mkdir(parents=True)
    shutil.copy(checkout / "run.py", root)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "engine" / "source.py").write_text("")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        # What run.py must not fall over.
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_USER": "1",
        "PYTHONPATH": str(tmp_path / "astray"),
    }
    return Project(root, environment)
