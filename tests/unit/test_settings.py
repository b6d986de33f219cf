from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.settings import settings_of

JOB = {"files_uri": "s3://bucket/in", "instance_type": "ml.m5.large", "region": "eu-west-1"}
SPEC = {
    "name": "nightly",
    "model": {"provider": "sagemaker", "name": "minilm", "job": JOB},
    "input": {"uri": "file:///in.jsonl"},
    "output": {"uri": "file:///out"},
    "connections": {"opensearch": "cluster_of_spec", "provider": "key_of_spec"},
}


@dataclass
class Task:
    spec: Any = None
    provider: str = ""
    opensearch_conn_id: str = ""
    provider_conn_id: str = ""
    job: dict[str, Any] | None = None


def test_without_a_spec_the_default_providers_own_names_hold() -> None:
    settings = settings_of(Task())
    assert settings.provider is providers.DEFAULT
    assert (settings.opensearch_conn_id, settings.provider_conn_id) == (
        "opensearch_default",
        providers.DEFAULT.CONNECTION,
    )
    assert (settings.spec, settings.model, settings.job) == (None, None, None)


def test_a_spec_fills_in_what_no_argument_says() -> None:
    settings = settings_of(Task(SPEC))
    assert settings.provider is providers.get("sagemaker")
    assert (settings.opensearch_conn_id, settings.provider_conn_id) == ("cluster_of_spec", "key_of_spec")
    assert (settings.model, settings.job) == ("minilm", JOB)


def test_arguments_win_over_the_spec() -> None:
    said: dict[str, Any] = {
        "opensearch_conn_id": "my_cluster",
        "provider_conn_id": "my_key",
        "job": {"files_uri": "s3://other/in"},
    }
    settings = settings_of(replace(Task(SPEC), provider="openai", **said))
    assert settings.provider is providers.get("openai")
    assert {name: getattr(settings, name) for name in said} == said


def test_the_task_keeps_its_arguments() -> None:
    task = Task(SPEC)
    settings_of(task)
    assert task == Task(SPEC)


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(SpecError, match="unknown provider 'opanai'; did you mean 'openai'"):
        settings_of(Task(provider="opanai"))
