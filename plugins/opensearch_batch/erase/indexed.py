"""Documents in their index: found by id, deleted, or left without text, vector and provenance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import orjson

from opensearch_batch.cluster import documents, indices
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.dotted import not_an_object, value_at, values_at, ways_to
from opensearch_batch.erase.kept import MadeIndex, kept_indices, made_indices
from opensearch_batch.erase.made_fields import MadeFields, made_fields
from opensearch_batch.erase.order import Order
from opensearch_batch.erase.read_indices import read_indices
from opensearch_batch.errors import InputError, Refused, Unavailable
from opensearch_batch.flow.text_hash import is_text_hash, text_hash
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.sources.columns import text_leaves_of
from opensearch_batch.sources.hashed import hash_of_model
from opensearch_batch.sources.index_rows import DOCUMENT, ID, SCHEME, naming_closed, open_index
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.templates import wording_of
from opensearch_batch.spec import BatchSpec

log = logging.getLogger(__name__)

IDS_AT_ONCE = 500
TOO_MANY, CONFLICT, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 429, 409, 403, 404, 500
BLOCKED = "cluster_block_exception"

Send = Callable[[Call], Any]


@dataclass(frozen=True)
class Indexed:
    """A document that is there. `fields` are the keys that lead to each value to forget, as the document has them.
    `is_sure`: the order names this document and no other.
    """

    index: str
    id: str
    routing: str | None
    fields: tuple[tuple[str, ...], ...]
    hashes: frozenset[str]
    is_sure: bool = True


def ids_of(order: Order, manifests: Sequence[Manifest]) -> set[str]:
    """Return the row ids of the documents that the order's query finds in what a run of the spec reads."""
    if not order.spec.input.is_index:
        raise InputError("a query finds documents of an index, and the spec's input is none: name the ids")
    read = read_indices(order, manifests)
    uris = [f"{SCHEME}{read.connection}/{name}" for name, found in read.at_once.items() if found]
    return {row.fields[ID] for uri in uris for row in open_index(uri, order.query, []).rows()}


class Indices:
    """The concrete indices to look in: those of the spec's input, others that the order names, and those that runs have
    made or left beside an alias. `naming` is of their rows. `made_beside` are those that runs have made; None where
    this user may not see all of such names, and no run of the spec makes any.
    """

    def __init__(self, order: Order, specs: Sequence[BatchSpec], manifests: Sequence[Manifest] = ()) -> None:
        """`specs` are the present one and those of earlier runs, which may have written into other fields."""
        self._spec, self._forget = specs[0], order.forget
        self._read = read_indices(order, manifests)
        self._connection, self.naming = self._read.connection, self._read.naming
        self.made_beside = self._made_beside(specs)
        kept = kept_indices(manifests, self.made_beside or (), self._connection, self._send)
        self.names = list(dict.fromkeys([*self._read.own, *order.indices, *kept]))
        self._texts = text_leaves_of(self._spec)
        self._made = list(dict.fromkeys(made for each in specs if (made := made_fields(each))))

    @property
    def strangers(self) -> list[str]:
        """Indices that fit the pattern of the input, and are no run's: nobody looks there."""
        return [name for name in self._read.strangers if name not in self.names]

    def _made_beside(self, specs: Sequence[BatchSpec]) -> list[MadeIndex] | None:
        aliases = [name for name, found in self._read.at_once.items() if name not in found]
        try:
            return made_indices(self._send, aliases)
        except Refused as error:
            if error.status != FORBIDDEN or any(spec.write_back and spec.write_back.is_beside for spec in specs):
                raise
            return None

    def uri(self, index: str) -> str:
        return f"opensearch://{self._connection}/{index}"

    def look(self, ids: Collection[str]) -> Iterator[tuple[str, int, list[Indexed]]]:
        """Yield the name of each index, the number of its documents, and those that may be meant."""
        for index in self.names:
            wanted = sorted(self.naming.may_be_in(index, ids))
            found = [each for some in batches_of(wanted) for each in self._found(index, some)]
            doubtful = self.naming.doubtful(index, ids, {each.id for each in found})
            meant = self.naming.ids_in(index, ids) | doubtful
            found = [replace(each, is_sure=each.id not in doubtful) for each in found if each.id in meant]
            if self._forget == "text":
                found = [each for each in found if each.fields]
            with naming_closed(index):
                count = self._count(index)
            yield index, count, found

    def delete(self, made: Iterable[MadeIndex]) -> None:
        for each in made:
            self._send(indices.delete_index(each.name))
            log.info("%s was deleted: %s has made it, and has not ended", each.name, each.run)

    def _count(self, index: str) -> int:
        return int(self._send(documents.count_documents(index, {"match_all": {}})))

    def _found(self, index: str, ids: Sequence[str]) -> Iterator[Indexed]:
        named = {"ids": {"values": list(ids)}}
        leaves = [leaf for made in self._made for leaf in (*made.leaves, made.vector)]
        parents = self._parents if self._forget == "text" else []
        source = open_index(self.uri(index), named, [*self._texts, *leaves, *parents])
        mapping = source.described[index]["mappings"]
        there = {made: self._with_vectors(index, named, made) for made in self._made if made.may_be_in(mapping)}
        model = hash_of_model(self._spec)
        for number, hit in enumerate(source.hits(), start=1):
            row = source.row(hit, number)
            document = row.fields[DOCUMENT]
            fields = [name for name in self._texts if _has(hit.get("_source"), name)]
            fields += [leaf for made in self._made if value_at(row.fields, made.hash) for leaf in made.provenance]
            fields += [made.whole for made, with_vector in there.items() if document["id"] in with_vector]
            noted = {each for made in self._made for each in made.hashes_in(row.fields) if is_text_hash(each)}
            hashes = noted | set(_hash_of(self._spec, model, row.fields))
            names = tuple(dict.fromkeys(fields))
            if self._forget == "text":
                _refuse_lists(index, document["id"], row.fields, names)
            keys = [way for name in names for way in self._ways_to(hit.get("_source"), name)]
            yield Indexed(index, document["id"], document.get("routing"), tuple(keys), frozenset(hashes))

    def _ways_to(self, source: Any, name: str) -> Sequence[tuple[str, ...]]:
        """What a search has found and _source does not show is nested."""
        return [*ways_to(source, name)] or ([] if name in self._texts else [tuple(name.split("."))])

    @property
    def _parents(self) -> list[str]:
        """The outermost objects in which there is something to forget."""
        paths = [*self._texts, *(path for made in self._made for path in (made.whole, *made.provenance))]
        return sorted({path.partition(".")[0] for path in paths if "." in path})

    def _with_vectors(self, index: str, named: Mapping[str, Any], made: MadeFields) -> set[str]:
        query = {"bool": {"filter": [named, made.has_them]}}
        return {row.fields[DOCUMENT]["id"] for row in open_index(self.uri(index), query, []).rows()}

    def remove(self, found: Iterable[Indexed]) -> None:
        """Repeating is safe. Raise Unavailable where the index has no place for it now."""
        lines = (_delete(each) if self._forget == "document" else _forget(each) for each in found)
        send_lines(self._send, ", ".join(self.names), lines)

    @property
    def _send(self) -> Send:
        from opensearch_batch.cluster.hook import MLCommonsHook

        return MLCommonsHook(self._connection).send


