"""The system prompt and the schema of answers, as the families that write take both.

https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html has `output_config.format` for Anthropic's
models; an older state of …/batch-inference.html says that batches have no structured output, the newer that they do.
Not verified against Bedrock itself. Nova has no such field: its answers are checked alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.bedrock.models import family_of


def with_schema(model: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    if family_of(model) != "anthropic":
        return dict(parameters)
    config = parameters.get("output_config") or {}
    if "format" in config:
        raise SpecError(
            "model.parameters: 'output_config.format' and model.output_schema are two ways to say the shape of "
            "answers; give one"
        )
    return {**parameters, "output_config": {**config, "format": {"type": "json_schema", "schema": schema}}}


def with_system_prompt(model: str, parameters: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    if "system" in parameters:
        raise SpecError("model.parameters: 'system' and model.system_prompt are one thing; give one of them")
    return {**parameters, "system": [{"text": prompt}] if family_of(model) == "nova" else prompt}
