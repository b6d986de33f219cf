"""The glossary names things that the code has."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs/glossary.md").read_text(encoding="utf-8")
NAMED = re.findall(r"^\| [^|]+ \| [^|]+ \| `([\w.]+)` \|$", PAGE, re.MULTILINE)


def test_most_words_are_in_the_code() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("path", NAMED)
def test_the_code_has_what_the_glossary_names(path: str) -> None:
    owner, _, name = path.rpartition(".")
    assert locate(path) is not None or name in _fields(locate(owner)), path


def _fields(owner: Any) -> set[str]:
    """Of a class whose instances alone have them."""
    return {field.name for field in fields(owner)} if is_dataclass(owner) else set()


def test_a_word_stands_once() -> None:
    words = re.findall(r"^\| ([^|]+?) \|", PAGE, re.MULTILINE)[1:]
    assert len(words) == len(set(words)) >= len(NAMED)
