"""The demo's deployment packages: a handler, and this environment's Pillow; and the picture."""

from __future__ import annotations

import io
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from samovar.doors.cli.exits import Exit, Failure

VENDORED = "pillow"
PICTURE = "samovar.jpg"
CALLS = "thumbnail"
STORY = "thumbnail-events"


def example_directory(name: str = CALLS) -> Path:
    """An example: packed beside this module, or in the checkout that is installed."""
    packed = Path(__file__).with_name("examples") / name
    in_checkout = Path(__file__).parents[5] / "examples" / name
    for directory in (packed, in_checkout):
        if (directory / "handler.py").is_file():
            return directory
    raise Failure(
        Exit.ENGINE,
        f"the example {name} is neither in {packed} nor in {in_checkout}: install Samovar anew",
    )


def vendored_files() -> list[tuple[str, Path]]:
    """Pillow's files, native libraries included, by their name in the package.

    The list is the distribution's own RECORD: what `pip install --target` would have put there.
    Raises Failure where Pillow isn't installed.
    """
    try:
        installed = distribution(VENDORED)
    except PackageNotFoundError as error:
        raise Failure(
            Exit.USAGE, "the demo needs Pillow: pip install pillow, or python3 run.py demo"
        ) from error
    found = []
    for file in installed.files or ():
        # «..» is a script or the like outside site-packages; .pyc files are made again when needed.
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        found.append((file.as_posix(), Path(str(installed.locate_file(file)))))
    return found


def build_package(example: Path) -> bytes:
    """The zip as CreateFunction takes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in (example / "handler.py", example / PICTURE):
            if path.exists():
                archive.write(path, path.name)
        for name, path in vendored_files():
            archive.write(path, name)
    return buffer.getvalue()
