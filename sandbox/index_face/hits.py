"""A hit as it is given back: source, seq_no, fields, sort values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import orjson

from sandbox.index_face import sorting, times
from sandbox.index_face.call import Raw
from sandbox.index_face.errors import Problem, illegal_argument
from sandbox.index_face.inner_hits import InnerHits
from sandbox.index_face.patterns import as_list, kept, masked
from sandbox.index_face.values import at, comparable, rounded, scalars

if TYPE_CHECKING:
    from sandbox.index_face.documents import Document
    from sandbox.index_face.index import Index
    from sandbox.index_face.targets import Target
    from sandbox.index_face.values import View


@dataclass(frozen=True)
class Source:
    """What of the source is wanted; `includes` None: all of it."""

    is_wanted: bool = True
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Any) -> Self:
        if given is None or given is True or given == "true":
            return cls()
        if given is False or given == "false":
            return cls(is_wanted=False)
        if isinstance(given, dict):
            includes = given.get("includes", given.get("include", []))
            excludes = given.get("excludes", given.get("exclude", []))
            return cls(True, tuple(as_list(includes)), tuple(as_list(excludes)))
        return cls(True, tuple(as_list(given)))

    def taken(self, document: Document, index: Index, *, masks: bool) -> dict[str, Any]:
        """`_source` or nothing; `masks`: as 3.x does in searches of a derived source."""
        if not self.is_wanted or document.source is None:
            return {}
        if not self.includes and not self.excludes:
            return {"_source": Raw(document.source)}
        value = kept(orjson.loads(document.source), self.includes, self.excludes)
        if masks and index.is_derived:
            value = masked(value, self.includes, index.fields.vectors)
        return {"_source": value}


@dataclass(frozen=True)
class Shape:
    """What each hit shows."""

    sort: list[sorting.Key]
    source: Source
    names_seq_no: bool
    names_version: bool
    fields: tuple[Any, ...]
    doc_values: tuple[Any, ...]
    stored: tuple[str, ...] | None
    inner: InnerHits

    @classmethod
    def of(cls, body: dict[str, Any], sort: list[sorting.Key]) -> Self:
        stored = tuple(as_list(body["stored_fields"])) if "stored_fields" in body else None
        given = body.get("_source", stored is None or "_source" in stored)
        return cls(
            sort,
            Source.of(given),
            bool(body.get("seq_no_primary_term")),
            bool(body.get("version")),
            tuple(body.get("fields", ())),
            tuple(body.get("docvalue_fields", ())),
            stored,
            InnerHits.of(body.get("query")),
        )

    def hit(self, row: tuple[tuple[Any, ...], View, float, Target]) -> dict[str, Any]:
        columns, view, score, target = row
        document = view.document
        made: dict[str, Any] = {"_index": target.index.name}
        is_bare = self.stored == ("_none_",)
        if not is_bare:
            made["_id"] = document.id
        if self.names_version:
            made["_version"] = document.version
        if self.names_seq_no:
            made |= {"_seq_no": document.seq_no, "_primary_term": document.term}
        by_score = not self.sort or any(key.field == "_score" for key in self.sort)
        made["_score"] = rounded(score) if by_score else None
        if document.routing is not None and not is_bare:
            made["_routing"] = document.routing
        if not is_bare:
            made |= self.source.taken(document, target.index, masks=True)
        if found := self._fields(view, target.index):
            made["fields"] = found
        if self.inner.asked:
            made["inner_hits"] = self.inner.found(view, target)
        if self.sort:
            made["sort"] = [sorting.given_back(value) if sign == 0 else None for sign, value in columns]
        return made

    def _fields(self, view: View, index: Index) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for item in self.fields:
            name = item["field"] if isinstance(item, dict) else item
            for path in _matching(name, index):
                if values := scalars(at(view.value, index.fields.of.get(path, path))):
                    found[path] = values
        for item in self.doc_values:
            name = item["field"] if isinstance(item, dict) else item
            for path in _matching(name, index):
                if values := _doc_values(view, path, index, isinstance(item, dict) and "format" in item):
                    found[path] = values
        return found


def check_doc_values(given: Any, index: Index) -> None:
    """Problem: a vector is no doc value."""
    for item in given or ():
        name = item["field"] if isinstance(item, dict) else item
        field = index.fields.types.get(name)
        if field is None or field["type"] != "knn_vector":
            continue
        if isinstance(item, dict) and item.get("format"):
            raise illegal_argument(f"Field [{name}] of type [knn_vector] does not support custom formats")
        reason = f"knn vector field '{name}' doesn't support sorting"
        raise Problem(500, "unsupported_operation_exception", reason)


def _matching(name: str, index: Index) -> list[str]:
    if "*" not in name:
        return [name] if name in index.fields.types else []
    return list(kept(dict.fromkeys(index.fields.types), [name], []))


def _doc_values(view: View, path: str, index: Index, has_format: bool) -> list[Any]:
    kind = index.fields.types[path]["type"]
    found = [comparable(item, kind) for item in scalars(at(view.value, index.fields.of.get(path, path)))]
    values = sorted(set(found)) if kind in ("keyword", "boolean") else sorted(found)
    if kind in ("date", "date_nanos"):
        return [value // 1_000_000 if has_format else times.shown(value) for value in values]
    return values
