"""docs/roles/index.yml, line by line: an index is filled with it, and without any one line something is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from opensearch_batch.beside import older
from opensearch_batch.beside.carrying import Fields, copy_documents
from opensearch_batch.beside.going_back import way_back
from opensearch_batch.beside.making import whole_state
from opensearch_batch.beside.moving import Move, move
from opensearch_batch.beside.notes import with_note
from opensearch_batch.cluster import documents, room
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.erase.indexed import Indices
from opensearch_batch.erase.noted import look_at_sidecars
from opensearch_batch.erase.order import Order
from opensearch_batch.errors import BatchError
from opensearch_batch.flow.beside import IndexNote, Made
from opensearch_batch.prepare.sidecar import make_sidecar
from opensearch_batch.sinks.index import VectorFields, write_vectors
from opensearch_batch.sinks.index_writes import delete_action
from opensearch_batch.sources.changed import ChangedDocuments
from opensearch_batch.sources.index_rows import open_index, refuse_another
from opensearch_batch.sources.reread import Reread
from opensearch_batch.sources.rows import Row
from opensearch_batch.spec import BatchSpec
from stack.airflow import CHECKOUT
from stack.opensearch.security import User
from tests.real.secured import ROLES_API, Connect, Secured

INDEX, NEW, ALIAS = "articles-secured", "articles-secured-new", "articles-secured-live"
SIDECAR = "vector-provenance"
FIELDS = VectorFields("vector", "vector_provenance", "model", "run")
TEXTS = Fields(["body"], "vector", "vector_provenance")
[(ROLE, PERMISSIONS)] = yaml.safe_load((CHECKOUT / "docs" / "roles" / "index.yml").read_text()).items()
WRITER = User(
    "writer",
    "Runner-not-a-secret-1",
    "$2b$04$XREDHBZnhOPFu7uZ9ni/DeDlPpDp8oAz2La2HYCxOarVQ9rJFdi8y",
    roles=(ROLE,),
    backend_roles=(),
)
ERASING = "indices:data/write/delete"
KEYWORD = {"type": "keyword"}
MAPPED = {
    "body": {"type": "text"},
    "vector": {"type": "float"},
    "vector_provenance": {"properties": {"model": KEYWORD, "text_hash": KEYWORD, "run": KEYWORD}},
}
LOOKED = {"cluster:monitor/nodes/stats": room.data_nodes, "cluster:monitor/state": room.room_settings}
"""Without these a run goes on, and says that it could not look."""
CORPUS, BESIDE = PERMISSIONS["index_permissions"]
LINES = [*PERMISSIONS["cluster_permissions"], *CORPUS["allowed_actions"]]


def without(line: str) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(PERMISSIONS)
    for lines in [body["cluster_permissions"], body["index_permissions"][0]["allowed_actions"]]:
        if line in lines:
            lines.remove(line)
    return body


def without_of_sidecar(line: str) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(PERMISSIONS)
    body["index_permissions"][1]["allowed_actions"].remove(line)
    return body


@pytest.fixture(scope="module")
def index(secured: Secured) -> Iterator[Secured]:
    """Twenty documents, and a user with this role alone."""
    user = {"hash": WRITER.hash, "opendistro_security_roles": [ROLE]}
    secured.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", PERMISSIONS)
    secured.cluster.ok("PUT", f"/_plugins/_security/api/internalusers/{WRITER.name}", user)
    aliases: dict[str, Any] = {ALIAS: {}}
    secured.cluster.ok(
        "PUT", f"/{INDEX}", {"mappings": {"dynamic": "strict", "properties": MAPPED}, "aliases": aliases}
    )
    yield secured
    secured.cluster.ok("DELETE", f"/{INDEX}")


@pytest.fixture
def send(index: Secured, connect: Connect) -> Any:
    for number in range(20):
        index.cluster.ok("PUT", f"/{INDEX}/_doc/{number}", {"body": f"text {number}"})
    return connect(WRITER).send


def fill(send: Any) -> int:
    """Read all, write a vector into each, and write again: conflicts are looked up."""
    source = open_index(f"opensearch://writer/{INDEX}", None, ["body"])
    rows = list(source.rows())
    lines = [
        json.dumps(
            {"id": row.fields["_id"], "_document": row.fields["_document"], "_text_hash": "h", "embedding": [1.5]}
        )
        for row in rows
    ]
    written = 0
    check, texts = partial(refuse_another, send), texts_of(spec_of(read="all"))
    for _ in range(2):
        written += write_vectors((line.encode() for line in lines), FIELDS, source.states, send, check, texts).written
    return written


def spec_of(**back: str) -> BatchSpec:
    return BatchSpec.check(
        {
            "name": "secured",
            "model": {"name": "model"},
            "input": {"uri": f"opensearch://writer/{INDEX}", "text_field": "body"},
            "output": {"uri": "file:///nowhere"},
            **({"write_back": {"vector_field": "vector", **back}} if back else {}),
        }
    )


def texts_of(spec: BatchSpec) -> Reread:
    assert spec.write_back
    return Reread(spec, spec.write_back)


def fill_beside(send: Any) -> list[int]:
    """Fill with a sidecar while a document is deleted, then erase another; return what was counted."""
    spec = spec_of(provenance_index=SIDECAR, read="all")
    make_sidecar(spec)
    changed = ChangedDocuments.of(spec)
    assert changed.provenance
    rows = [row for row in changed.rows() if isinstance(row, Row)]
    made = [{"id": row.fields["_id"], "embedding": [1.5]} for row in rows]
    lines = [
        json.dumps({**each, **{name: row.fields[name] for name in ("_document", "_text_hash")}}).encode()
        for each, row in zip(made, rows, strict=True)
    ]
    send(documents.bulk(delete_action(INDEX, "0", None).lines))
    fields = VectorFields("vector", "", "model", "run")
    check = partial(refuse_another, send)
    written = write_vectors(lines, fields, changed.states, send, check, texts_of(spec), SIDECAR)
    again = ChangedDocuments.of(spec)
    assert again.provenance
    left, others = len(list(again.rows())), again.provenance.with_vectors_of_others("model")
    noted = again.provenance.written_by("run")
    indices = Indices(Order(spec, "erasure", frozenset({"1"})), [spec])
    [sidecar] = look_at_sidecars([spec], indices, {"1"}, {})
    sidecar.remove()
    return [len(rows), written.written, written.deleted, left, others, noted, sidecar.place.found]


def change(index: Secured, send: Any) -> str:
    """Fill a new index beside, move the alias there and back, and remove the new index. The server has no k-NN."""
    source = whole_state(send, INDEX, send(documents.describe_indices(INDEX))[INDEX])
    meta = with_note(None, IndexNote(Made(ALIAS, "run", source)))
    send(documents.create_index(NEW, {"mappings": {"dynamic": "strict", "properties": MAPPED, "_meta": meta}}))
    new = whole_state(send, NEW, send(documents.describe_indices(NEW))[NEW])
    copy_documents(send, source, new, TEXTS)
    index.cluster.ok("PUT", f"/{INDEX}/_doc/0", {"body": "another text"})
    index.cluster.ok("DELETE", f"/{INDEX}/_doc/1")
    done = move(send, Move(ALIAS, "run", source, new, TEXTS), lambda carried, until: None)
    assert (done.before.written, done.before.deleted) == (1, 1)
    move(send, way_back(send, ALIAS, "back", TEXTS, carries=True), lambda carried, until: None)
    return " ".join(older.remove(send, [NEW]))


def fill_and_change(index: Secured, send: Any) -> None:
    fill(send)
    change(index, send)


def as_before(index: Secured) -> None:
    index.cluster.client.delete(f"/{NEW}")
    index.cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": INDEX, "alias": ALIAS}}]})
    for number in range(20):
        index.cluster.ok("PUT", f"/{INDEX}/_doc/{number}", {"body": f"text {number}"})


def test_the_role_fills_an_index(send: MLCommonsHook) -> None:
    assert fill(send) == 40


def erase(document_id: str) -> list[int]:
    """Erase a document; return how many of it a first and a second look find."""
    spec = spec_of()
    indices = Indices(Order(spec, "erasure", frozenset({document_id})), [spec])
    [(_, _, found)] = indices.look({document_id})
    indices.remove(found)
    [(_, _, again)] = indices.look({document_id})
    return [len(found), len(again)]


def test_the_role_erases(send: MLCommonsHook) -> None:
    assert erase("7") == [1, 0]


def test_the_role_changes_the_model(index: Secured, send: Any) -> None:
    assert change(index, send) == NEW


@pytest.mark.parametrize("line", [line for line in LINES if line not in LOOKED])
def test_each_line_is_needed_and_its_refusal_names_it(index: Secured, send: Any, line: str, caplog: Any) -> None:
    try:
        index.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", without(line))
        if line == "indices:data/read/point_in_time/delete":
            with pytest.raises(BatchError, match=line.replace("[", r"\[")):
                send(documents.close_point_in_time(send(documents.open_point_in_time(INDEX))))
        else:
            with pytest.raises(BatchError, match=line.replace("[", r"\[")):
                erase("7") if line == ERASING else fill_and_change(index, send)
    finally:
        index.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", PERMISSIONS)
        as_before(index)
    assert fill(send) == 40


def test_the_role_fills_an_index_beside_which_the_provenance_lies(index: Secured, send: Any) -> None:
    try:
        assert fill_beside(send) == [20, 19, 1, 0, 0, 19, 1]
    finally:
        index.cluster.client.delete(f"/{SIDECAR}")


@pytest.mark.parametrize("line", BESIDE["allowed_actions"])
def test_each_line_for_the_sidecar_is_needed(index: Secured, send: Any, line: str) -> None:
    try:
        index.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", without_of_sidecar(line))
        with pytest.raises(BatchError, match=line.replace("[", r"\[")):
            fill_beside(send)
    finally:
        index.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", PERMISSIONS)
        index.cluster.client.delete(f"/{SIDECAR}")


@pytest.mark.parametrize("line", LOOKED)
def test_without_a_line_for_the_look_at_room_the_look_is_refused(index: Secured, send: Any, line: str) -> None:
    try:
        index.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", without(line))
        with pytest.raises(BatchError, match=line):
            send(LOOKED[line]())
    finally:
        index.cluster.ok("PUT", f"{ROLES_API}/{ROLE}", PERMISSIONS)
    send(LOOKED[line]())
