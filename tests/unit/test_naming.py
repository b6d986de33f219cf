"""Which documents of the index `docs` a row id may name, by what runs have read."""

from __future__ import annotations

import pytest

from opensearch_batch.erase.naming import Naming

ALONE, BESIDE = frozenset({"docs"}), frozenset({"docs", "more"})
BOTH = {"docs/intro", "intro"}


def told(value: object) -> str:
    """Alike in each process, whose sets have orders of their own."""
    if isinstance(value, set | frozenset):
        return "+".join(sorted(value)) or "none"
    return ",".join(map(told, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    ("sets", "is_told", "ids", "there", "sure", "doubtful"),
    [
        ([ALONE], True, {"docs/intro"}, BOTH, {"docs/intro"}, set()),
        ([BESIDE], True, {"docs/intro"}, BOTH, {"intro"}, set()),
        ([BESIDE], True, {"intro", "more/intro"}, BOTH, set(), set()),
        ([ALONE, BESIDE], True, {"docs/intro"}, BOTH, set(), BOTH),
        ([ALONE, BESIDE], True, {"docs/intro"}, {"intro"}, {"intro"}, set()),
        ([ALONE, BESIDE], True, {"docs/intro"}, {"docs/intro"}, set(), {"docs/intro"}),
        ([ALONE, BESIDE], True, {"docs/intro", "intro"}, BOTH, {"intro"}, {"docs/intro"}),
        ([ALONE], False, {"docs/intro"}, BOTH, set(), BOTH),
        ([ALONE], False, {"docs/intro"}, {"intro"}, set(), {"intro"}),
        ([ALONE], False, {"intro"}, BOTH, {"intro"}, set()),
        ([BESIDE], False, {"docs/intro"}, BOTH, set(), BOTH),
        ([BESIDE], False, {"docs/intro"}, {"intro"}, {"intro"}, set()),
        ([frozenset({"others"})], True, {"docs/intro"}, BOTH, {"docs/intro"}, set()),
    ],
    ids=told,
)
def test_a_row_id_with_the_name_of_the_index(
    sets: list[frozenset[str]], is_told: bool, ids: set[str], there: set[str], sure: set[str], doubtful: set[str]
) -> None:
    naming = Naming(sets, is_told)
    assert naming.doubtful("docs", ids, there) == doubtful
    assert naming.ids_in("docs", ids) & there - doubtful == sure
    assert sure | doubtful <= naming.may_be_in("docs", ids)
