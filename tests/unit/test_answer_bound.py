"""A limit of money holds only where the tokens of an answer have a bound that bounds something."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec
from tests.unit.test_spec import spec

INF = float("inf")
CHAT = {"name": "gpt-4o-mini", "endpoint": "/v1/chat/completions"}
BEDROCK = {
    "provider": "bedrock",
    "job": {"files_uri": "s3://corpus/batches", "role_arn": "arn:aws:iam::123456789012:role/batches"},
}
CLAUDE = {**BEDROCK, "name": "anthropic.claude-3-haiku-20240307-v1:0"}
CONTAINER = {
    "provider": "sagemaker",
    "name": "mine",
    "job": {"files_uri": "s3://corpus/batches", "instance_type": "ml.g5.xlarge"},
    "output_schema": {"type": "object", "properties": {"topic": {"type": "string"}}},
}


def limited(model: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    limits = {"max_cost_usd": 5, "usd_per_million_tokens": 1}
    return spec(model={**model, "parameters": parameters}, limits=limits)


@pytest.mark.parametrize("bound", [INF, -INF, float("nan"), "many", [200]], ids=str)
def test_a_bound_that_is_no_whole_number_says_what_to_write(bound: Any) -> None:
    says = r"model\.parameters: .* is no whole number\. Write a number, e\.g\. max_tokens: 200"
    with pytest.raises(SpecError, match=says):
        BatchSpec.check(limited(CHAT, max_tokens=bound))
    with pytest.raises(SpecError, match=says):  # the plan counts the tokens without a limit, too
        BatchSpec.check(spec(model={**CHAT, "parameters": {"max_tokens": bound}}))


@pytest.mark.parametrize(
    ("model", "parameters", "bound"),
    [
        (CHAT, {"max_tokens": 0}, 0),
        (CHAT, {"max_tokens": -200}, -200),
        (CHAT, {"max_tokens": 200, "n": -2}, -400),
        (CLAUDE, {"max_tokens": 0}, 0),
        (CLAUDE, {"max_tokens": -1}, -1),
    ],
    ids=lambda value: value.get("name") if "name" in str(value) else str(value),
)
def test_a_bound_below_which_every_plan_would_fall_is_refused(
    model: dict[str, Any], parameters: dict[str, Any], bound: int
) -> None:
    says = f"limits.max_cost_usd cannot hold: the bound of tokens in model.parameters is {bound}. Give a whole number"
    with pytest.raises(SpecError, match=re.escape(says)):
        BatchSpec.check(limited(model, **parameters))
    assert BatchSpec.check(limited(model, max_tokens=1))


def test_without_a_bound_the_error_asks_for_it_under_the_endpoints_own_name() -> None:
    says = "Give one in model.parameters, under /v1/chat/completions's own name for it, e.g. max_tokens"
    with pytest.raises(SpecError, match=re.escape(says)):
        BatchSpec.check(limited(CHAT))


@pytest.mark.parametrize(
    "model",
    [
        {"name": "text-embedding-3-small"},
        {"provider": "cohere", "name": "embed-v4.0"},
        {**BEDROCK, "name": "amazon.titan-embed-text-v2:0"},
        CONTAINER,
    ],
    ids=lambda model: model.get("provider", "openai"),
)
def test_vectors_and_billed_machines_need_no_bound(model: dict[str, Any]) -> None:
    assert BatchSpec.check(limited(model))
