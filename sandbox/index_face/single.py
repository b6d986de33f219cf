"""`_doc`, `_create`, `_update` and `_mget`: documents one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.ids import opensearch_id
from sandbox.index_face import writes
from sandbox.index_face.actions import MAX_ID_BYTES, change_of, half_condition, update_flaws
from sandbox.index_face.asked import source_of
from sandbox.index_face.bulk import REFRESHES, got, written
from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import Problem, invalid_request, not_served, routing_missing
from sandbox.index_face.hits import Source
from sandbox.index_face.writes import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.documents import Document
    from sandbox.index_face.index import Index
    from sandbox.index_face.writes import Written

WRITE = ("refresh", "routing", "if_seq_no", "if_primary_term", "timeout", "require_alias")
SOURCE = ("_source", "_source_includes", "_source_excludes")


class Single:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def put(self, call: Call, name: str, id: str | None, *, creates: bool = False) -> Answer:
        call.check_params(*WRITE, "op_type", "version", "version_type")
        creates = creates or call.params.get("op_type") == "create"
        terms = _terms(call)
        flaws = half_condition(terms.if_seq_no, terms.if_primary_term)
        if creates and terms.if_seq_no is not None:
            flaws.append("create operations do not support compare and set. use index instead")
        if id is not None and len(id.encode()) > MAX_ID_BYTES:
            most = f"must be no longer than {MAX_ID_BYTES} bytes but was: {len(id.encode())}"
            flaws.append(f"id [{id}] is too long, {most}")
        if flaws:
            raise invalid_request(*flaws)
        if not call.raw.strip():
            raise Problem(400, "parse_exception", "request body is required")
        made_up = id if id is not None else opensearch_id()
        is_3x = self._catalog.is_3x

        def write(index: Index, routing: str | None) -> Written:
            return writes.put(index, made_up, routing, call.raw, terms, is_3x=is_3x, creates=creates)

        return self._write(call, name, write)

    def delete(self, call: Call, name: str, id: str) -> Answer:
        call.check_params(*WRITE, "version", "version_type")
        terms = _terms(call)
        if flaws := half_condition(terms.if_seq_no, terms.if_primary_term):
            raise invalid_request(*flaws)
        return self._write(call, name, lambda index, routing: writes.delete(index, id, routing, terms), creates=False)

    def update(self, call: Call, name: str, id: str) -> Answer:
        call.check_params(*WRITE, *SOURCE, "retry_on_conflict")
        change, line = change_of(call.raw)
        terms = _terms(call)
        flaws = half_condition(terms.if_seq_no, terms.if_primary_term)
        retries = bool(call.number("retry_on_conflict"))
        flaws += update_flaws(id, terms.if_seq_no, change, retries=retries)
        if flaws:
            raise invalid_request(*flaws)
        is_3x = self._catalog.is_3x
        wants_source = bool(line.get("_source") or call.flag("_source"))

        def write(index: Index, routing: str | None) -> Written:
            return writes.update(index, id, routing, change, terms, is_3x=is_3x)

        return self._write(call, name, write, wants_source=wants_source)

    def _write(
        self,
        call: Call,
        name: str,
        write: Callable[[Index, str | None], Written],
        *,
        creates: bool = True,
        wants_source: bool = False,
    ) -> Answer:
        index = self._catalog.to_write(name, creates=creates, require_alias=call.flag("require_alias"))
        if problem := index.blocked():
            raise problem
        routing = call.params.get("routing", index.aliases.get(name, {}).get("index_routing"))
        try:
            done = write(index, routing)
        finally:
            self._catalog.flush([index])
        refresh = call.params.get("refresh", "false")
        if refresh in REFRESHES:
            index.refresh()
        answer = written(done, refresh=refresh, is_3x=self._catalog.is_3x, is_alone=True)
        if wants_source:
            answer["get"] = got(done)
        return Answer(done.status, answer)

    def get(self, call: Call, name: str, id: str) -> Answer:
        call.check_params("routing", "realtime", "refresh", "preference", *SOURCE)
        index = self._catalog.one(name)
        routing = call.params.get("routing", index.aliases.get(name, {}).get("search_routing"))
        found = _found(index, id, routing)
        if found is None:
            return Answer(404, {"_index": index.name, "_id": id, "found": False})
        return Answer(200, _shown(index, found, Source.of(source_of(call))))

    def get_many(self, call: Call, name: str | None) -> Answer:
        call.check_params("routing", "realtime", "refresh", "preference", *SOURCE)
        body = call.body()
        asked: list[Any] = [*(body.get("docs") or []), *({"_id": id_} for id_ in body.get("ids") or [])]
        if not asked:
            raise invalid_request("no documents to get")
        if unknown := sorted({word for item in asked for word in item} - {"_index", "_id", "routing", "_source"}):
            raise not_served(f"{unknown} in an item of _mget")
        return Answer(200, {"docs": [self._item(item, name, call) for item in asked]})

    def _item(self, item: dict[str, Any], default: str | None, call: Call) -> dict[str, Any]:
        name, id_ = item.get("_index") or default, str(item.get("_id"))
        try:
            if name is None:
                raise invalid_request("index is missing for doc 0")
            index = self._catalog.one(str(name))
            found = _found(index, id_, item.get("routing", call.params.get("routing")))
        except Problem as problem:
            return {"_index": name, "_id": id_, "error": _with_roots(problem)}
        if found is None:
            return {"_index": index.name, "_id": id_, "found": False}
        return _shown(index, found, Source.of(item.get("_source", source_of(call))))


def _with_roots(problem: Problem) -> dict[str, Any]:
    error: dict[str, Any] = problem.to_dict()["error"]
    return error


def _terms(call: Call) -> Terms:
    version_type = call.params.get("version_type", "internal")
    return Terms(call.number("if_seq_no"), call.number("if_primary_term"), call.number("version"), version_type)


def _found(index: Index, id: str, routing: str | None) -> Document | None:
    """As written, refreshed or not."""
    if routing is None and index.mapping.get("_routing", {}).get("required"):
        raise routing_missing(index.name, id)
    return index.shard_for(id, routing).documents.get(id)


def _shown(index: Index, document: Document, source: Source) -> dict[str, Any]:
    made = {
        "_index": index.name,
        "_id": document.id,
        "_version": document.version,
        "_seq_no": document.seq_no,
        "_primary_term": document.term,
    }
    if document.routing is not None:
        made["_routing"] = document.routing
    return {**made, "found": True, **source.taken(document, index, masks=False)}
