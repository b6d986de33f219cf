"""Each provider of this package has what the protocols ask of it; the tuples are mypy's to check, member by member."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.providers.bedrock.store import InvocationJobs
from opensearch_batch.providers.cohere.store import CohereDatasets
from opensearch_batch.providers.contract import members, missing
from opensearch_batch.providers.openai.store import OpenAIFiles
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.sagemaker.store import TransformJobs
from opensearch_batch.providers.store import ProviderStore, StoreClass, store_class

CLASSES = list[StoreClass]([OpenAIFiles, TransformJobs, InvocationJobs, CohereDatasets])
STORES = list[type[ProviderStore]]([OpenAIFiles, TransformJobs, InvocationJobs, CohereDatasets])

FUNCTIONS = [name for name in members(Provider) if inspect.isfunction(vars(Provider)[name])]


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: str(provider.NAME))
def test_a_provider_of_this_package_lacks_nothing(provider: Provider) -> None:
    assert missing(provider, Provider) == []
    assert store_class(provider) in CLASSES


def test_the_members_are_those_of_the_protocols_text() -> None:
    """What is missing would be an empty list as well if there were no members."""
    found = list(members(Provider))
    assert {"NAME", "JobSettings", "STORE", "connector", "read_line"} <= set(found)
    assert not any(name.startswith("_") for name in found)
    assert {*members(StoreClass)} == {"opened", "base_url", "settings", "require_libraries", "parameters", "credential"}
    assert missing(object(), Provider, StoreClass) == [*found, *members(StoreClass)]


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: str(provider.NAME))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_the_protocol_says(provider: Provider, name: str) -> None:
    def parameters(function: Callable[..., Any]) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(getattr(provider, name)) == parameters(getattr(Provider, name))[1:]
