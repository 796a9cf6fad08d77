"""What must not be the same in two processes that were forked from one template.

`random` and whatever else registered with `os.register_at_fork` has renewed itself by then. What a
function has made of its own (a `random.Random`, a numpy Generator, an id in a global) is for its
after-restore hooks, as on AWS.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from samovar_worker.tmp_copy import copy_directory
from samovar_worker.wire.messages import Restore


def renew() -> None:
    """Random states and sources of ids; of modules that are loaded only."""
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 32.0)
    for name, part in _PARTS:
        module = sys.modules.get(name)
        if module is not None:
            try:
                part(module)
            except Exception:  # noqa: S112  # a module of the function's own by that name
                continue


def _random(module: Any) -> None:
    module.seed()


def _uuid(module: Any) -> None:
    module._last_timestamp = None
    # libuuid's own state can't be renewed: without it each uuid1 draws its clock sequence anew.
    module._generate_time_safe = None
    module._UuidCreate = None
    if module._node is not None and module._node >> 40 & 1:  # drawn, not an interface's
        module._node = module._random_getnode()


def _tempfile(module: Any) -> None:
    module._name_sequence = None  # it tells a fork by the pid


def _numpy(module: Any) -> None:
    module.seed()


_PARTS = (
    ("random", _random),
    ("uuid", _uuid),
    ("tempfile", _tempfile),
    ("numpy.random", _numpy),
)


def adopt(restore: Restore) -> None:
    """The context's own variables and, without namespaces, its own /tmp."""
    old = os.environ.get("TMPDIR")
    for name, value in restore.environment.items():
        os.environ[name] = value
    if restore.tmp_dir is not None:
        os.environ["TMPDIR"] = restore.tmp_dir
        tempfile: Any = sys.modules.get("tempfile")
        if getattr(tempfile, "tempdir", None) == old:
            tempfile.tempdir = restore.tmp_dir
        if old is not None and not restore.revived:
            copy_directory(old, restore.tmp_dir)
