"""Links of the repository's Markdown, as a reader of the repository follows them; `make docs` does so for the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs_build.links import FENCE, anchors, links, resolved, rewritten

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "sandbox" / "README.md")
]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file_and_its_anchor_to_a_heading(page: str) -> None:
    for target in links(text_of(page)):
        path, anchor = resolved(target, page)
        assert (ROOT / path).exists(), target
        if anchor and path.endswith(".md"):
            assert anchor in anchors(text_of(path)), target


def test_there_are_links() -> None:
    assert sum(len(list(links(text_of(page)))) for page in PAGES) > 100


@pytest.mark.parametrize("page", PAGES)
def test_a_test_that_is_named_as_a_link_is_in_its_file(page: str) -> None:
    for name, target in re.findall(r"\[`?(test_\w+)`?\]\(([^)]+)\)", text_of(page)):
        path, _ = resolved(target, page)
        assert f"def {name}(" in text_of(path), (name, path)


@pytest.mark.parametrize("page", PAGES)
def test_a_list_is_one_for_the_site_too(page: str) -> None:
    """A git host shows a list without an empty line before it, and a nested one with any indentation."""
    lines = FENCE.sub("", text_of(page)).splitlines()
    item = re.compile(r" *(?:[-*]|\d+\.) ")
    runs = [(before, line) for before, line in zip(lines, lines[1:], strict=False) if item.match(line)]
    begins = [line for before, line in runs if before.strip() and not item.match(before) and before[:1] not in " #"]
    nested = [line for line in lines if item.match(line) and (len(line) - len(line.lstrip())) % 4]
    outside = [
        line for before, line in zip(lines, lines[1:], strict=False) if not before and re.match(r" {1,3}\S", line)
    ]
    assert begins + nested + outside == []


def test_code_and_addresses_are_no_links() -> None:
    text = "[a](b.md) `[c](d.md)` [e](https://f) [`g`](h.md#i)\n\n```\n[j](k.md)\n```\n"
    assert list(links(text)) == ["b.md", "h.md#i"]
    assert rewritten(text, str.upper) == text.replace("b.md", "B.MD").replace("h.md#i", "H.MD#I")


def test_a_target_is_resolved_from_its_page() -> None:
    assert resolved("../tests/a.py", "docs/b.md") == ("tests/a.py", "")
    assert resolved("#c", "docs/b.md") == ("docs/b.md", "#c")
