"""The lineage of runs over files, read from what OpenLineage's client has written."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

from opensearch_batch.operators import FetchOutputOperator, ReportOperator
from tests.sandbox.bench import KEY, MODEL, Server, rows_of
from tests.sandbox.lineage import ToldRun

JOBS = f"openai batches/by_hand/{MODEL} JOB_OUTPUT/TEMPORARY"


@pytest.fixture
def run(tmp_path: Path) -> ToldRun:
    return ToldRun(tmp_path)


def results_of(run: ToldRun) -> list[Path]:
    return [Path(uri.removeprefix("file://")) for uri in run.manifest["report"]["results"]]


def test_a_run_by_a_spec(run: ToldRun, server: Server, model_id: str) -> None:
    rows = rows_of(20)
    uri = run.write(rows)
    spec = {
        "name": "nightly",
        "model": {"name": MODEL, "parameters": {"dimensions": 8}},
        "input": {"uri": uri},
        "output": {"uri": f"file://{run.out}"},
        "work_uri": f"file://{run.folder}/work",
        "limits": {"max_requests": 10},
    }
    shards = run.prepare(uri, spec=spec)
    jobs = run.submit(model_id, shards, spec=spec)
    fetch = FetchOutputOperator(task_id="fetch", outcomes=run.wait(jobs), spec=spec, final=False)
    landed = run.execute(fetch)
    run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[landed]))
    source, out, model = (
        f"file {run.folder}/in.jsonl 20 rows",
        f"file {run.out} 20 rows 2 files",
        f"openai {MODEL} MODEL",
    )
    assert run.told("submit") == {"inputs": [source, model], "outputs": [f"{JOBS} 20 rows"]}
    assert run.told("fetch") == {"inputs": [f"{JOBS} 20 rows", model], "outputs": [out]}
    assert run.told("report") == {"inputs": [source, model], "outputs": [out]}
    [results] = run.event("fetch")["outputs"]
    assert results["outputFacets"]["outputStatistics"]["size"] == sum(file.stat().st_size for file in results_of(run))
    sent = run.sent.read_text()
    assert [text for text in (KEY, *(row["text"] for row in rows)) if text in sent] == []


def test_a_run_by_hand_has_the_model_of_the_cluster(run: ToldRun, server: Server, model_id: str) -> None:
    run.through(model_id, rows_of(3))
    address = server.url.removeprefix("http://")
    model = f"opensearch://{address} _plugins/_ml/models/{model_id} MODEL"
    jobs = f"openai batches/by_hand/{model_id} JOB_OUTPUT/TEMPORARY 3 rows"
    assert run.told("submit") == {"inputs": [model], "outputs": [jobs]}
    assert run.told("fetch") == {"inputs": [jobs, model], "outputs": [f"file {run.out} 3 rows 1 files"]}


def test_a_task_that_came_to_no_end_tells_nothing() -> None:
    report = ReportOperator(task_id="report", planned_by="prepare", landed=[], dag=DAG("by_hand", schedule=None))
    assert report.get_openlineage_facets_on_complete(None) is None
