"""Commands that run another as on a host where less is allowed, by real user namespaces."""

from __future__ import annotations

import os
import subprocess

import pytest

# A user who is not root and has no capabilities.
AS_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


def without_namespaces(kind: str) -> tuple[str, ...]:
    """No further namespace of a kind can be made: `mnt`, `ipc` and others of
    /proc/sys/user/max_*_namespaces; nothing of it needs root's own rights."""
    refused = f'echo 0 > /proc/sys/user/max_{kind}_namespaces && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "sh", "-c", refused, "sh")


def or_skip(command: tuple[str, ...]) -> tuple[str, ...]:
    """`command`, where this host has user namespaces. Root's must: the walls can't be tested
    otherwise."""
    if subprocess.run([*command, "true"], check=False).returncode:
        assert os.geteuid() != 0, "root without user namespaces: the walls can't be tested here"
        pytest.skip("this host gives unprivileged users no user namespaces")
    return command
