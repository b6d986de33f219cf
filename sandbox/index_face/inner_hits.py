"""Inner hits: which nested objects of a hit a nested query found, best first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.index_face.errors import illegal_argument, not_served
from sandbox.index_face.patterns import as_list, kept, without_vectors
from sandbox.index_face.queries import Within, compiled
from sandbox.index_face.values import View, at, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.index_face.index import Index
    from sandbox.index_face.targets import Target

KNOWN = frozenset({"name", "_source", "size", "from"})
SIZE, MOST = 3, 100


@dataclass
class InnerHits:
    """Of a search: the nested queries of its query that ask for them."""

    asked: list[dict[str, Any]]
    _scores: dict[tuple[int, int], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Any) -> InnerHits:
        asked = list(_asking(query))
        for nested in asked:
            if unknown := set(nested["inner_hits"]) - KNOWN:
                raise not_served(f"{sorted(unknown)} in inner_hits")
        return cls(asked)

    def check(self, index: Index) -> None:
        """Problem: two of one name, or more hits than the index allows."""
        names: set[str] = set()
        for nested in self.asked:
            if (name := _name(nested)) in names:
                raise illegal_argument(f"[inner_hits] already contains an entry for key [{name}]")
            names.add(name)
            given = nested["inner_hits"]
            most = int(index.settings.get("index.max_inner_result_window", MOST))
            if (last := int(given.get("from", 0)) + int(given.get("size", SIZE))) > most:
                words = "Inner result window is too large, the inner hit definition's [null]'s from + size must be less"
                end = "This limit can be set by changing the [index.max_inner_result_window] index level setting."
                raise illegal_argument(f"{words} than or equal to: [{most}] but was [{last}]. {end}")

    def found(self, view: View, target: Target) -> dict[str, Any]:
        """The value of `inner_hits` in a hit."""
        return {_name(nested): self._hits(number, view, target) for number, nested in enumerate(self.asked)}

    def _hits(self, number: int, view: View, target: Target) -> dict[str, Any]:
        nested = self.asked[number]
        path, given = nested["path"], nested["inner_hits"]
        key = (number, id(target))
        if key not in self._scores:
            within = Within(target.index, target.snapshot, path)
            self._scores[key] = compiled(nested.get("query"), within)
        scored = [(self._scores[key](each), each) for each in view.objects_at(path)]
        rows = sorted(((score, each) for score, each in scored if score is not None), key=lambda row: -row[0])
        start = int(given.get("from", 0))
        hits = [
            {
                "_index": target.index.name,
                "_id": view.document.id,
                "_nested": {"field": path, "offset": each.offset},
                "_score": rounded(score),
                **_source(given.get("_source", True), path, each, target.index),
            }
            for score, each in rows[start : start + int(given.get("size", SIZE))]
        ]
        best = rounded(rows[0][0]) if rows else None
        return {"hits": {"total": {"value": len(rows), "relation": "eq"}, "max_score": best, "hits": hits}}


def _asking(query: Any) -> Iterator[dict[str, Any]]:
    """Nested queries with inner_hits, at any depth of a query."""
    if isinstance(query, list):
        for each in query:
            yield from _asking(each)
    elif isinstance(query, dict):
        for kind, given in query.items():
            if kind == "nested" and isinstance(given, dict) and isinstance(given.get("inner_hits"), dict):
                yield given
            else:
                yield from _asking(given)


def _name(nested: dict[str, Any]) -> str:
    return str(nested["inner_hits"].get("name", nested["path"]))


def _source(given: Any, path: str, view: View, index: Index) -> dict[str, Any]:
    """The object as it is stored; filters name its fields in full. Where nothing is filtered, and the source derived, a
    vector is the number 1.
    """
    if given is False:
        return {}
    [value] = at(view.value, path)
    if given is True:
        return {"_source": without_vectors(value, f"{path}.", index.fields.vectors) if index.is_derived else value}
    asked = given if isinstance(given, dict) else {"includes": given}
    wanted, left_out = (tuple(as_list(asked.get(key, []))) for key in ("includes", "excludes"))
    for part in reversed(path.split(".")):
        value = {part: value}
    left = at(kept(value, wanted, left_out), path)
    return {"_source": left[0] if left else {}}
