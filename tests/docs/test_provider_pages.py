"""The pages about providers cannot fall behind: their specs are specs, what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore, StoreClass
from opensearch_batch.spec import BatchSpec

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "providers").glob("*.md"))}


def test_the_specs_on_the_pages_are_specs() -> None:
    specs = [
        (page.name, block)
        for page, text in PAGES.items()
        for block in re.findall(r"```yaml\n(name: .*?)```", text, re.DOTALL)
    ]
    assert {"openai.md", "openai-compatible.md"} <= {name for name, _ in specs}
    for name, block in specs:
        BatchSpec.check(yaml.safe_load(block), name)


def test_what_the_pages_name_exists() -> None:
    named = [
        (page.parent / name).resolve()
        for page, text in PAGES.items()
        for name in re.findall(r"\]\((?!https?://)([^)#]+)", text)
    ]
    named += [
        ROOT / name
        for text in PAGES.values()
        for name in re.findall(r"`((?:tests|dags|plugins|sandbox)/[\w./]+\.\w+)`", text)
    ]
    assert ROOT / "tests" / "real" / "test_compatible.py" in named
    assert [str(path) for path in named if not path.exists()] == []


def test_the_page_on_adding_one_names_every_member_and_method() -> None:
    page = PAGES[ROOT / "docs" / "providers" / "adding-one.md"]
    tables = page.partition("\n## The members of a provider")[2]
    named = {name for row in re.findall(r"^\| (`.*?) \|", tables, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    methods = {
        name
        for row in re.findall(r"^\| \w.*?\| (`.*?) \|", tables, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named == members(Provider)
    assert methods == members(ProviderStore) | members(StoreClass)


def members(protocol: type) -> set[str]:
    return {name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")}
