"""Markdown tables: cells that hold what a table may not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MADE = "This page is made from the code by `python -m docs_build` (`make docs` runs it)."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell(text) for text in line)} |" for line in lines)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(value: object) -> str:
    """In backticks, as YAML and Python both have it where they agree."""
    return f"`{value}`"
