"""Pages that are made from tables say what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import pages


@pytest.mark.parametrize("path", [*pages.TABLES, pages.COVERAGE])
def test_a_page_is_current(checkout: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    text = (checkout / path).read_text()
    assert pages.renewed(path, text) == text, f"{path} is stale: python -m tests.pages"