def send_lines(send: Send, name: str, lines: Iterator[bytes]) -> None:
    """Send the lines of removals. Raise Unavailable where an index has no place for them now, Refused for a block."""
    while some := list(islice(lines, IDS_AT_ONCE)):
        for item in send(documents.bulk(b"".join(some))):
            if item.status in (TOO_MANY, CONFLICT) or item.status >= SERVER_ERROR:
                kind = Refused if item.type == BLOCKED else Unavailable
                raise kind(f"{name}: not all documents are erased: {item.type}: {item.reason}")
            if item.status >= 400 and item.status != NOT_FOUND:
                role = ". The role for it is docs/roles/index.yml" if item.status == FORBIDDEN else ""
                raise Refused(f"{name}: {item.type}: {item.reason}{role}")


def _delete(document: Indexed) -> bytes:
    return b"%b\n" % orjson.dumps({"delete": _address(document)})


def _forget(document: Indexed) -> bytes:
    """A partial update: it runs no pipeline, which might embed again."""
    doc: dict[str, Any] = {}
    for *parents, last in document.fields:
        target = doc
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = None
    return b"%b\n%b\n" % (orjson.dumps({"update": _address(document)}), orjson.dumps({"doc": doc}))


def _address(document: Indexed) -> dict[str, Any]:
    routing = {} if document.routing is None else {"routing": document.routing}
    return {"_index": document.index, "_id": document.id, **routing}


def _has(source: Any, name: str) -> bool:
    """Whether a document has a text in a field, in the objects of a list too."""
    in_lists = values_at(source, name) if isinstance(source, dict) else []
    return any(True for _ in ways_to(source, name)) or any(value is not None for value in in_lists)


def _refuse_lists(index: str, name: str, fields: Mapping[str, Any], paths: Sequence[str]) -> None:
    """Raise Refused where a partial document would put one object in the place of a list, with all that lies there."""
    for path in paths:
        if (parent := not_an_object(fields, path)) is not None:
            raise Refused(
                f"{index}: {parent!r} is a list in the document {name}, and forgetting {path} would replace all of it. "
                f"Take {path} out of its objects, or erase the whole document (forget: document). Nothing was removed"
            )


def _hash_of(spec: BatchSpec, model: bytes, fields: Mapping[str, Any]) -> Iterator[str]:
    try:
        yield text_hash(model, text_of(fields, spec.input.text_field, wording_of(spec.input)))
    except WrongRow:
        return


def batches_of(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), IDS_AT_ONCE):
        yield ids[at : at + IDS_AT_ONCE]
