"""Stragglers of an index: vectors that were answered online go into their documents, on the same conditions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opensearch_batch.operators import (
    AnswerStragglersOperator,
    FetchOutputOperator,
    ReportOperator,
    WriteBackOperator,
    WriteChunksOperator,
)
from tests.index.bench import DIMENSIONS, Cluster, Fill, Index, articles
from tests.index.chunks import CHUNK_FIELDS, essays
from tests.index.test_fill import embedded
from tests.sandbox.bench import Server, lines_of

Night = Callable[..., Fill]
LIMITS = {"max_straggler_usd": 1, "stragglers_per_second": 500}


@pytest.fixture
def late(night: Night, server: Server) -> Callable[..., Any]:
    """A night whose batch was cancelled with half of its rows answered, and whose rest is asked online."""
    model_id = server.model(dimensions=DIMENSIONS)

    def begun(into: Index | None = None, **settings: Any) -> tuple[Fill, Any, Any]:
        fill = night(limits=LIMITS, wait={"finish_by": 1}, **settings)
        fill.model_id, fill.index = model_id, into or fill.index
        server.fault("cancel", fraction=0.5)
        run = fill.run
        outcomes = run.wait(run.submit(model_id, fill.prepare()))
        fetch = FetchOutputOperator(task_id="fetch", outcomes=outcomes, spec=fill.spec, final=False, stragglers=True)
        landed = run.execute(fetch)
        run.started_at = datetime.now(UTC) - timedelta(hours=2)
        answer = AnswerStragglersOperator(
            task_id="answer", planned_by="prepare_input", landed=[landed], model_id=model_id
        )
        answered = run.execute(answer)
        run.task_states["answer"] = "success"
        return fill, landed, answered

    return begun


def report_of(fill: Fill, *landed: Any, written_by: list[str]) -> Any:
    report = ReportOperator(
        task_id="report", planned_by="prepare_input", landed=list(landed), answered_by="answer", written_by=written_by
    )
    return fill.run.execute(report)


def write(fill: Fill, task_id: str, landed: Any) -> None:
    fill.run.execute(WriteBackOperator(task_id=task_id, spec=fill.spec, landed=landed, plan=fill.plan))


def test_each_document_gets_its_vector_and_one_that_was_edited_meanwhile_does_not(
    index: Index, late: Callable[..., Any], server: Server
) -> None:
    index.add(articles(20))
    fill, landed, answered = late()
    (shard,) = answered["landed"]
    assert shard["answered"] == 10
    edited = next(name for name in articles(20) if name not in ids_of(landed))
    index.edit(edited, body="another text")
    write(fill, "write_back", landed)
    write(fill, "write_stragglers", answered)
    report = report_of(fill, landed, answered, written_by=["write_back", "write_stragglers"])
    assert (report["answered"], report["written"]["written"]) == (20, 19)
    assert index.vectors == set(articles(20)) - {edited}
    name = next(name for name in articles(20) if name not in ids_of(landed) and name != edited)
    source = index.hits[name]["_source"]
    assert source["vector"] == pytest.approx(embedded(server, source["body"]), abs=1e-6)
    assert source["vector_provenance"]["run"] == "by_hand/night-1"


def ids_of(landed: Any) -> set[str]:
    """Of the documents that the batch has answered."""
    return {line["_document"]["id"] for part in landed["landed"] for line in lines_of(part["results"]["uri"])}


def test_texts_that_several_documents_have_are_asked_once(
    index: Index, late: Callable[..., Any], server: Server, tmp_path: Any
) -> None:
    index.add({name: {**source, "body": f"text {int(name[1:]) % 10}"} for name, source in articles(20).items()})
    fill, landed, answered = late(reuse={"uri": f"file://{tmp_path}/paid-for"})
    assert sum(call["path"] == "/v1/embeddings" for call in server.calls) == 5
    write(fill, "write_back", landed)
    write(fill, "write_stragglers", answered)
    report = report_of(fill, landed, answered, written_by=["write_back", "write_stragglers"])
    assert (report["answered"], report["written"]["written"]) == (20, 20)
    assert index.vectors == set(articles(20))


def test_chunks_of_both_are_written_with_their_document(cluster: Cluster, late: Callable[..., Any]) -> None:
    long = cluster.index("essays", fields=CHUNK_FIELDS)
    long.add(essays(4))
    cut = {"chunks": {"size": 120, "overlap": 0, "unit": "characters"}}
    fill, landed, answered = late(long, input=cut, write_back={"vector_field": "chunks.embedding"})
    chunks = landed["landed"][0]["records"]
    assert answered["landed"][0]["answered"] == chunks // 2
    writing = WriteChunksOperator(
        task_id="write_chunks", planned_by="prepare_input", landed=[landed, answered], answered_by="answer"
    )
    fill.run.execute(writing)
    report = report_of(fill, landed, answered, written_by=["write_chunks"])
    assert (report["answered"], report["written"]["written"]) == (chunks, 4)
    found = [chunk for hit in long.hits.values() for chunk in hit["_source"]["chunks"]]
    assert len(found) == chunks
    assert all(len(chunk["embedding"]) == DIMENSIONS for chunk in found)
