"""Parameters: a mistyped name is refused before every row would be."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.model_section import ModelSection
from opensearch_batch.prepare.parameters import unknown_parameters
from opensearch_batch.providers.store import store_class
from opensearch_batch.spec import BatchSpec

AWS_JOB = {"files_uri": "s3://bucket/work", "role_arn": "arn:aws:iam::123456789012:role/r"}
MODELS = {
    "openai": "text-embedding-3-small",
    "cohere": "embed-v4.0",
    "bedrock": "amazon.titan-embed-text-v2:0",
}


def model(provider: str, parameters: dict[str, Any], name: str = "", **section: Any) -> ModelSection:
    job = {"job": AWS_JOB} if provider == "bedrock" else {}
    named = {"provider": provider, "name": name or MODELS[provider], "parameters": parameters, **job, **section}
    return BatchSpec.check(
        {"name": "n", "model": named, "input": {"uri": "file:///in"}, "output": {"uri": "file:///out"}}
    ).model


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (model("openai", {"dimension": 8}), "unknown parameter 'dimension', did you mean 'dimensions'?"),
        (
            model("openai", {"max_token": 9, "temprature": 1}, "gpt-4o", endpoint="/v1/chat/completions"),
            "'max_token', did you mean 'max_tokens'?; unknown parameter 'temprature', did you mean 'temperature'?",
        ),
        (
            model("openai", {"max_output_token": 9}, "gpt-4o", endpoint="/v1/responses"),
            "did you mean 'max_output_tokens'?",
        ),
        (model("cohere", {"truncat": "END"}), "did you mean 'truncate'?"),
        (model("cohere", {"output_dimension": 512}), "'output_dimension' cannot be had: Cohere's embed jobs take no"),
        (model("cohere", {"dimensions": 512}), "Leave 'dimensions' out"),
        (model("bedrock", {"dimension": 256}), "did you mean 'dimensions'?"),
        (model("bedrock", {"max_token": 9}, "anthropic.claude-3-haiku-20240307-v1:0"), "did you mean 'max_tokens'?"),
    ],
)
def test_what_the_vendor_would_refuse_or_leave_out_is_refused(given: ModelSection, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        unknown_parameters(given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "strange"),
    [
        (model("openai", {"dimensions": 8, "encoding_format": "base64"}), []),
        (model("openai", {"truncate_prompt_tokens": 512}), ["truncate_prompt_tokens"]),
        (model("openai", {"top_k": 1, "min_tokens": 2}, "m", endpoint="/v1/chat/completions"), ["top_k", "min_tokens"]),
        (model("bedrock", {"normalize": True}), []),
    ],
)
def test_what_a_compatible_server_may_know_is_only_named(given: ModelSection, strange: list[str]) -> None:
    assert unknown_parameters(given) == strange


def test_a_container_may_take_any_parameter() -> None:
    assert not store_class(providers.get("sagemaker")).parameters("my-model", "/invocations")
