"""Before paying: what can be known is refused by prepare_input, while nothing has been sent."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.operators import PrepareInputOperator, SubmitBatchOperator
from tests.sandbox.bench import MODEL, Run, Server, lines_of, rows_of


def spec(folder: Path, **sections: Any) -> dict[str, Any]:
    return {
        "name": "before",
        "model": {"name": MODEL},
        "input": {"uri": f"file://{folder}/in.jsonl"},
        "output": {"uri": f"file://{folder}/out"},
        "work_uri": f"file://{folder}/work",
        **sections,
    }


def refused(run: Run, rows: Any = None, **sections: Any) -> str:
    run.write(rows or rows_of(3))
    with pytest.raises(AirflowFailException) as caught:
        run.execute(PrepareInputOperator(task_id="prepare", spec=spec(run.folder, **sections)))
    return str(caught.value)


@pytest.fixture(autouse=True)
def nothing_is_sent(server: Server) -> Any:
    yield
    assert server.uploads() == []
    assert server.ledger == []


def test_a_library_that_only_the_landing_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.compute", None)
    said = refused(run, output={"uri": f"file://{run.out}", "format": "parquet"})
    assert "output.format parquet needs pyarrow where tasks run: pip install 'opensearch-batch[parquet]'" in said


@pytest.mark.parametrize("module", ["cohere", "fastavro"])
def test_a_vendors_library(run: Run, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """fastavro is imported when the answers are read: after paying."""
    monkeypatch.setitem(sys.modules, module, None)
    assert f"needs {module} where tasks run" in refused(run, model={"provider": "cohere", "name": "embed-v4.0"})


def test_a_mistyped_parameter(run: Run) -> None:
    said = refused(run, model={"name": MODEL, "parameters": {"dimension": 8}})
    assert said == "SpecError: model.parameters: unknown parameter 'dimension', did you mean 'dimensions'?"


@pytest.mark.parametrize("below", ["", "/day", "/a/day"])
def test_an_output_where_nothing_can_be_written(run: Run, below: str) -> None:
    run.out.write_text("a file where the folder should be")
    said = refused(run, output={"uri": f"file://{run.out}{below}"})
    assert said.startswith(f"Refused: write file://{run.out}{below}/.before-")
    assert said.endswith("Is the name right?")


def test_an_output_that_is_no_place_at_all(run: Run) -> None:
    assert "No such file or directory: '/proc/no-such" in refused(run, output={"uri": "file:///proc/no-such/day"})


def test_what_was_written_to_try_is_gone(run: Run) -> None:
    run.write(rows_of(3))
    assert run.execute(PrepareInputOperator(task_id="prepare", spec=spec(run.folder)))
    assert run.files() == []


@pytest.mark.parametrize("conn_id", ["opensearch", "provider"])
def test_a_connection_that_does_not_exist(run: Run, conn_id: str) -> None:
    said = refused(run, connections={conn_id: "no_such_one"})
    assert "the connection 'no_such_one' does not exist" in said
    assert "airflow connections add no_such_one" in said


def test_texts_above_the_models_limit_are_named_with_file_and_line(run: Run) -> None:
    rows = [*rows_of(2), {"id": "long", "text": "word " * 9000}]
    said = refused(run, rows)
    assert "1 bad row of 3 read in file://" in said
    assert "in.jsonl line 3: the text has 9001 tokens, and the model takes 8192" in said
    assert "input.too_long: skip or truncate" in said
    assert list(run.folder.glob("work/**/*.jsonl")) == []


def test_texts_above_the_limit_are_sent_shortened_where_the_spec_says_so(run: Run) -> None:
    rows = [*rows_of(2), {"id": "long", "text": "word " * 9000}]
    run.write(rows)
    made = spec(run.folder, input={"uri": f"file://{run.folder}/in.jsonl", "too_long": "truncate"})
    ((shard,),) = run.execute(PrepareInputOperator(task_id="prepare", spec=made))
    assert shard["records"] == 3
    assert 8000 < run.xcoms["prepare", "plan"]["estimated_tokens"] < 8192 * 5 / 4 + 100


def test_texts_above_the_limit_become_failures_where_the_spec_skips_them(run: Run) -> None:
    rows = [*rows_of(20), {"id": "long", "text": "word " * 9000}]
    run.write(rows)
    made = spec(run.folder, input={"uri": f"file://{run.folder}/in.jsonl", "too_long": "skip"})
    run.execute(PrepareInputOperator(task_id="prepare", spec=made))
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["bad_rows"]) == (20, 1)
    ((row),) = lines_of(plan["bad_rows_uri"])
    assert (row["id"], row["code"]) == ("long", "bad_row")


def test_texts_that_are_skipped_do_not_excuse_other_bad_rows(run: Run) -> None:
    rows = [*rows_of(20), {"id": "long", "text": "word " * 9000}, {"id": "empty", "text": ""}]
    said = refused(run, rows, input={"uri": f"file://{run.folder}/in.jsonl", "too_long": "skip"})
    assert "1 bad row of 22 read" in said
    assert "in.jsonl line 22" in said
    assert "line 21" not in said


def submitting(run: Run, caplog: pytest.LogCaptureFixture, **submit: Any) -> str:
    run.write(rows_of(3))
    caplog.set_level(logging.INFO)
    limited = spec(run.folder, limits={"max_jobs_in_flight": 2})
    with DAG("by_hand", schedule=None):
        prepare = PrepareInputOperator(task_id="prepare", spec=limited)
        prepare >> SubmitBatchOperator(task_id="submit", spec=limited, model_id="m", **submit)
    run.execute(prepare)
    return caplog.text


def test_the_log_names_the_pool_that_this_dag_passes(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    said = submitting(run, caplog, pool="mine")
    assert "submits pass the pool mine, which needs one slot" in said
    assert "airflow pools set mine 1" in said
    assert "opensearch_batch_before" not in said


def test_a_limit_without_a_pool(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AirflowFailException, match="submit: a limit of what is in flight needs a pool of one slot"):
        submitting(run, caplog)
