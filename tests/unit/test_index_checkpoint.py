"""The checkpoint after a complete run: the documents that failed are asked for again, by id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from opensearch_batch.flow.documents import IndexState
from opensearch_batch.land.index_checkpoint import keep_checkpoint
from opensearch_batch.sources.checkpoint import MOST_LEFT, checkpoint_uri, question_of, read_checkpoint
from opensearch_batch.spec import BatchSpec
from tests.unit.test_report import report


def spec(folder: Path, **read: Any) -> BatchSpec:
    return BatchSpec.check(
        {
            "name": "n",
            "model": {"name": "text-embedding-3-small"},
            "input": {"uri": "opensearch://docs", "text_field": "text"} | read,
            "output": {"uri": f"file://{folder}/out"},
            "work_uri": f"file://{folder}/work",
            "write_back": {"vector_field": "chunks.vector" if "chunks" in read else "vector"},
        }
    )


def left(folder: Path, *failed: dict[str, Any], indices: tuple[str, ...] = ("docs",), **read: Any) -> Any:
    """Return the documents that a checkpoint leaves after a run with these failures; None where it has not moved."""
    failures = folder / "failures.jsonl"
    failures.write_text("".join(json.dumps(row) + "\n" for row in failed))
    states = tuple(IndexState(index, "uuid", {"0": "h"}, {"0": 7}) for index in indices)
    keep_checkpoint(spec(folder, **read), "question", states, replace(report(), failures=[f"file://{failures}"]))
    found = read_checkpoint(spec(folder, **read), "question")
    assert found is None or found.indices == states
    return found and found.left


def test_documents_that_failed_are_left_and_bad_rows_are_not(tmp_path: Path) -> None:
    rows = ({"id": "a", "code": "too_long"}, {"id": "b", "code": "bad_row"}, {"code": "unreadable"}, {"id": "c"})
    assert left(tmp_path, *rows) == {"docs": ["a", "c"]}


def test_a_run_without_failures_leaves_nothing(tmp_path: Path) -> None:
    assert left(tmp_path) == {}


def test_a_query_that_other_things_than_writes_change_has_no_checkpoint(tmp_path: Path) -> None:
    """The spec's own, or an alias's."""
    steady, of_the_clock = {"term": {"lang": "en"}}, {"query_string": {"query": "day:[* TO now-7d]"}}
    assert question_of(spec(tmp_path), [steady]) is not None
    assert question_of(spec(tmp_path), [steady, of_the_clock]) is None


def test_documents_of_several_indices_are_left_by_index(tmp_path: Path) -> None:
    rows = [{"id": id} for id in ("docs/a", "more/a/b", "docs/c")]
    assert left(tmp_path, *rows, indices=("docs", "more")) == {"docs": ["a", "c"], "more": ["a/b"]}


def test_a_document_is_left_once_however_many_of_its_chunks_failed(tmp_path: Path) -> None:
    rows = [{"id": id} for id in ("a#0", "a#1", "b#0")]
    assert left(tmp_path, *rows, chunks={"size": 100}) == {"docs": ["a", "b"]}


@pytest.mark.parametrize("chunks", [False, True])
def test_with_more_than_a_checkpoint_keeps_it_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, chunks: bool
) -> None:
    rows = [{"id": f"{n}#0" if chunks else str(n)} for n in range(MOST_LEFT + 1)]
    read: dict[str, Any] = {"chunks": {"size": 100}} if chunks else {}
    assert len(left(tmp_path, *rows[:-1], **read)["docs"]) == MOST_LEFT
    Path(checkpoint_uri(spec(tmp_path)).removeprefix("file://")).unlink()
    assert left(tmp_path, *rows, **read) is None
    assert "more than 1000 documents have no vector yet" in caplog.text
