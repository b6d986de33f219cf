"""Sample: documents of an index with a vector of the spec's model, whose text is as it was when it was embedded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch import providers
from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import RESULT_WINDOW, described, result_window
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.online import PLACEHOLDER
from opensearch_batch.dotted import value_at
from opensearch_batch.flow.chunks import chunk_id
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.parity.nested import chunks_at, nested_query, path_of_chunks
from opensearch_batch.parity.noted import with_noted_hashes
from opensearch_batch.prepare.lengths import text_limit
from opensearch_batch.sources.document_text import DocumentTexts
from opensearch_batch.sources.hashed import hash_of_model
from opensearch_batch.sources.records import WrongRow
from opensearch_batch.sources.sidecar import Sidecar
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection

PAGES = 3
"""So many times the sample is looked at, to replace what is left out."""
MOST_A_PAGE = 500

Send = Callable[[Call], Any]


@dataclass(frozen=True)
class Sampled:
    """A document, or chunk `number` of it: its place, and the text as a batch sends it. `name` is that of its row, with
    the index where several are looked at. `text_hash` is the one beside the vector.
    """

    name: str
    index: str
    id: str
    routing: str | None
    text: str
    text_hash: str
    number: int | None = None


@dataclass
class Sample:
    """`left_out` are names by reason: placeholders (an online call fills them in), edited, without text, too long."""

    documents: list[Sampled] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)


def draw(
    send: Send,
    spec: BatchSpec,
    section: WriteBackSection,
    indices: Sequence[str],
    size: int,
    run: str,
    sidecar: Sidecar | None = None,
) -> Sample:
    """Draw up to `size` documents; the same run draws the same ones of an unchanged index. Raise BatchError."""
    sample, texts = Sample(), _Texts(spec, section, run)
    about = described(send, ",".join(indices))
    window = min(map(result_window, about.values()), default=RESULT_WINDOW)
    page = min(size, MOST_A_PAGE)
    begin = 0
    while len(sample.documents) < size and begin < min(PAGES * size, window):  # a search goes no further
        part = {"from": begin, "size": min(page, window - begin)}
        body = _question(section, spec.model.name, path_of_chunks(spec, section), texts.leaves, run) | part
        hits = send(documents.search_documents(",".join(indices), body)).hits
        if sidecar:
            hits = with_noted_hashes(hits, sidecar, section)
        for hit in hits:
            if len(sample.documents) < size:
                texts.add(hit, sample, several=len(indices) > 1)
        begin += page
        if len(hits) < page:
            break
    return sample


def seed_of(run: str) -> int:
    """A positive number of 31 bits."""
    return int.from_bytes(hashlib.blake2b(run.encode(), digest_size=4).digest()) >> 1


def _question(section: WriteBackSection, model: str, path: str, leaves: Sequence[str], run: str) -> dict[str, Any]:
    exists = {"exists": {"field": section.vector_field}}
    written = [nested_query(path, exists)]
    if not section.provenance_index:
        written.append({"term": {f"{section.provenance}.model": model}})
    random = {"random_score": {"seed": seed_of(run), "field": "_seq_no"}, "boost_mode": "replace"}
    return {
        "query": {"function_score": {"query": {"bool": {"filter": written}}, **random}},
        "_source": list(dict.fromkeys([*leaves, section.hash_field])),
        "seq_no_primary_term": section.provenance_index is not None,
        "track_total_hits": False,
    }


class _Texts:
    def __init__(self, spec: BatchSpec, section: WriteBackSection, run: str) -> None:
        self._spec, self._section, self._texts = spec, section, DocumentTexts(spec)
        self._path, self._model, self._run = path_of_chunks(spec, section), hash_of_model(spec), run
        self._limit = text_limit(spec, providers.get(spec.model.provider))

    @property
    def leaves(self) -> Sequence[str]:
        chunks = [f"{self._path}.{name}" for name in ("text_hash", "start", "end")] if self._path else []
        return [*self._texts.leaves, *chunks]

    def add(self, hit: dict[str, Any], sample: Sample, *, several: bool) -> None:
        """A hit, to the documents or to what is left out."""
        name = f"{hit['_index']}/{hit['_id']}" if several else hit["_id"]
        source = hit.get("_source") or {}
        try:
            text, made_of = self._texts.of(source)
        except WrongRow:
            sample.leave_out("without text", name)
            return
        if value_at(source, self._section.hash_field) != made_of:
            sample.leave_out("edited", name)
            return
        number = None
        if self._path:
            if (drawn := self._drawn(name, text, source)) is None:
                sample.leave_out("edited", name)
                return
            number, text, made_of = drawn
            name = chunk_id(name, number)
        if self._limit and self._limit.excess(text):
            if self._spec.input.too_long != "truncate":
                sample.leave_out("too long", name)
                return
            text = self._limit.cut(text)
        if PLACEHOLDER in text:
            sample.leave_out("with ${…} in the text", name)
            return
        place = (hit["_index"], hit["_id"], hit.get("_routing"))
        sample.documents.append(Sampled(name, *place, text, made_of, number))

    def _drawn(self, name: str, text: str, source: Mapping[str, Any]) -> tuple[int, str, str] | None:
        """Return number, text and hash of one of a document's chunks; None where it is not of this text."""
        chunks = chunks_at(source, self._path)
        if not chunks:
            return None
        number = seed_of(f"{self._run}|{name}") % len(chunks)
        part = text[chunks[number]["start"] : chunks[number]["end"]]
        made_of = text_hash(self._model, part)
        return (number, part, made_of) if chunks[number]["text_hash"] == made_of else None
