"""What AWS calls the runtime's version: a patch release behind a name, and its ARN."""

from __future__ import annotations

import hashlib


def runtime_version(runtime: str, version: str) -> str:
    """`python:3.12.v56` in AWS's logs; here the number behind the v is the interpreter's patch."""
    name = runtime.removeprefix("python")
    patch = version.removeprefix(name).lstrip(".") or "0"
    return f"python:{name}.v{patch}"


def runtime_version_arn(region: str, runtime: str, version: str) -> str:
    """An ARN that changes with the interpreter, in the form of AWS's (64 hex digits)."""
    digest = hashlib.sha256(runtime_version(runtime, version).encode()).hexdigest()
    return f"arn:aws:lambda:{region}::runtime:{digest}"
