"""What the pages point to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "RESULTS.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert not [target for target in targets if target and not (page.parent / target).exists()]
    assert not re.findall(r"@\w+@", text)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if page.stem != "index" and page.name not in index]


def test_modules_named_in_the_pages_exist() -> None:
    pages = [page for page in PAGES if page.stem != "extending"]  # which names files that the reader is to write
    pattern = r"`src/(transferbench/[\w/]+(?:\.py)?)/?`"
    named = {path for page in pages for path in re.findall(pattern, page.read_text(encoding="utf-8"))}
    assert named
    assert not [path for path in named if not (ROOT / "src" / path).exists()]
