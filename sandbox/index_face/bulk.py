"""`_bulk`: each action on its own, the answer for all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.ids import opensearch_id
from sandbox.index_face import writes
from sandbox.index_face.actions import Action, actions
from sandbox.index_face.call import Answer, Call, Raw
from sandbox.index_face.errors import Problem, not_served

if TYPE_CHECKING:
    from sandbox.faults import Faults
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.index import Index
    from sandbox.index_face.writes import Written

MAX_BODY_BYTES = 100 * 1024 * 1024
REFRESHES = ("", "true", "wait_for")
NO_ROOM = "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0"


class Bulk:
    """`heap_bytes` is the server's: a body of more than a tenth of it is refused, however often it is sent."""

    def __init__(self, catalog: Catalog, faults: Faults, heap_bytes: int) -> None:
        self._catalog, self._faults, self._limit = catalog, faults, heap_bytes // 10

    def run(self, call: Call, default_index: str | None) -> Answer:
        call.check_params("refresh", "routing", "pipeline", "require_alias", "_source", "timeout")
        if call.params.get("pipeline") not in (None, "_none"):
            raise not_served("pipelines")
        began = time.monotonic()
        if len(call.raw) > MAX_BODY_BYTES:
            return Answer(413)
        if len(call.raw) > self._limit:
            words = f", coordinating_operation_bytes={len(call.raw)}, max_coordinating_and_primary_bytes={self._limit}]"
            raise Problem(429, "rejected_execution_exception", NO_ROOM + words)
        asked = actions(call.raw, default_index, require_alias=call.flag("require_alias"))
        rejected = self._rejected_shard()
        touched: dict[str, Index] = {}
        items = [self._item(action, call, touched, rejected) for action in asked]
        self._catalog.flush(touched.values())
        if call.params.get("refresh", "false") in REFRESHES:
            for index in touched.values():
                index.refresh()
        errors = any("error" in item for each in items for item in each.values())
        return Answer(200, {"took": int((time.monotonic() - began) * 1000), "errors": errors, "items": items})

    def _rejected_shard(self) -> int | None:
        """The shard whose items find the queue full this time."""
        fault = self._faults.take("bulk_items_rejected")
        return int(fault.number("shard", 0)) if fault else None

    def _item(self, action: Action, call: Call, touched: dict[str, Index], rejected: int | None) -> dict[str, Any]:
        id_ = action.id if action.id is not None else opensearch_id()
        name = str(action.index)
        try:
            if action.refusal:
                raise action.refusal
            index = self._index(action, name)
            name = index.name
            touched[index.uuid] = index
            routing = _routing(action, call, index)
            if rejected is not None:
                _refuse_if_in(rejected, index, routing if routing is not None else id_)
            done = self._done(action, index, id_, routing)
        except Problem as problem:
            return {action.kind: {"_index": name, "_id": id_, "status": problem.status, "error": problem.inner()}}
        answer = written(done, refresh=call.params.get("refresh", "false"), is_3x=self._catalog.is_3x)
        if (wanted := action.wants_source) is None and action.kind == "update":
            wanted = call.flag("_source") or None
        if wanted and done.source is not None:
            answer["get"] = got(done)
        answer["status"] = done.status
        return {action.kind: answer}

    def _index(self, action: Action, name: str) -> Index:
        external = action.terms.is_external
        creates = action.kind != "delete" or external
        index = self._catalog.to_write(name, creates=creates, require_alias=action.require_alias)
        if problem := index.blocked():
            raise problem
        return index

    def _done(self, action: Action, index: Index, id: str, routing: str | None) -> Written:
        is_3x = self._catalog.is_3x
        if action.kind == "delete":
            return writes.delete(index, id, routing, action.terms)
        if action.change is not None:
            return writes.update(index, id, routing, action.change, action.terms, is_3x=is_3x)
        creates = action.kind == "create"
        return writes.put(index, id, routing, action.text, action.terms, is_3x=is_3x, creates=creates)


def _routing(action: Action, call: Call, index: Index) -> str | None:
    if action.routing is not None:
        return action.routing
    by_alias = index.aliases.get(str(action.index), {}).get("index_routing")
    return by_alias if by_alias is not None else call.params.get("routing")


def _refuse_if_in(shard: int, index: Index, routing: str) -> None:
    if index.number_for(routing) == shard:
        pool = "OpenSearchThreadPoolExecutor[name = sandbox/write, queue capacity = 10000]"
        words = "org.opensearch.action.support.replication.TransportWriteAction"
        raise Problem(429, "rejected_execution_exception", f"rejected execution of {words} on {pool}")


def written(done: Written, *, refresh: str, is_3x: bool, is_alone: bool = False) -> dict[str, Any]:
    """What is answered for a write; of one that `is_alone` a noop names no shards."""
    forced = {"forced_refresh": True} if refresh in ("", "true") and (done.is_done or not is_3x) else {}
    copies = done.index.copies if done.is_done or not is_alone else 0
    return {
        "_index": done.index.name,
        "_id": done.id,
        "_version": done.version,
        "result": done.result,
        **forced,
        "_shards": {"total": copies, "successful": min(copies, 1), "failed": 0},
        "_seq_no": done.seq_no,
        "_primary_term": done.term,
    }


def got(done: Written) -> dict[str, Any]:
    source = Raw(done.source or b"{}")
    return {"_seq_no": done.seq_no, "_primary_term": done.term, "found": True, "_source": source}
