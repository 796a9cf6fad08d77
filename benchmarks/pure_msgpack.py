"""Workers without msgpack's C extension, as under an interpreter it was not built for."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def hide_c_extension(directory: Path) -> None:
    """Let whoever asks where msgpack is find a copy in `directory` without the extension.

    Import msgpack before: this process then keeps the one it has. The engine gives its workers the
    package that `importlib.util.find_spec` names.
    """
    import msgpack

    package = directory / "msgpack"
    shutil.copytree(
        Path(msgpack.__file__).parent, package, ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    sys.modules["msgpack"].__spec__ = importlib.util.spec_from_file_location(
        "msgpack", package / "__init__.py", submodule_search_locations=[str(package)]
    )


def demand_pure(zygotes: Sequence[int]) -> None:
    """Raise RuntimeError unless there are zygotes and none of them has the extension loaded."""
    having = [pid for pid in zygotes if "_cmsgpack" in Path(f"/proc/{pid}/maps").read_text()]
    if having or not zygotes:
        raise RuntimeError(f"of the zygotes {list(zygotes)}, {having} have msgpack's C extension")
