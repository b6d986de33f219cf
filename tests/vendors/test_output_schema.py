"""Output schemas at the vendors beside OpenAI: who is told of one, who is only checked, and who has no texts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec
from tests.sandbox.bench import Run, Server, lines_of, rows_of
from tests.vendors.vendors import BEDROCK, COHERE, SAGEMAKER, Vendor, aws, make_scene

ROWS = 120
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["label", "sure"],
    "properties": {"label": {"type": "string", "enum": ["good", "bad"]}, "sure": {"type": "boolean"}},
}


def of_texts(vendor: Vendor, name: str, **more: Any) -> Vendor:
    return replace(vendor, model={**vendor.model, "name": name, "parameters": {}, "output_schema": SCHEMA, **more})


def lines_of_shards(bundles: Any) -> list[dict[str, Any]]:
    return [line for bundle in bundles for shard in bundle for line in lines_of(shard["uri"])]


def test_claude_is_told_and_its_answers_are_checked(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(of_texts(BEDROCK, CLAUDE, system_prompt="Label."), server, run, monkeypatch)
    bundles = scene.ready(rows_of(ROWS))
    server.fault("odd_objects", **{"as": "misfit"}, count=3)
    told = [line["modelInput"] for line in lines_of_shards(bundles)]
    assert {json.dumps(body["output_config"]) for body in told} == {
        json.dumps({"format": {"type": "json_schema", "schema": SCHEMA}})
    }
    assert {body["system"] for body in told} == {"Label."}
    (landed,) = scene.fetch(scene.wait(scene.submit(bundles)), max_failed_fraction=0.5)["landed"]
    assert (landed["answered"], landed["codes"]) == (ROWS - 3, {"invalid_output": 3})
    found = lines_of(landed["results"]["uri"])
    assert {row["output"]["label"] for row in found} == {"good", "bad"}


def test_a_container_is_not_told_and_its_answers_are_checked(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(of_texts(SAGEMAKER, "stdlib-llm"), server, run, monkeypatch)
    _make_writing_model(server)
    bundles = scene.ready(rows_of(ROWS))
    assert all(set(line["input"]) == {"inputs"} for line in lines_of_shards(bundles))
    (landed,) = scene.fetch(scene.wait(scene.submit(bundles)), max_failed_fraction=1.0)["landed"]
    assert (landed["answered"], landed["codes"]) == (0, {"invalid_output": ROWS})


def test_a_container_that_embeds_gives_no_objects(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(of_texts(SAGEMAKER, "stdlib-embedding"), server, run, monkeypatch)
    fetched = scene.fetch(scene.wait(scene.submit(scene.ready(rows_of(ROWS)))), max_failed_fraction=1.0)
    (landed,) = fetched["landed"]
    assert landed["codes"] == {"invalid_output": ROWS}
    assert landed["examples"][0]["message"] == "at $: a vector came instead of a text"


@pytest.mark.parametrize("vendor", [BEDROCK, COHERE], ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("said", [{"output_schema": SCHEMA}, {"system_prompt": "Label."}], ids=lambda said: [*said][0])
def test_a_model_that_embeds_is_refused_in_the_spec(run: Run, vendor: Vendor, said: dict[str, Any]) -> None:
    spec = vendor.spec(run, "file:///in.jsonl")
    spec["model"] |= said
    with pytest.raises(SpecError, match=f"model.{[*said][0]} is for answers of text"):
        BatchSpec.check(spec)


def _make_writing_model(server: Server) -> None:
    aws(server, "sagemaker").create_model(
        ModelName="stdlib-llm",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/transform",
        PrimaryContainer={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/llm:1"},
    )
