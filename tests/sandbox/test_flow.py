"""The flow by hand, without a spec: from rows to results, over every endpoint and in every way of waiting."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskDeferred,
)

from opensearch_batch.operators import (
    CancelBatchOperator,
    CreateConnectorOperator,
    FetchOutputOperator,
    PrepareInputOperator,
    RegisterModelOperator,
    ReportOperator,
    SubmitBatchOperator,
)
from tests.sandbox.bench import (
    ML,
    MODEL,
    Run,
    Server,
    first_event,
    lines_of,
    rebuilt,
    rows_of,
    sensor,
    submit_settings,
)
from tests.sandbox.test_registration import DOCS_PAGE, changed, connector, model

BESIDE_DAGS = Path(__file__).resolve().parents[2] / "dags" / "connectors" / "openai.json"


def test_a_thousand_rows_with_the_docs_pages_connector_and_no_spec(server: Server, run: Run) -> None:
    rows = rows_of(1000)
    bundles = run.execute(
        PrepareInputOperator(
            task_id="prepare",
            input_uri=run.write(rows),
            work_uri=f"file://{run.folder}/work",
            model="text-embedding-ada-002",
            max_requests=400,
        )
    )
    assert [[shard["records"] for shard in bundle] for bundle in bundles] == [[400], [400], [200]]
    assert server.ledger == []
    connector_id = run.execute(
        CreateConnectorOperator(task_id="connector", body=DOCS_PAGE, base_url_from="openai_default")
    )
    model_id = run.execute(RegisterModelOperator(task_id="model", name="docs-page", connector_id=connector_id))
    jobs = run.execute(SubmitBatchOperator(task_id="submit", model_id=model_id, shards=bundles))
    waiting = sensor(jobs)
    try:
        outcomes = run.execute(waiting)
    except TaskDeferred as deferred:
        outcomes = waiting.execute_complete(run.context(waiting), first_event(rebuilt(deferred.trigger)))
    fetched = run.execute(
        FetchOutputOperator(task_id="fetch", outcomes=outcomes, output_uri=f"file://{run.out}", final=True)
    )
    report = fetched["report"]
    counted = {name: report[name] for name in ("records", "answered", "failed", "missing", "duplicates", "foreign")}
    assert counted == {"records": 1000, "answered": 1000, "failed": 0, "missing": 0, "duplicates": 0, "foreign": 0}
    results = run.landed("results")
    assert set(results) == {row["id"] for row in rows}
    assert all(len(row["embedding"]) > 8 and set(row) == {"id", "embedding"} for row in results.values())
    assert run.landed("failures") == {}
    assert sorted(job["requests"] for job in server.ledger) == [200, 400, 400]
    assert report["actual_tokens"] > 0


def test_the_connector_beside_the_dags_serves_searches_and_batches(server: Server, run: Run) -> None:
    connector = CreateConnectorOperator(task_id="connector", body=str(BESIDE_DAGS), base_url_from="openai_default")
    connector_id = run.execute(connector)
    model_id = run.execute(RegisterModelOperator(task_id="model", name="articles", connector_id=connector_id))
    found = server.ask("POST", f"{ML}/models/{model_id}/_predict", {"parameters": {"input": ["x"]}})
    assert found["inference_results"][0]["output"][0]["data_type"] == "FLOAT32"
    assert run.through(model_id, rows_of(3))["report"]["answered"] == 3


@pytest.mark.parametrize(
    ("endpoint", "model"), [("/v1/chat/completions", "gpt-4o-mini"), ("/v1/responses", "gpt-4.1-mini")]
)
def test_text_comes_back_as_output(server: Server, run: Run, endpoint: str, model: str) -> None:
    bundles = run.prepare(
        [{"id": 1, "title": "Ants"}, {"id": 2, "title": "Bees"}],
        model=model, endpoint=endpoint, model_parameters={}, prompt="Explain {title}",
    )  # fmt: skip
    outcomes = run.wait(run.submit(server.model(endpoint, model), bundles))
    assert run.fetch(outcomes)["report"]["answered"] == 2
    results = run.landed("results")
    assert {row_id: row["output"].endswith(f"Explain {title}") for row_id, row, title in (
        ("1", results["1"], "Ants"), ("2", results["2"], "Bees")
    )} == {"1": True, "2": True}  # fmt: skip


@pytest.mark.parametrize("deferrable", [True, False])
def test_waiting_in_the_triggerer_and_on_the_worker(server: Server, model_id: str, run: Run, deferrable: bool) -> None:
    server.pace("polls:2")
    jobs = run.submit(model_id, run.prepare(rows_of(5), max_requests=3))
    outcomes = run.wait(jobs, deferrable=deferrable)
    assert [outcome["job"] for outcome in outcomes] == jobs
    assert [(outcome["state"], outcome["requests_done"]) for outcome in outcomes] == [
        ("completed", 3),
        ("completed", 2),
    ]


def test_waiting_by_reschedule(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:2")
    waiting = sensor(run.submit(model_id, run.prepare(rows_of(2))), deferrable=False, mode="reschedule")
    context = run.context(waiting)
    context["ti"].get_first_reschedule_date = lambda context: None
    rescheduled = 0
    outcomes = None
    while outcomes is None:
        try:
            outcomes = waiting.execute(context)
        except AirflowRescheduleException:
            rescheduled += 1
            assert rescheduled < 50
    assert rescheduled > 0
    assert outcomes[0]["state"] == "completed"


def test_raw_parameters_with_a_file_at_the_provider(server: Server, model_id: str, run: Run) -> None:
    file_id = server.upload(
        {"custom_id": f"r{n}", "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": "x"}}
        for n in range(3)
    )
    jobs = run.submit(model_id, parameters={"input_file_id": file_id})
    assert jobs == run.submit(model_id, parameters={"input_file_id": file_id})
    assert len(server.ledger) == 1
    report = run.fetch(run.wait(jobs))["report"]
    assert (report["records"], report["answered"]) == (3, 3)
    assert set(run.landed("results")) == {"r0", "r1", "r2"}


def test_shards_that_no_task_gave_are_no_order_for_the_connectors_own_file(server: Server, run: Run) -> None:
    """Behind a prepare_input that was marked successful by hand Airflow renders its output as None."""
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": "x"}}
    model_id = run.execute(model(run.execute(connector(body=changed(input_file_id=server.upload([line]))))))
    with DAG("by_hand", schedule=None):
        prepare = PrepareInputOperator(task_id="prepare", input_uri="file:///in.jsonl", model=MODEL)
        submit = SubmitBatchOperator(**submit_settings(model_id, prepare.output))
    submit.shards = None
    with pytest.raises(AirflowFailException, match=r"gave no shards: .*marked successful by hand\. Nothing was sent"):
        run.execute(submit)
    assert server.ledger == []
    assert len(run.submit(model_id)) == 1, "where no task is to give shards the file is what is wanted"


def test_the_manifest_has_counts_checksums_model_jobs_usage_and_dates(model_id: str, run: Run) -> None:
    fetched = run.through(model_id, rows_of(3))
    manifest = run.manifest
    assert manifest["report"] == fetched["report"]
    assert (manifest["dag_id"], manifest["run_id"]) == ("by_hand", run.run_id)
    (entry,) = manifest["files"]
    assert (entry["kind"], entry["rows"]) == ("results", 3)
    assert len(lines_of(entry["uri"])) == 3
    (job,) = manifest["report"]["jobs"]
    assert (job["shard"], job["state"], job["attempt"]) == (0, "completed", 1)
    assert manifest["report"]["actual_tokens"] > 0
    assert manifest["written_at"].endswith("+00:00")
    assert model_id in str(manifest), "which model made these vectors"


def test_fetching_again_changes_nothing(model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(5))))
    first, names = run.fetch(outcomes), run.files()
    again = run.fetch(outcomes)
    assert again == first
    assert run.files() == names


SPEC = {
    "name": "by_spec",
    "model": {"name": MODEL, "parameters": {"dimensions": 8}},
    "input": {"uri": "set by the test"},
    "output": {"uri": "set by the test"},
}


def spec_for(run: Run, **sections: Any) -> dict[str, Any]:
    return {
        **SPEC,
        "input": {"uri": f"file://{run.folder}/in.jsonl"},
        "output": {"uri": f"file://{run.out}"},
        "work_uri": f"file://{run.folder}/work",
        **sections,
    }


def test_the_flow_with_a_spec_ends_in_a_report_and_an_asset_event(server: Server, run: Run) -> None:
    run.write(rows_of(5))
    bundles = run.execute(
        PrepareInputOperator(task_id="prepare", spec=spec_for(run, limits={"max_requests": 2, "max_cost_usd": 1}))
    )
    spec = run.xcoms["prepare", "spec"]
    connector_id = run.execute(CreateConnectorOperator(task_id="connector", spec=spec))
    model_id = run.execute(RegisterModelOperator(task_id="model", spec=spec, connector_id=connector_id))
    fetched = []
    for index, bundle in enumerate(bundles):
        jobs = run.execute(SubmitBatchOperator(task_id=f"submit_{index}", spec=spec, model_id=model_id, shards=bundle))
        outcomes = run.wait(jobs, spec=spec, task_id=f"wait_{index}")
        fetched.append(run.fetch(outcomes, spec=spec, output_uri="", final=False, task_id=f"fetch_{index}"))
    assert run.files()
    assert "manifest.json" not in run.files()
    asset = Asset("by_spec/results")
    run.events[asset] = SimpleNamespace(extra=None)
    report = run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=fetched, outlets=[asset]))
    assert (report["records"], report["answered"], report["shards"], len(report["jobs"])) == (5, 5, 3, 3)
    assert report["estimated_usd"] is not None
    assert report["actual_usd"] > 0
    assert run.events[asset].extra == {
        "manifest": report["manifest"], "records": 5, "answered": 5, "failed": 0, "missing": 0
    }  # fmt: skip
    assert len(server.ledger) == 3


def test_a_report_counts_the_jobs_whose_landing_failed(server: Server, model_id: str, run: Run) -> None:
    """The answers are at the provider and paid; only the fetch failed."""
    run.write(rows_of(5))
    bundles = run.execute(PrepareInputOperator(task_id="prepare", spec=spec_for(run)))
    run.wait(run.submit(model_id, bundles))
    report = ReportOperator(
        task_id="report", planned_by="prepare", landed=[], submitted_by=["submit"], waited_by=["wait"]
    )
    with pytest.raises(
        AirflowFailException, match=r"0 jobs and 1 job more, submitted and not landed, \d+ tokens, \$0\."
    ):
        run.execute(report)
    (job,) = run.manifest["report"]["unlanded"]
    assert job["provider_job_id"] == server.ledger[0]["id"]
    assert run.manifest["report"]["actual_usd"] > 0


def upstream_of_report(run: Run, **settings: Any) -> tuple[PrepareInputOperator, ReportOperator]:
    with DAG("by_hand", schedule=None):
        prepare = PrepareInputOperator(task_id="prepare", **settings)
        connector = CreateConnectorOperator(task_id="connector", spec={})
        report = ReportOperator(task_id="report", planned_by="prepare", landed=[], trigger_rule="all_done")
        prepare >> [connector, report]
    return prepare, report


def test_a_dry_run_plans_and_sends_nothing(server: Server, run: Run) -> None:
    run.write(rows_of(5))
    prepare, report = upstream_of_report(run, spec=spec_for(run, dry_run=True))
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.execute(prepare)
    assert list(skipped.value.tasks) == ["connector"]
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["shards"], plan["dry_run"]) == (5, 1, True)
    assert plan["estimated_usd"] > 0
    with pytest.raises(AirflowSkipException, match="dry run, nothing was sent: 5 rows"):
        run.execute(report)
    assert server.calls == []
    assert run.files() == []
    assert not (run.folder / "work").exists()


def test_an_empty_partition_is_a_manifest_of_0_records(server: Server, run: Run) -> None:
    run.conf = {"partition": "2026-01-05"}
    spec = spec_for(run, input={"uri": f"file://{run.folder}/{{partition}}/*.jsonl"})
    prepare, report = upstream_of_report(run, spec=spec)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.execute(prepare)
    assert list(skipped.value.tasks) == ["connector"]
    with pytest.raises(AirflowSkipException, match="no rows"):
        run.execute(report)
    assert run.manifest["report"]["records"] == 0
    assert run.manifest["files"] == []
    assert server.calls == []


def test_cancelling_jobs_passes_over_those_that_have_ended(server: Server, model_id: str, run: Run) -> None:
    ended = run.submit(model_id, run.prepare(rows_of(2)))
    run.wait(ended)
    server.pace("polls:1000")
    running = run.submit(model_id, run.prepare(rows_of(3)))
    run.execute(CancelBatchOperator(task_id="cancel", jobs=[*ended, *running]))
    states = {job["requests"]: job["status"] for job in server.ledger}
    assert states[2] == "completed"
    assert states[3] in ("cancelling", "cancelled")
