"""The programs in docs/embedding.md run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "embedding.md"
# What the page promises of each of its programs, in their order.
PRINTED = ["320\n640\n960\n", '"Hello, tea"\n', "[]\n", ""]


def programs() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_every_program_is_run() -> None:
    assert len(programs()) == len(PRINTED)


@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_a_program_of_the_page(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", programs()[number]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, PRINTED[number]), done.stderr


LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


@pytest.mark.parametrize(
    "page",
    [
        str(path.relative_to(CHECKOUT))
        for path in sorted(
            [
                *CHECKOUT.glob("*.md"),
                *CHECKOUT.glob("docs/*.md"),
                *CHECKOUT.glob("examples/**/*.md"),
            ]
        )
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    place = CHECKOUT / page
    gone = [link for link in LINK.findall(place.read_text()) if not (place.parent / link).exists()]
    assert not gone
