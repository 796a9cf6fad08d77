"""What boto3's clients are made of, read once per process.

Each session reads the models of its services anew, a tenth of a second and some megabytes of JSON
for each, which its clients keep for as long as the garbage collector lets them. Nobody writes to a
model, so that all sessions of a process can have the same.
"""

from __future__ import annotations

import functools

from botocore import loaders


def read_once() -> None:
    """From now on, in this process; idempotent."""
    if not hasattr(loaders.create_loader, "cache_info"):
        loaders.create_loader = functools.cache(loaders.create_loader)
