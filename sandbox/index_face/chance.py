"""random_score: the same number for the same document, seed and shard, as OpenSearch computes it.

Read from RandomScoreFunction, https://github.com/opensearch-project/OpenSearch; equal to recorded scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.index_face.errors import not_served
from sandbox.index_face.hashing import MASK, mixed32, murmur3

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.index_face.queries import Within
    from sandbox.index_face.values import View

    Score = Callable[[View], float | None]
    Compile = Callable[[Any, Within], Score]

KNOWN = frozenset({"query", "random_score", "boost_mode"})
BITS = 24


def by_chance(given: Any, within: Within, compiled: Compile) -> Score:
    """A function_score of random_score over _seq_no alone."""
    asked = given.get("random_score") or {}
    if set(given) - KNOWN or asked.get("field") != "_seq_no" or given.get("boost_mode") != "replace":
        raise not_served('a function_score but for random_score over _seq_no, with boost_mode "replace"')
    seed = asked.get("seed")
    if not isinstance(seed, int) or not -(1 << 31) <= seed < 1 << 31:
        raise not_served("a random_score whose seed is no number of 32 bits")
    inner = compiled(given.get("query", {"match_all": {}}), within)
    salt = (_java_hash(within.index.name) << 10) | within.shard
    salted = mixed32((seed ^ salt) & MASK)

    def score(view: View) -> float | None:
        if inner(view) is None:
            return None
        return (murmur3(str(view.document.seq_no).encode(), salted) & ((1 << BITS) - 1)) / (1 << BITS)

    return score


def _java_hash(text: str) -> int:
    """String.hashCode(), of ASCII."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & MASK
    return value
