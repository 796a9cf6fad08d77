"""The programs of docs/embedding.md run as they are printed; pages are found, and lead on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "embedding.md"
# What the page promises of each of its programs, in their order.
PRINTED = ["320\n640\n960\n", "RetriesExhausted 3 'name'\n", '"Hello, tea"\n', "[]\n", ""]


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


LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")


@pytest.mark.parametrize(
    "page",
    [
        str(path.relative_to(CHECKOUT))
        for path in sorted(
            [
                *CHECKOUT.glob("*.md"),
                *CHECKOUT.glob("docs/*.md"),
                *CHECKOUT.glob("examples/**/*.md"),
                *CHECKOUT.glob("benchmarks/*.md"),
            ]
        )
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    place = CHECKOUT / page
    gone = [link for link in LINK.findall(place.read_text()) if not (place.parent / link).exists()]
    assert not gone


def test_the_readme_leads_to_every_page() -> None:
    linked = set(LINK.findall((CHECKOUT / "README.md").read_text()))
    pages = {str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("docs/*.md")}
    assert pages - linked == set()


def test_headings_that_are_linked_are_there() -> None:
    """As GitHub makes anchors of them: in small letters, words joined, without punctuation."""
    for page in (CHECKOUT / "README.md", *CHECKOUT.glob("docs/*.md")):
        for path, anchor in ANCHOR.findall(page.read_text()):
            text = (page.parent / path if path else page).read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", item.lower()).replace(" ", "-") for item in headings}
            assert anchor in anchors, page


def test_the_readme_has_the_figures_that_were_measured() -> None:
    table = re.compile(r"^\| what \| against .*\n(?:\|.*\n)+", re.MULTILINE)
    readme, measured = (
        table.findall((CHECKOUT / page).read_text())[0].splitlines()
        for page in ("README.md", "docs/benchmarks.md")
    )
    assert len(readme) > 5
    assert [line for line in readme if line not in measured] == []
