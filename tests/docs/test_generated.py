"""The pages that are made from the code agree with it, and leave nothing without a word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs_build.docstrings import described
from docs_build.errors import DO
from docs_build.operators import BASE, PUBLIC
from docs_build.pages import pages
from opensearch_batch import errors
from opensearch_batch.tasks.base import BatchOperator
from sandbox.fault_kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name], "run: python -m docs_build"


def test_what_all_operators_have_is_their_base() -> None:
    assert BASE is BatchOperator


def test_every_parameter_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", PAGES["docs/reference/operators.md"], re.MULTILINE)
    assert len(rows) > len(PUBLIC)
    assert [name for name, meaning in rows if not meaning.strip()] == []


def test_every_error_says_what_to_do() -> None:
    leaves = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and each not in (errors.BatchError, errors.Terminal, errors.Transient)
    ]
    assert len(leaves) > 10
    assert [each.__name__ for each in leaves if DO not in described(each).text] == []


def test_every_fault_that_a_face_takes_is_on_the_page() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGES["docs/reference/sandbox-faults.md"], re.MULTILINE)
    assert sorted(named) == sorted(KINDS)
