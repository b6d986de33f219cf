"""The shards that a search goes to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.index_face.errors import closed

if TYPE_CHECKING:
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.documents import Snapshot
    from sandbox.index_face.index import Index


@dataclass(frozen=True, eq=False)
class Target:
    """`filter` is the alias's: a query that all hits must match."""

    index: Index
    number: int
    snapshot: Snapshot
    filter: Any = None


def targets(
    catalog: Catalog,
    expression: str,
    routing: str | None = None,
    preference: str | None = None,
    *,
    ignore_missing: bool = False,
) -> list[Target]:
    """By index and shard; an index whose refresh is due is refreshed."""
    found = []
    names = expression.split(",")
    for index in catalog.named(expression, ignore_missing=ignore_missing):
        if index.is_closed:
            raise closed(index.name, index.uuid)
        index.refresh_as_set()
        rule = _rule(index, names)
        chosen = _chosen(index, routing or rule.get("search_routing"), preference)
        found += [Target(index, shard, index.shards[shard].snapshot, rule.get("filter")) for shard in chosen]
    return found


def _rule(index: Index, names: list[str]) -> dict[str, Any]:
    """Of the alias that led to it, unless it was named itself or by an alias without a filter."""
    rules = [index.aliases[name] for name in names if name in index.aliases]
    if index.name in names or not rules:
        return {}
    if any("filter" not in rule for rule in rules):
        return next(rule for rule in rules if "filter" not in rule)
    if len(rules) == 1:
        return rules[0]
    return {"filter": {"bool": {"should": [rule["filter"] for rule in rules]}}}


def _chosen(index: Index, routing: str | None, preference: str | None) -> list[int]:
    numbers = range(len(index.shards))
    if routing:
        numbers_asked = {index.number_for(each) for each in routing.split(",")}
        return [number for number in numbers if number in numbers_asked]
    if found := re.match(r"_shards:([\d,]+)", preference or ""):
        asked = set(map(int, found[1].split(",")))
        return [number for number in numbers if number in asked]
    return list(numbers)
