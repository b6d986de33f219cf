"""Gate: draw a sample, embed it online, fetch its vectors, search for some of it; the figures, and open or shut."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from opensearch_batch import providers
from opensearch_batch.cluster import documents
from opensearch_batch.cluster.indices import Held, held_documents
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.dotted import value_at
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.parity import Parity
from opensearch_batch.parity.neighbours import recall_of
from opensearch_batch.parity.nested import chunks_at, path_of_chunks
from opensearch_batch.parity.noted import sidecar_of, with_noted_hashes
from opensearch_batch.parity.online import embed
from opensearch_batch.parity.sample import Sample, Sampled, draw
from opensearch_batch.parity.verdict import Incomparable, cosine, judged
from opensearch_batch.parity_section import ParitySection
from opensearch_batch.prepare.index_mapping import Described, field_at
from opensearch_batch.prepare.vector_space import Lengths, doubt, lengths_of, space_of
from opensearch_batch.sources.sidecar import Sidecar
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection

log = logging.getLogger(__name__)

SEARCHES_AT_ONCE = 3
FETCHED_AT_ONCE = 200
WITH_CHUNKS_AT_ONCE = 5
"""Documents, which are fetched with all of their vectors."""

Send = Callable[[Call], Any]
FindModel = Callable[[], str | None]


def check_parity(
    corpus: Send,
    models: Send,
    spec: BatchSpec,
    indices: Sequence[str],
    run: str,
    find_model: FindModel,
    when_incomparable: Incomparable,
    pause: Callable[[float], object] = time.sleep,
) -> Parity:
    """Compare a sample of the indices' vectors with the model's online answers.

    `corpus` sends to the cluster of the indices, `models` to that of the model, whose id `find_model` tells: None where
    it is not registered. Every sampled text is paid for at the online price. Raise Transient where cluster or model
    are away, SpecError for a spec without write_back and parity.
    """
    section, written = spec.parity, spec.write_back
    if section is None or written is None:
        raise SpecError("the parity check needs a spec with write_back and parity")
    for index in indices:
        corpus(documents.refresh(index))  # else vectors written a moment ago are not in the sample
    sidecar = sidecar_of(corpus, written, indices)
    sample = draw(corpus, spec, written, indices, section.sample, run, sidecar)
    path = path_of_chunks(spec, written)
    stored = _vectors(corpus, written, sample, path, sidecar)
    online, why_not = _online(models, spec, sample, find_model, pause)
    cosines = {each.name: cosine(stored[each.name], vector) for each, vector in online}
    described = corpus(documents.describe_indices(",".join(indices))) if online else {}
    vectors = [(each, vector) for each, vector in online if cosines[each.name]]  # no index takes others as queries
    recalls = _recalls(corpus, written, section, vectors, described, path)
    lengths = lengths_of(vector for _, vector in vectors)
    found = judged(cosines, recalls, sample.left_out, section, why_not=why_not, when_incomparable=when_incomparable)
    return found if lengths is None else with_lengths(found, lengths, described, written.vector_field)


def with_lengths(found: Parity, lengths: Lengths, described: Described, name: str) -> Parity:
    """Return the figures with what the lengths of the model's vectors mean in the field of that name, of each index."""
    doubts = [
        doubt(f"{index}: {name!r}", field_at(about["mappings"], name) or {}, about["settings"]["index"], lengths)
        for index, about in described.items()
    ]
    return msgspec.structs.replace(
        found,
        least_length=lengths.least,
        greatest_length=lengths.greatest,
        doubts=[said for said in doubts if said],
    )


