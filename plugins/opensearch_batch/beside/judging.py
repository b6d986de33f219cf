"""Whether a new index may take the old one's place: as many documents, one model's vectors, and few texts without."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import Send
from opensearch_batch.errors import Refused
from opensearch_batch.flow.beside import NAMED, Carried, CarriedOver
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sources.changed import ChangedDocuments
from opensearch_batch.sources.index_rows import ID, state_now
from opensearch_batch.sources.rows import Row
from opensearch_batch.spec import BatchSpec

MOST_COUNTS = 5


def refuse_other_vectors(changed: ChangedDocuments, spec: BatchSpec) -> None:
    """Raise Refused where documents have vectors of another model than the spec's."""
    assert changed.provenance is not None
    if others := changed.provenance.with_vectors_of_others(spec.model.name):
        raise Refused(
            f"{spec.input.uri}: {others} documents have vectors of another model than {spec.model.name}, or of an "
            "unknown one: somebody else writes there. The alias stays where it is. Start a new run"
        )


def without_vector(changed: ChangedDocuments) -> tuple[int, list[str]]:
    """Count and name the documents that have a text and no vector of that text."""
    count, named = 0, list[str]()
    for row in changed.rows():
        count += 1
        if len(named) < NAMED:
            named.append(str(row.fields[ID]) if isinstance(row, Row) else str(row.id))
    return count, named


def refuse_too_few(send: Send, source: IndexState, target: IndexState) -> int:
    """Return the documents of the target. Raise Refused where the source has another number, each counted at rest: a
    source that is written to all the time cannot be compared.
    """
    there = 0
    for _ in range(MOST_COUNTS):
        before = state_now(send, source)
        counts = [_counted(send, state) for state in (source, target)]
        there = counts[1]
        if before.checkpoints != source.checkpoints:
            break
        if state_now(send, source).checkpoints == before.checkpoints:
            if counts[0] != counts[1]:
                raise Refused(
                    f"{source.index} has {counts[0]} documents and {target.index} {counts[1]}: the alias stays where "
                    "it is. Clear copy_documents alone, then carry_over with what follows; nothing is sent"
                )
            break
    return there


def _counted(send: Send, state: IndexState) -> int:
    send(documents.refresh(state.index))
    counted: int = send(documents.count_documents(state.index, {"match_all": {}}))
    return counted


def refuse_bare(over: CarriedOver, carried: Carried, spec: BatchSpec, failed: int, planned: int) -> int:
    """Return how many documents would be without a vector, at most: a document edited before and after the carry-over
    counts twice. Raise Refused where these are too many, or where `failed` of the `planned` rows are more than the run
    may lose.
    """
    assert spec.write_back is not None
    bare = over.without_vector + carried.without_vector
    texts = over.vectors + bare
    most = spec.write_back.max_without_vector
    if bare > most * texts:
        raise Refused(
            f"{bare} of {texts} documents with a text have no vector of it{_first(over.named)}, and "
            f"write_back.max_without_vector allows {most:.2%}. The alias stays where it is. Raise the limit and clear "
            "this task: the next run in place fills them. Or start a new run, with reuse it pays for these alone"
        )
    if failed > spec.limits.max_failed_fraction * planned:
        rows = "documents" if spec.input.chunks else "rows"
        raise Refused(
            f"{failed} of {planned} {rows} have no vector, and limits.max_failed_fraction allows "
            f"{spec.limits.max_failed_fraction:.2%}{_first(over.named)}. The alias stays where it is"
        )
    return bare


def _first(named: Sequence[str]) -> str:
    return f" ({', '.join(named[:5])}{', …' if len(named) > 5 else ''})" if named else ""
