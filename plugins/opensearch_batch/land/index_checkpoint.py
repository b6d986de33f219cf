"""The checkpoint of an index after a complete run: moved, with the documents that have no vector yet."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import msgspec

from opensearch_batch.flow.chunks import row_of
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.land.report import Report
from opensearch_batch.prepare.bad_rows import BAD_ROW
from opensearch_batch.sources.checkpoint import MOST_LEFT, move_checkpoint
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import read_lines

log = logging.getLogger(__name__)


class _Failed(msgspec.Struct):
    id: str | None = None
    code: str = ""


def keep_checkpoint(spec: BatchSpec, question: str, states: tuple[IndexState, ...], report: Report) -> None:
    """Move the checkpoint past what a complete run has read. Documents that failed are asked for again by id; an edited
    document was written after the checkpoint, and comes by itself, as does a bad row that is mended.
    """
    failed = _failed_ids(report.failures)
    if spec.input.chunks:
        failed = _each_once(map(row_of, failed))
    left = _by_index(failed, [state.index for state in states])
    if not move_checkpoint(spec, question, states, left):
        log.warning(
            "more than %d documents have no vector yet: the next run reads the index from where this did", MOST_LEFT
        )


def _each_once(row_ids: Iterable[str]) -> Iterator[str]:
    """At most one more than a checkpoint keeps."""
    seen: set[str] = set()
    for row_id in row_ids:
        if len(seen) > MOST_LEFT:
            return
        if row_id not in seen:
            seen.add(row_id)
            yield row_id


def _failed_ids(uris: Iterable[str]) -> Iterable[str]:
    decoder = msgspec.json.Decoder(_Failed)
    for uri in uris:
        for line in read_lines(uri):
            row = decoder.decode(line.raw)
            if row.id is not None and row.code != BAD_ROW:
                yield row.id


def _by_index(row_ids: Iterable[str], indices: list[str]) -> dict[str, list[str]]:
    """A row of several indices is named index/id."""
    found: dict[str, list[str]] = {}
    for count, row_id in enumerate(row_ids):
        if count > MOST_LEFT:
            break
        index, _, document_id = (indices[0], "", row_id) if len(indices) == 1 else row_id.partition("/")
        found.setdefault(index, []).append(document_id)
    return found
