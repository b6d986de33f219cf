"""What a cancelled batch has left is answered online at every vendor, with vectors as the batch's are, and texts as the
batch asked for them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opensearch_batch.operators import (
    AnswerStragglersOperator,
    CancelBatchOperator,
    PrepareInputOperator,
    ReportOperator,
)
from tests.sandbox.bench import ML, Run, Server, lines_of, rows_of
from tests.vendors.test_output_schema import CLAUDE, SCHEMA, _make_writing_model
from tests.vendors.vendors import BEDROCK, SAGEMAKER, Scene, Vendor, make_scene

ROWS = 120
LIMITS = {"max_straggler_usd": 1, "straggler_usd_per_million_tokens": 0.1, "stragglers_per_second": 500}


def cut_off(scene: Scene, server: Server) -> dict[str, Any]:
    """What a cancelled batch has landed; the run's time is up."""
    run = scene.run
    spec = scene.vendor.spec(run, run.write(rows_of(ROWS)), **LIMITS)
    scene.spec = spec | {"wait": {**spec["wait"], "finish_by": 1}}
    bundles = run.execute(PrepareInputOperator(task_id="prepare", spec=scene.spec))
    scene.register()
    server.pace("polls:2")  # slow enough for the looks of a submission
    jobs = scene.submit(bundles)
    server.pace("polls:1000")
    run.execute(CancelBatchOperator(task_id="cancel", jobs=jobs, spec=scene.spec))
    server.pace("instant")
    landed: dict[str, Any] = scene.fetch(scene.wait(jobs), stragglers=True)
    run.started_at = datetime.now(UTC) - timedelta(hours=2)
    return landed


def answered(scene: Scene, landed: dict[str, Any]) -> Any:
    """The report of a run whose open rows were asked online."""
    run = scene.run
    answer = AnswerStragglersOperator(task_id="answer", planned_by="prepare", landed=[landed], model_id=scene.model_id)
    online = run.execute(answer)
    run.task_states["answer"] = "success"
    return run.execute(
        ReportOperator(task_id="report", planned_by="prepare", landed=[landed, online], answered_by="answer")
    )


def test_rows_of_a_cancelled_job_are_answered_online_each_once(scene: Scene, server: Server) -> None:
    landed = cut_off(scene, server)
    (batch,) = landed["landed"]
    left = ROWS - batch["answered"]
    assert left
    report = answered(scene, landed)
    assert (report["answered"], report["failed"], report["stragglers"]["answered"]) == (ROWS, 0, left)
    asked = [call for call in server.calls if call["path"] == f"{ML}/models/{scene.model_id}/_predict"]
    assert (len(asked), len(scene.vendor.jobs(server))) == (left, 1)
    assert report["stragglers"]["usd"] == pytest.approx(report["stragglers"]["tokens"] * 0.1 / 1e6)
    lengths = {len(row["embedding"]) for row in scene.run.landed("results").values()}
    assert len(lengths) == 1


def of_texts(vendor: Vendor, name: str, **more: Any) -> Vendor:
    return replace(vendor, model={**vendor.model, "name": name, **more})


CLAUDE_LABELS = of_texts(
    BEDROCK, CLAUDE, parameters={"max_tokens": 50}, system_prompt='Say "a/b".', output_schema=SCHEMA
)
NOVA_TEXTS = of_texts(
    BEDROCK, "amazon.nova-lite-v1:0", parameters={"inferenceConfig": {"maxTokens": 50}}, system_prompt="Köln."
)
CONTAINER_LABELS = of_texts(SAGEMAKER, "stdlib-llm", parameters={"parameters": {"top_k": 1}}, output_schema=SCHEMA)
BODY = {"bedrock": "modelInput", "sagemaker": "input"}
"""Where a line of the batch has what the model takes."""
ONLINE = ("/invoke", "/invocations")
GENERATED = [{"generated_text": json.dumps({"label": "good", "sure": True})}]


def asked_as_in_the_batch(vendor: Vendor, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(vendor, server, run, monkeypatch)
    if vendor.name == "sagemaker":
        _make_writing_model(server)
        server.fault("answer", path="/invocations$", status=200, body=GENERATED, times=-1)
    landed = cut_off(scene, server)
    left = ROWS - landed["landed"][0]["answered"]
    report = answered(scene, landed)
    assert (report["answered"], report["stragglers"]["answered"], len(vendor.jobs(server))) == (ROWS, left, 1)
    asked = [json.dumps(call["body"], sort_keys=True) for call in server.calls if call["path"].endswith(ONLINE)]
    batch = lines_of(landed["landed"][0]["job"]["shard"]["uri"])
    assert len(asked) == left
    assert set(asked) <= {json.dumps(line[BODY[vendor.name]], sort_keys=True) for line in batch}
    kind = dict if "output_schema" in vendor.model else str
    assert {type(row["output"]) for row in run.landed("results").values()} == {kind}


@pytest.mark.parametrize(
    "vendor", [CLAUDE_LABELS, NOVA_TEXTS, CONTAINER_LABELS], ids=lambda vendor: vendor.model["name"]
)
def test_texts_are_asked_as_the_batch_has_asked(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> None:
    asked_as_in_the_batch(vendor, server, run, monkeypatch)
