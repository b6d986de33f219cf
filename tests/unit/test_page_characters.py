"""How much a page of documents holds, by which the next page becomes smaller or larger."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.sources.index_rows import FIRST_PAGE, NUMBER_CHARACTERS, PAGE_CHARACTERS, characters_in


@pytest.mark.parametrize(
    ("value", "characters"),
    [
        ("four", 4),
        ({"title": "four", "parts": [{"body": "seven!!"}, "and"]}, 14),
        ({"vector": [0.5, -1, 2e9]}, 3 * NUMBER_CHARACTERS),
        ({"is_public": True, "day": None}, 0),
    ],
)
def test_texts_and_numbers_count(value: Any, characters: int) -> None:
    assert characters_in(value) == characters


def test_after_a_first_page_with_vectors_of_1536_numbers_comes_a_smaller_one() -> None:
    page = [{"title": "a title", "other_vector": [0.0123] * 1536} for _ in range(FIRST_PAGE)]
    assert characters_in(page) > PAGE_CHARACTERS