def _vectors(
    corpus: Send, written: WriteBackSection, sample: Sample, path: str, sidecar: Sidecar | None
) -> dict[str, list[float]]:
    """Vectors by name, of the sampled documents only; one that was edited since is left out of the sample."""
    vectors = {}
    drawn = tuple(sample.documents)
    at_once = WITH_CHUNKS_AT_ONCE if path else FETCHED_AT_ONCE
    hash_field = f"{path}.text_hash" if path else written.hash_field
    leaves = [written.vector_field, hash_field]
    for begin in range(0, len(drawn), at_once):
        part = drawn[begin : begin + at_once]
        found: list[Held] = corpus(held_documents([_wanted(each, leaves) for each in part]))
        sources = [held.source or {} for held in found]
        if sidecar:
            hits = [_hit(each, held) for each, held in zip(part, found, strict=True)]
            sources = [hit["_source"] for hit in with_noted_hashes(hits, sidecar, written)]
        for each, source in zip(part, sources, strict=True):
            vector, made_of = (_leaf(source, path, each.number, leaf) for leaf in leaves)
            if made_of == each.text_hash and isinstance(vector, list):
                vectors[each.name] = vector
            else:
                sample.leave_out("edited", each.name)
    sample.documents = [each for each in drawn if each.name in vectors]
    return vectors


def _leaf(source: Mapping[str, Any], path: str, number: int | None, leaf: str) -> Any:
    """A field of the document, or of the chunk of that number."""
    if number is None:
        return value_at(source, leaf)
    chunks = chunks_at(source, path)
    return value_at(chunks[number], leaf.removeprefix(f"{path}.")) if number < len(chunks) else None


def _wanted(each: Sampled, leaves: Sequence[str]) -> dict[str, Any]:
    place = {"_index": each.index, "_id": each.id, "_source": leaves}
    return place | ({"routing": each.routing} if each.routing else {})


def _hit(each: Sampled, held: Held) -> dict[str, Any]:
    """What a search would tell of a document."""
    routing = {"_routing": each.routing} if each.routing else {}
    numbers = {"_seq_no": held.seq_no, "_primary_term": held.primary_term}
    return {"_index": each.index, "_id": each.id, "_source": held.source, **numbers, **routing}


def _online(
    models: Send, spec: BatchSpec, sample: Sample, find_model: FindModel, pause: Callable[[float], object]
) -> tuple[list[tuple[Sampled, Sequence[float]]], str]:
    """Return the documents with their online vectors, and why there is none."""
    if not sample.documents:
        return [], f"no document whose text can be embedded again has a vector of {spec.model.name}"
    model, provider = spec.model, providers.get(spec.model.provider)
    asked = [
        provider.online_parameters(each.text, model.name, model.endpoint, model.parameters) for each in sample.documents
    ]
    if not all(asked):
        return [], f"{model.name} at {model.endpoint} cannot be asked online for the vector of a batch"
    if (model_id := find_model()) is None:
        return [], f"the cluster has no model {spec.registered_as!r}"
    log.info("parity: %d predictions with %s, paid at the online price", len(asked), model.name)
    answers = embed(models, model_id, asked, pause)
    if all(answer.vector is None for answer in answers):
        return [], f"the model answers no text online: {answers[0].refusal}"
    made = []
    for each, answer in zip(sample.documents, answers, strict=True):
        if answer.vector is None:
            sample.leave_out("refused online", each.name)
            log.warning("%s: %s", each.name, answer.refusal)
        else:
            made.append((each, answer.vector))
    return made, ""


def _recalls(
    corpus: Send,
    written: WriteBackSection,
    section: ParitySection,
    online: Sequence[tuple[Sampled, Sequence[float]]],
    described: Described,
    path: str,
) -> list[float]:
    asked = online[: section.queries]
    if not asked:
        return []
    field = written.vector_field
    spaces = {
        index: space_of(field_at(about["mappings"], field) or {}, about["settings"]["index"])
        for index, about in described.items()
    }

    def recall(one: tuple[Sampled, Sequence[float]]) -> float:
        index = one[0].index
        return recall_of(corpus, index, field, spaces[index], one[1], section.k, path)

    with ThreadPoolExecutor(SEARCHES_AT_ONCE, thread_name_prefix="recall") as pool:
        return list(pool.map(recall, asked))
