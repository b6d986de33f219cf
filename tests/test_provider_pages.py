"""The pages about providers cannot fall behind: their specs are specs, their links lead to files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from opensearch_batch.spec import BatchSpec

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs" / "providers").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_a_spec_that_is_one(page: Path) -> None:
    blocks = re.findall(r"```yaml\n(name: .*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        BatchSpec.check(yaml.safe_load(block), page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    named += [f"../../{path}" for path in re.findall(r"`((?:tests|dags|plugins|sandbox)/[\w./]+)`", text)]
    assert named
    assert [name for name in named if not (page.parent / name).exists()] == []
